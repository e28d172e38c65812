"""Hold a scenario ready to run: networks in series, their losses, and what is trained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

from impl_jax import layout
from impl_jax.layout import Form
from impl_jax.naming import TABLE, Path, canonical, name_once

Data = Mapping[str, Array]
Losses = dict[str, Array]
Parameters = dict[str, Array]
Buffers = dict[str, Array]
Constants = Mapping[str, Any]
Shapes = dict[str, list[int]]


def as_it_is(value: Any, data: Data) -> Any:
    """Return the value unchanged: the link between two networks that does nothing."""
    return value


def cut(value: Any, data: Data) -> Any:
    """Apply ``stop_gradient``: the link between two networks that stops the gradient.

    Of several arrays, as in a tuple or a dict, each is stopped.
    """
    return jax.lax.stop_gradient(value)


def against(target: str, loss: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """Return the function (output, data) → loss of a stage's output against ``data[target]``.

    ``loss(output, target)`` may be elementwise, as optax's losses are: its mean is taken.
    """

    def compare(output: Array, data: Data) -> Array:
        return jnp.mean(loss(output, data[target]))

    return compare


@dataclass(frozen=True)
class Stage:
    """Hold one network of a series and the losses taken at its output.

    Attributes:
        name: the first part of the canonical names of its parameters.
        network: called with the value that enters the stage.
        losses: loss name → function of the network's output and the data.
        enter: the link from the network before, a function of that network's output and the data.
        flattened: Linear layer → (channels, height, width) of the image that is flattened in front
            of it. torch flattens an image channels first and JAX channels last, so the input axis
            of that layer's weight is permuted once, when it is loaded.
    """

    name: str
    network: nnx.Module
    losses: Mapping[str, Callable[[Any, Data], Array]] = field(default_factory=dict)
    enter: Callable[[Any, Data], Any] = as_it_is
    flattened: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    @cached_property
    def _split(self) -> Any:
        """Split the network: graph definition, BatchNorm's statistics, generators, parameters."""
        # the last of these is everything else
        return nnx.split(self.network, nnx.BatchStat, nnx.RngState, ...)

    def _named(self, state: Any) -> dict[str, tuple[Path, Any]]:
        """Return canonical name → (nnx's path, leaf) for each leaf of an nnx state."""
        return {
            f"{self.name}.{canonical(path)}": (path, leaf)
            for path, leaf in nnx.to_flat_state(state)
        }

    @cached_property
    def parameters(self) -> dict[str, tuple[Path, Any]]:
        """Map the canonical name of every parameter to nnx's path and variable."""
        return self._named(self._split[3])

    @cached_property
    def buffers(self) -> dict[str, tuple[Path, Any]]:
        """Map the canonical name of each of BatchNorm's running statistics to path and variable."""
        return self._named(self._split[1])

    @cached_property
    def generators(self) -> list[Path]:
        """List nnx's paths to the states of random number generators, such as a Dropout's."""
        return [path for path, _ in nnx.to_flat_state(self._split[2])]

    def call(
        self,
        parameters: Parameters,
        buffers: Buffers,
        value: Any,
        keys: Mapping[Path, int] = MappingProxyType({}),
    ) -> tuple[Any, Buffers]:
        """Run the network as a pure function of its arrays; return its output and its buffers.

        Args:
            parameters: all parameters of the problem, by canonical name.
            buffers: all buffers before the call, by canonical name.
            value: the input of the network.
            keys: seeds of `generators`, by path; each other one has the seed 0.
        """

        def state(named: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
            return nnx.from_flat_state([(path, arrays[n]) for n, (path, _) in named.items()])

        statistics, weights = state(self.buffers, buffers), state(self.parameters, parameters)
        seeds = nnx.from_flat_state(
            [
                (path, _generator(leaf, seed=keys.get(path, 0)))
                for path, leaf in nnx.to_flat_state(self._split[2])
            ]
        )
        network = nnx.merge(self._split[0], statistics, seeds, weights)
        output = network(value)
        after = self._named(nnx.state(network, nnx.BatchStat)) if self.buffers else {}
        return output, {name: leaf[...] for name, (_, leaf) in after.items()}


def _generator(leaf: Any, seed: int) -> Array:
    """Return the state of a generator that has drawn nothing: a key, or a count of 0.

    Args:
        leaf: shape and dtype of the state.
        seed: of the key.
    """
    if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jnp.full(leaf.shape, seed, leaf.dtype)
    key = jax.random.key(seed)
    return jax.random.split(key, leaf.shape) if leaf.shape else key


class Problem:
    """Hold stages, their data and the flow: which loss may change which parameter.

    Args:
        stages: the networks, first to last.
        data: the arrays of the scenario; ``x`` enters the first network.
        reach: loss → names of the parameters that it would reach if nothing were frozen.
        frozen: names of the parameters that must not change.

    ``flow`` is ``reach`` without the frozen parameters. A loss whose flow is empty has no gradient
    and is left out of `losses`. ``built_frozen`` names the parameters that the networks froze
    themselves when they were built: their variables are of another type than `nnx.Param`. ``tied``
    maps the other names of a parameter that occurs at several places to the one under which it is
    kept, see `name_once`.

    Every pure function takes the arrays as arguments (trained ``parameters``, and ``constants``,
    which hold data, frozen parameters and buffers). An array that a jitted function closes over is
    a constant to XLA, which may fold computations on it into the program.
    """

    def __init__(
        self, stages: list[Stage], data: Data, reach: Mapping[str, list[str]], frozen: list[str]
    ) -> None:
        self.stages = stages
        self.reach = reach
        trained = {loss: [n for n in names if n not in frozen] for loss, names in reach.items()}
        self.flow = {loss: names for loss, names in trained.items() if names}
        known = {name for names in reach.values() for name in names} | set(frozen)
        variables, self.tied = name_once({stage.name: stage.network for stage in stages}, known)
        self.names = list(variables)
        self.built_frozen = [n for n, v in variables.items() if not isinstance(v, nnx.Param)]
        self.frozen = [name for name in self.names if name in set(frozen)]
        self.forms = forms(stages, self.tied)
        self.trainable: Parameters = {}
        # "stopped" is traced: `recipes.cond` asks it whether what is frozen is so in this step
        stopped = jnp.ones((), bool)
        self.constants: dict[str, Any] = {
            "data": data, "frozen": {}, "buffers": {}, "stopped": stopped,
        }  # fmt: skip

    @property
    def parameters(self) -> Parameters:
        """All parameters, trained or frozen, in order."""
        both = {**self.constants["frozen"], **self.trainable}
        return {name: both[name] for name in self.names}

    def load(self, parameters: Parameters, buffers: Buffers) -> None:
        """Set parameters and buffers to these arrays, which must be in JAX's layout, by name."""
        self.trainable = {n: parameters[n] for n in self.names if n not in set(self.frozen)}
        frozen = {n: parameters[n] for n in self.frozen}
        self.constants = {**self.constants, "frozen": frozen, "buffers": buffers}

    def every_name(self, parameters: Parameters, constants: Constants) -> Parameters:
        """Return all parameters by every name, those too that a tied one is not kept under.

        Args:
            parameters: the trained parameters, by canonical name.
            constants: data, frozen parameters and buffers.
        """
        both = {**constants["frozen"], **parameters}
        return both | {name: both[other] for name, other in self.tied.items() if other in both}

    def used_by(self, stage: Stage, parameters: Parameters) -> Parameters:
        """Return those of these parameters that the stage's network uses, by name."""
        names = {self.tied.get(name, name) for name in stage.parameters}
        return {name: array for name, array in parameters.items() if name in names}

    def network_of(self, stage: Stage) -> Any:
        """Return the stage's network, for messages that name its class."""
        return stage.network

    def reached(self, parameters: Parameters, loss: str) -> Parameters:
        """Return the trained parameters that this loss reaches, by name."""
        return {name: parameters[name] for name in self.flow[loss]}

    def gradient_crosses(self, boundary: int) -> bool:
        """Return whether a gradient passes from stage ``boundary + 1`` back into earlier stages.

        ``boundary`` is the index of the last stage in front of the boundary. No gradient passes
        where all in front is frozen, or where no loss behind reaches it.
        """
        before = tuple(f"{stage.name}." for stage in self.stages[: boundary + 1])
        behind = {loss for stage in self.stages[boundary + 1 :] for loss in stage.losses}
        reached = {name for loss in behind & set(self.flow) for name in self.flow[loss]}
        return any(name.startswith(before) for name in self.with_tied(reached))

    def with_tied(self, names: Collection[str]) -> set[str]:
        """Return canonical names of parameters, and their other names in any network."""
        return {*names, *(other for other, name in self.tied.items() if name in names)}

    def run_stage(
        self,
        stage: Stage,
        value: Any,
        parameters: Parameters,
        constants: Constants,
        among: Collection[str] | None = None,
    ) -> tuple[Any, Losses, Buffers]:
        """Run one stage; return the output of its network, its losses, and its buffers afterwards.

        Args:
            stage: one of ``stages``.
            value: the output of the stage before, or the data's ``x``.
            parameters: the trained parameters, by canonical name.
            constants: data, frozen parameters and buffers.
            among: the losses to compute; by default those that reach a trained parameter.
        """
        entering = stage.enter(value, constants["data"])
        output, buffers = self.run_network(stage, entering, parameters, constants)
        return output, self.losses_of(stage, output, constants, among), buffers

    def run_network(
        self, stage: Stage, value: Any, parameters: Parameters, constants: Constants
    ) -> tuple[Any, Buffers]:
        """Run a stage's network on what `Stage.enter` returned; the rest is as in `run_stage`.

        Returns the output of the network, and its buffers afterwards.
        """
        return stage.call(self.every_name(parameters, constants), constants["buffers"], value)

    def losses_of(
        self,
        stage: Stage,
        output: Any,
        constants: Constants,
        among: Collection[str] | None = None,
    ) -> Losses:
        """Return the losses at the output of a stage's network; the rest is as in `run_stage`."""
        data, selected = constants["data"], self.flow if among is None else among
        return {n: f(output, data) for n, f in stage.losses.items() if n in selected}

    def forward(
        self,
        parameters: Parameters,
        constants: Constants,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> tuple[Losses, Buffers]:
        """Run all networks; return the losses and the buffers after the forward pass, by name.

        ``among`` are the names of the losses to compute, by default all that reach a trained
        parameter. With ``until`` no stage behind the one of that loss is run.
        """
        value, losses, buffers = constants["data"]["x"], Losses(), Buffers()
        for stage in self.stages:
            value, stage_losses, moved = self.run_stage(stage, value, parameters, constants, among)
            losses |= stage_losses
            buffers |= moved
            if until in stage_losses:
                break
        return losses, buffers

    def losses(
        self, parameters: Parameters, constants: Constants, *, until: str | None = None
    ) -> Losses:
        """Run all networks; return every loss that reaches a trained parameter, by name.

        With ``until`` no stage behind the one of that loss is run.
        """
        return self.forward(parameters, constants, until=until)[0]

    def outputs(self, parameters: Parameters, constants: Constants) -> dict[str, Any]:
        """Return the output of each stage, by the stage's name."""
        value, outputs = constants["data"]["x"], {}
        for stage in self.stages:
            value, _, _ = self.run_stage(stage, value, parameters, constants, among=())
            outputs[stage.name] = value
        return outputs


def forms(stages: list[Stage], tied: Mapping[str, str]) -> dict[str, Form]:
    """Return the form of every weight that JAX does not have merely transposed, by its name.

    Args:
        stages: the networks.
        tied: other name of a parameter that occurs at several places → its canonical name.
    """
    flattened_forms: dict[str, Form] = {
        f"{stage.name}.{layer}.weight": shape
        for stage in stages
        for layer, shape in stage.flattened.items()
    }
    tables = [n for s in stages for n, (path, _) in s.parameters.items() if path[-1] == TABLE]
    return flattened_forms | {tied.get(name, name): layout.TABLE for name in tables}


def shapes(stages: list[Stage], names: Collection[str]) -> Shapes:
    """Return the shape of every parameter and buffer of the stages, in the canonical layout.

    The keys are canonical names; ``names`` are those that the scenario gives to parameters.
    """
    variables, tied = name_once({stage.name: stage.network for stage in stages}, names)
    buffers = {n: variable for stage in stages for n, (_, variable) in stage.buffers.items()}
    native = {name: tuple(variable.shape) for name, variable in {**variables, **buffers}.items()}
    of_weights = forms(stages, tied)
    return {n: layout.shape_out(shape, of_weights.get(n)) for n, shape in native.items()}


def leaves_bytes(tree: Any) -> int:
    """Return the bytes of every array in a pytree; an array that occurs twice is counted once."""
    leaves = {id(leaf): leaf.nbytes for leaf in jax.tree.leaves(tree)}
    return sum(leaves.values())
