"""A scenario ready to run: networks in series, the losses between them, and who may learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jax
from flax import nnx
from jax import Array

Data = Mapping[str, Array]
Losses = dict[str, Array]
Parameters = dict[str, Array]

LEAVES = {"weight": "kernel", "bias": "bias"}  # torch's names are the canonical ones
CANONICAL = {leaf: name for name, leaf in LEAVES.items()}


def as_it_is(value: Any) -> Any:
    """The link between two networks where nothing happens in between."""
    return value


@dataclass(frozen=True)
class Stage:
    """One network of a series and the losses taken at its output.

    ``enter`` is what the value passes through on its way from the network before.
    """

    name: str
    network: nnx.Module
    losses: Mapping[str, Callable[[Any, Data], Array]] = field(default_factory=dict)
    enter: Callable[[Any], Any] = as_it_is

    def parameters(self) -> dict[str, tuple[int, ...]]:
        """Canonical name → native shape of every parameter of the network."""
        state = nnx.split(self.network)[1]
        return {
            f"{self.name}.{canonical(path)}": tuple(leaf.shape)
            for path, leaf in nnx.to_flat_state(state)
        }

    def call(self, parameters: Mapping[str, Array], value: Any) -> Any:
        """The network as a pure function of its parameters, named canonically."""
        graph = nnx.split(self.network)[0]
        prefix = f"{self.name}."
        own = [(native(n, prefix), p) for n, p in parameters.items() if n.startswith(prefix)]
        return nnx.merge(graph, nnx.from_flat_state(own))(value)


def canonical(path: Iterable[Any]) -> str:
    """nnx's path to a parameter as a canonical name: ``('linear', 'kernel')`` → linear.weight."""
    *layers, leaf = (str(part) for part in path)
    return ".".join([*layers, CANONICAL.get(leaf, leaf)])


def native(name: str, prefix: str) -> tuple[str, ...]:
    """The inverse of `canonical`, for a name that starts with its network's."""
    *layers, leaf = name[len(prefix) :].split(".")
    return (*layers, LEAVES.get(leaf, leaf))


class Problem:
    """Stages with their data, and the flow: which loss may change which parameter.

    ``flow`` holds, for each loss, the names of the trained parameters that it reaches. A loss that
    reaches none has no gradient to ask for and is left out of `losses`. Arrays are handed to every
    pure function as arguments: closed over, XLA would fold them into the program as constants.
    """

    def __init__(
        self, stages: list[Stage], data: Data, flow: Mapping[str, list[str]], frozen: list[str]
    ) -> None:
        self.stages = stages
        self.flow = {loss: names for loss, names in flow.items() if names}
        self.names = [name for stage in stages for name in stage.parameters()]
        self.frozen = [name for name in self.names if name in set(frozen)]
        self.trainable: Parameters = {}
        self.constants: dict[str, Any] = {"data": data, "frozen": {}}

    def load(self, parameters: Parameters) -> None:
        """Take these parameters, already in the native layout."""
        self.trainable = {n: parameters[n] for n in self.names if n not in set(self.frozen)}
        self.constants = {**self.constants, "frozen": {n: parameters[n] for n in self.frozen}}

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
        self, stage: Stage, value: Any, parameters: Parameters, constants: Mapping[str, Any]
    ) -> tuple[Any, Losses]:
        """One stage's output and its losses."""
        output = stage.call({**constants["frozen"], **parameters}, stage.enter(value))
        data = constants["data"]
        losses = {n: f(output, data) for n, f in stage.losses.items() if n in self.flow}
        return output, losses

    def losses(
        self, parameters: Parameters, constants: Mapping[str, Any], *, until: str | None = None
    ) -> Losses:
        """Every loss that reaches something, in order; ``until`` stops behind that loss's stage."""
        value, losses = constants["data"]["x"], Losses()
        for stage in self.stages:
            value, here = self.run_stage(stage, value, parameters, constants)
            losses |= here
            if until in here:
                break
        return losses

    def outputs(self, parameters: Parameters, constants: Mapping[str, Any]) -> dict[str, Any]:
        """What each stage returns, by its name."""
        value, outputs = constants["data"]["x"], {}
        for stage in self.stages:
            value, _ = self.run_stage(stage, value, parameters, constants)
            outputs[stage.name] = value
        return outputs


def leaves_bytes(tree: Any) -> int:
    """Bytes of every array in a pytree; a leaf that stands in it twice is counted once."""
    leaves = {id(leaf): leaf.nbytes for leaf in jax.tree.leaves(tree)}
    return sum(leaves.values())
