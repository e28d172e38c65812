"""A scenario ready to run: networks in series, the losses between them, and who may learn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

Data = Mapping[str, Array]
Losses = dict[str, Array]
Parameters = dict[str, Array]
Buffers = dict[str, Array]
Constants = Mapping[str, Any]

Path = tuple[Any, ...]  # nnx's, to a parameter

# torch's names are the canonical ones
LEAVES = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}


def as_it_is(value: Any, data: Data) -> Any:
    """The link between two networks where nothing happens in between."""
    return value


def cut(value: Array, data: Data) -> Array:
    """The link that the value passes and its gradient does not."""
    return jax.lax.stop_gradient(value)


def against(target: str, loss: Callable[[Array, Array], Array]) -> Callable[..., Array]:
    """The loss of an output against an entry of the data, averaged over all elements."""

    def compare(output: Array, data: Data) -> Array:
        return jnp.mean(loss(output, data[target]))

    return compare


@dataclass(frozen=True)
class Stage:
    """One network of a series and the losses taken at its output.

    ``enter`` is what the value passes through on its way from the network before. ``flattened``
    names each Linear layer whose input was an image (channels, height, width): torch flattens it
    channels first, JAX channels last, so its weight's input axis is permuted once, at loading.
    """

    name: str
    network: nnx.Module
    losses: Mapping[str, Callable[[Any, Data], Array]] = field(default_factory=dict)
    enter: Callable[[Any, Data], Any] = as_it_is
    flattened: Mapping[str, tuple[int, int, int]] = field(default_factory=dict)

    @cached_property
    def _split(self) -> Any:
        # the graph, BatchNorm's statistics, and what is left: the parameters
        return nnx.split(self.network, nnx.BatchStat, ...)

    def _named(self, state: Any) -> dict[str, tuple[Path, Any]]:
        return {
            f"{self.name}.{canonical(path)}": (path, leaf)
            for path, leaf in nnx.to_flat_state(state)
        }

    @cached_property
    def parameters(self) -> dict[str, tuple[Path, Any]]:
        """Canonical name → (nnx's path, variable) of every parameter."""
        return self._named(self._split[2])

    @cached_property
    def buffers(self) -> dict[str, tuple[Path, Any]]:
        """The same for what is kept but not learned: BatchNorm's running statistics."""
        return self._named(self._split[1])

    def call(self, parameters: Parameters, buffers: Buffers, value: Any) -> tuple[Any, Buffers]:
        """The network as a pure function: its output, and its buffers afterwards."""

        def state(named: Mapping[str, Any], arrays: Mapping[str, Array]) -> Any:
            return nnx.from_flat_state([(path, arrays[n]) for n, (path, _) in named.items()])

        kept, learned = state(self.buffers, buffers), state(self.parameters, parameters)
        network = nnx.merge(self._split[0], kept, learned)
        output = network(value)
        after = self._named(nnx.state(network, nnx.BatchStat)) if self.buffers else {}
        return output, {name: leaf[...] for name, (_, leaf) in after.items()}


def canonical(path: Iterable[Any]) -> str:
    """nnx's path to a parameter as a canonical name: ``('linear', 'kernel')`` → linear.weight."""
    *layers, leaf = (str(part) for part in path)
    return ".".join([*layers, LEAVES.get(leaf, leaf)])


class Problem:
    """Stages with their data, and the flow: which loss may change which parameter.

    ``reach`` holds, for each loss, the names of the parameters that it would reach if nothing were
    frozen; ``flow`` is what is left of it, the trained ones. A loss whose flow is empty has no
    gradient to ask for and is left out of `losses`. Arrays are handed to every pure function as
    arguments: closed over, XLA would fold them into the program as constants.
    """

    def __init__(
        self, stages: list[Stage], data: Data, reach: Mapping[str, list[str]], frozen: list[str]
    ) -> None:
        self.stages = stages
        self.reach = reach
        kept = {loss: [n for n in names if n not in frozen] for loss, names in reach.items()}
        self.flow = {loss: names for loss, names in kept.items() if names}
        self.names = [name for stage in stages for name in stage.parameters]
        self.frozen = [name for name in self.names if name in set(frozen)]
        self.flattened = {
            f"{stage.name}.{layer}.weight": shape
            for stage in stages
            for layer, shape in stage.flattened.items()
        }
        self.trainable: Parameters = {}
        self.constants: dict[str, Any] = {"data": data, "frozen": {}, "buffers": {}}

    def load(self, parameters: Parameters, buffers: Buffers) -> None:
        """Take these, already in the native layout."""
        self.trainable = {n: parameters[n] for n in self.names if n not in set(self.frozen)}
        frozen = {n: parameters[n] for n in self.frozen}
        self.constants = {**self.constants, "frozen": frozen, "buffers": buffers}

    @property
    def everything(self) -> Parameters:
        """All parameters, trained or not, in order."""
        known = {**self.constants["frozen"], **self.trainable}
        return {name: known[name] for name in self.names}

    def reached(self, parameters: Parameters, loss: str) -> Parameters:
        """The trained parameters that this loss reaches, by name."""
        return {name: parameters[name] for name in self.flow[loss]}

    def crossed(self, boundary: int) -> bool:
        """Whether a gradient crosses from stage ``boundary + 1`` back into the stages before."""
        before = tuple(f"{stage.name}." for stage in self.stages[: boundary + 1])
        behind = {loss for stage in self.stages[boundary + 1 :] for loss in stage.losses}
        return any(
            name.startswith(before) for loss in behind & set(self.flow) for name in self.flow[loss]
        )

    def run_stage(
        self,
        stage: Stage,
        value: Any,
        parameters: Parameters,
        constants: Constants,
        among: Collection[str] | None = None,
    ) -> tuple[Any, Losses, Buffers]:
        """One stage's output, its losses, and its buffers afterwards.

        Of the losses only those ``among`` the given names, or else all that reach something.
        """
        data, known = constants["data"], {**constants["frozen"], **parameters}
        output, buffers = stage.call(known, constants["buffers"], stage.enter(value, data))
        wanted = self.flow if among is None else among
        losses = {n: f(output, data) for n, f in stage.losses.items() if n in wanted}
        return output, losses, buffers

    def forward(
        self,
        parameters: Parameters,
        constants: Constants,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> tuple[Losses, Buffers]:
        """`losses`, and the buffers as the forward pass leaves them."""
        value, losses, buffers = constants["data"]["x"], Losses(), Buffers()
        for stage in self.stages:
            value, here, kept = self.run_stage(stage, value, parameters, constants, among)
            losses |= here
            buffers |= kept
            if until in here:
                break
        return losses, buffers

    def losses(
        self, parameters: Parameters, constants: Constants, *, until: str | None = None
    ) -> Losses:
        """Every loss that reaches something, in order; ``until`` stops behind that loss's stage."""
        return self.forward(parameters, constants, until=until)[0]

    def outputs(self, parameters: Parameters, constants: Constants) -> dict[str, Any]:
        """What each stage returns, by its name."""
        value, outputs = constants["data"]["x"], {}
        for stage in self.stages:
            value, _, _ = self.run_stage(stage, value, parameters, constants, among=())
            outputs[stage.name] = value
        return outputs


def leaves_bytes(tree: Any) -> int:
    """Bytes of every array in a pytree; a leaf that stands in it twice is counted once."""
    leaves = {id(leaf): leaf.nbytes for leaf in jax.tree.leaves(tree)}
    return sum(leaves.values())
