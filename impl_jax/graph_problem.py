"""Hold a problem whose losses are a user's own function, whatever graph that function builds.

A strategy or recipe sees the interface of `Problem`. Every pass starts from the same buffers and
random numbers: they are arguments of a pure function, and what it changes in them is not kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import Array

from impl_jax.problem import Buffers, Constants, Losses, Parameters, Problem, Stage

LossFunction = Callable[[dict[str, Any], Any], Any]  # a user's, so its result is checked


def seed_everything(seed: int) -> None:
    """Seed the generators that user code may draw from beside JAX's keys, which are its own."""
    random.seed(seed)
    np.random.seed(seed)


class Network:
    """Hold a user's network as named arrays and a function that puts it together again.

    Args:
        name: the first part of the names of its arrays.
        network: an `nnx.Module`, or any pytree whose floating-point arrays are its parameters.
        dtype: of floating-point arrays.

    Attributes:
        parameters: name → array, those to differentiate by.
        rest: name → array, all others: BatchNorm's statistics, counters, keys.
        values: name → anything of the network that is no array.
        complex: names of complex parameters, which are not differentiated by; they are in ``rest``.
    """

    def __init__(self, name: str, network: Any, dtype: Any) -> None:
        self.name, self.network = name, network
        self.is_module = isinstance(network, nnx.Module)
        self._graph: Any = None
        self._paths: dict[str, Any] = {}
        self.parameters: dict[str, Any] = {}
        self.rest: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        self.complex: list[str] = []
        for path, leaf, trainable in self._module() if self.is_module else self._tree():
            own = f"{name}.{path}" if path else name
            self._paths[own] = leaf[0]
            self._sort(own, leaf[1], trainable, dtype)

    def _module(self) -> list[tuple[str, tuple[Any, Any], bool]]:
        """Return (name, (path, array), whether it is a parameter) of a module's variables."""
        self._graph, state = nnx.split(self.network)
        return [
            (".".join(map(str, path)), (path, _held(variable)), isinstance(variable, nnx.Param))
            for path, variable in nnx.to_flat_state(state)
        ]

    def _tree(self) -> list[tuple[str, tuple[Any, Any], bool]]:
        """Return (name, (position, leaf), whether it may be a parameter) of a pytree's leaves."""
        leaves, self._graph = jax.tree_util.tree_flatten_with_path(self.network)
        keystr = jax.tree_util.keystr
        return [
            (keystr(path, simple=True, separator="."), (i, leaf), True)
            for i, (path, leaf) in enumerate(leaves)
        ]

    def _sort(self, name: str, leaf: Any, trainable: bool, dtype: Any) -> None:
        """Put a leaf under the parameters, the rest or the values."""
        if not isinstance(leaf, (Array, np.ndarray)):
            self.values[name] = leaf
        elif not jnp.issubdtype(leaf.dtype, jnp.floating):
            self.rest[name] = jnp.asarray(leaf)
            is_complex = jnp.issubdtype(leaf.dtype, jnp.complexfloating)
            self.complex += [name] if trainable and is_complex else []
        elif trainable:
            self.parameters[name] = jnp.asarray(leaf, dtype=dtype)
        else:
            self.rest[name] = jnp.asarray(leaf, dtype=dtype)

    def rebuilt(self, arrays: Mapping[str, Any]) -> Any:
        """Return the network with these arrays, which may be those of other networks too."""
        leaves = [
            (place, arrays[n] if n in arrays else _anew(self.values[n]))
            for n, place in self._paths.items()
        ]
        if self.is_module:
            return nnx.merge(self._graph, nnx.from_flat_state(leaves))
        return jax.tree_util.tree_unflatten(self._graph, [leaf for _, leaf in leaves])

    def buffers_after(self, network: Any, names: Collection[str]) -> Buffers:
        """Return these buffers, such as running means, as a forward pass has left them.

        Args:
            network: that `rebuilt` has made, after the pass.
            names: of the buffers.

        Returns:
            Name → array; {} for a pytree, which no pass changes.
        """
        if not self.is_module or not any(name in self._paths for name in names):
            return {}
        state = dict(nnx.to_flat_state(nnx.state(network)))
        return {n: state[p][...] for n, p in self._paths.items() if n in names}


def _held(variable: Any) -> Any:
    """Return the array that a leaf of a module's state holds; the leaf itself where it holds none.

    A parameter that is a Python number becomes an array, as it does in the first update.
    """
    if not isinstance(variable, nnx.Variable):
        return variable
    value = variable.get_value()
    if isinstance(variable, nnx.Param) and isinstance(value, float):
        return jnp.asarray(value)
    return value if isinstance(value, (Array, np.ndarray)) else variable


def _anew(value: Any) -> Any:
    """Return what a network is rebuilt with; a pass must not write into the user's own variable."""
    return value.copy() if isinstance(value, nnx.Variable) else value


class RepeatableProblem(Problem):
    """Hold a user's networks in series; every pass is the same pure function.

    Args:
        networks: by name, in order.
        stages: those of `Problem`; they hold links and losses, and no networks.
        data: what enters the first network as ``x``, and the ``batch`` for the losses.
        reach, frozen: as in `Problem`.
    """

    def __init__(
        self,
        networks: Mapping[str, Network],
        stages: list[Stage],
        data: Mapping[str, Any],
        reach: Mapping[str, list[str]],
        frozen: list[str],
    ) -> None:
        self.networks, self.stages, self.reach = networks, stages, reach
        trained = {loss: [n for n in names if n not in frozen] for loss, names in reach.items()}
        self.flow = {loss: names for loss, names in trained.items() if names}
        every = {n: a for network in networks.values() for n, a in network.parameters.items()}
        self.names = list(every)
        self.built_frozen = []
        self.frozen = [name for name in self.names if name in set(frozen)]
        self.forms = {}
        self.tied = {}  # networks that share a variable are refused
        rest = {n: a for network in networks.values() for n, a in network.rest.items()}
        stopped = jnp.ones((), bool)
        self.constants = {
            "data": data, "frozen": {}, "buffers": {}, "rest": rest, "stopped": stopped,
        }  # fmt: skip
        self.load(every, {})

    def keep_buffers(self, names: Collection[str]) -> None:
        """Hand on these arrays from step to step: they are what a pass changes."""
        rest = self.constants["rest"]
        buffers = {n: a for n, a in rest.items() if n in names}
        others = {n: a for n, a in rest.items() if n not in names}
        self.constants = {**self.constants, "buffers": buffers, "rest": others}

    def arrays(self, parameters: Parameters, constants: Constants) -> dict[str, Any]:
        """Return every array of the networks by name."""
        return {
            **constants["rest"],
            **constants["buffers"],
            **constants["frozen"],
            **parameters,
        }

    def used_by(self, stage: Stage, parameters: Parameters) -> Parameters:
        """Return those of these parameters that the stage's network uses, by name."""
        own = self.networks[stage.name].parameters
        return {name: array for name, array in parameters.items() if name in own}

    def network_of(self, stage: Stage) -> Any:
        """Return the stage's network, for messages that name its class."""
        return self.networks[stage.name].network

    def run_network(
        self, stage: Stage, value: Any, parameters: Parameters, constants: Constants
    ) -> tuple[Any, Buffers]:
        """Run a stage's network; arguments and results are those of `Problem.run_network`."""
        own = self.networks[stage.name]
        network = own.rebuilt(self.arrays(parameters, constants))
        return network(value), own.buffers_after(network, constants["buffers"])


class GraphProblem(RepeatableProblem):
    """Hold networks by name, and one function of them and a batch that returns all losses.

    There is no series of networks, and so no boundary to cut at. ``until`` ends no pass early; XLA
    removes what the loss does not need.

    Args:
        networks: by name.
        losses: (networks, batch) → loss by name.
        batch: what ``losses`` is called with.
        reach, frozen: as in `Problem`.
    """

    def __init__(
        self,
        networks: Mapping[str, Network],
        losses: LossFunction,
        batch: Any,
        reach: Mapping[str, list[str]],
        frozen: list[str],
    ) -> None:
        super().__init__(networks, [], {"batch": batch}, reach, frozen)
        self.function = losses

    def forward(
        self,
        parameters: Parameters,
        constants: Constants,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> tuple[Losses, Buffers]:
        """Call the function; return the losses and the buffers afterwards, by name.

        Arguments are those of `Problem.forward`.
        """
        arrays = self.arrays(parameters, constants)
        built = {name: network.rebuilt(arrays) for name, network in self.networks.items()}
        values = self.function(dict(built), constants["data"]["batch"])
        selected = self.flow if among is None else among
        buffers: Buffers = {}
        for name, network in self.networks.items():
            buffers |= network.buffers_after(built[name], constants["buffers"])
        return {name: value for name, value in values.items() if name in selected}, buffers
