"""A scenario ready to run: networks in series, the losses between them, and who may learn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Data = Mapping[str, Tensor]
Losses = dict[str, Tensor]


def as_it_is(value: Any, data: Data) -> Any:
    """The link between two networks where nothing happens in between."""
    return value


def cut(value: Tensor, data: Data) -> Tensor:
    """The link that the value passes and its gradient does not."""
    return value.detach()


def against(target: str, loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """The loss of an output against an entry of the data, averaged over all elements."""

    def compare(output: Tensor, data: Data) -> Tensor:
        return loss(output, data[target])

    return compare


@dataclass(frozen=True)
class Stage:
    """One network of a series and the losses taken at its output.

    ``enter`` is what the value passes through on its way from the network before.
    """

    name: str
    network: nn.Module
    losses: Mapping[str, Callable[[Any, Data], Tensor]] = field(default_factory=dict)
    enter: Callable[[Any, Data], Any] = as_it_is


class Problem:
    """Stages with their data, and the flow: which loss may change which parameter.

    ``reach`` holds, for each loss, the names of the parameters that it would reach if nothing were
    frozen; ``flow`` is what is left of it, the trained ones. A loss whose flow is empty has no
    gradient to ask for and is left out of `losses`.
    """

    def __init__(
        self, stages: list[Stage], data: Data, reach: Mapping[str, list[str]], frozen: list[str]
    ) -> None:
        self.stages = stages
        self.data = data
        self.reach = reach
        kept = {loss: [n for n in names if n not in frozen] for loss, names in reach.items()}
        self.flow = {loss: names for loss, names in kept.items() if names}
        self.parameters = dict(self._named(nn.Module.named_parameters))
        self.buffers = {n: b for n, b in self._named(nn.Module.named_buffers) if b.ndim}
        self.trainable = {n: p for n, p in self.parameters.items() if n not in set(frozen)}
        self._buffers_at_start = {n: b.clone() for n, b in self.buffers.items()}
        self.require_grad(self.trainable)

    def _named(self, members: Callable[[nn.Module], Iterator[tuple[str, Any]]]) -> Iterator[Any]:
        for stage in self.stages:
            for name, member in members(stage.network):
                yield f"{stage.name}.{name}", member

    def require_grad(self, names: Collection[str]) -> None:
        """Let these parameters require a gradient, and no others; none keeps an old ``.grad``.

        A stale ``.grad`` would be applied by the optimizer although its parameter is frozen.
        """
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in names)
            parameter.grad = None

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        """Put these into parameters and buffers, in place."""
        with torch.no_grad():
            for name, tensor in (self.parameters | self.buffers).items():
                tensor.copy_(arrays[name])
        self._buffers_at_start = {n: b.clone() for n, b in self.buffers.items()}

    def share_with(self, stage: Stage) -> None:
        """Put these parameters and buffers in the place of a stage's own."""
        mine = self.parameters | self.buffers
        own = [*stage.network.named_parameters(), *stage.network.named_buffers()]
        for name, _ in own:
            module, _, leaf = name.rpartition(".")
            if f"{stage.name}.{name}" in mine:
                setattr(stage.network.get_submodule(module), leaf, mine[f"{stage.name}.{name}"])

    def restore_buffers(self) -> None:
        """BatchNorm's running statistics back to where they were loaded."""
        for name, start in self._buffers_at_start.items():
            self.buffers[name].copy_(start)

    @property
    def front(self) -> int:
        """How many networks stand in front of the first that is trained."""
        learns = [any(n.startswith(f"{s.name}.") for n in self.trainable) for s in self.stages]
        return learns.index(True)

    def reached(self, loss: str) -> dict[str, nn.Parameter]:
        """The trained parameters that this loss reaches, by name."""
        return {name: self.trainable[name] for name in self.flow[loss]}

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
        parameters: Mapping[str, Tensor] | None = None,
        among: Collection[str] | None = None,
    ) -> tuple[Any, Losses]:
        """One stage's output and its losses; ``parameters`` stand in for the modules' own.

        Of the losses only those ``among`` the given names, or else all that reach something.
        """
        return self.pass_through(stage, stage.enter(value, self.data), parameters, among)

    def pass_through(
        self,
        stage: Stage,
        value: Any,
        parameters: Mapping[str, Tensor] | None,
        among: Collection[str] | None,
    ) -> tuple[Any, Losses]:
        """`run_stage` for a value that has entered: the network, and the losses at its output."""
        if parameters is None:
            output = stage.network(value)
        else:
            prefix = f"{stage.name}."
            own = {n[len(prefix) :]: p for n, p in parameters.items() if n.startswith(prefix)}
            output = torch.func.functional_call(stage.network, own, (value,))
        wanted = self.flow if among is None else among
        losses = {n: f(output, self.data) for n, f in stage.losses.items() if n in wanted}
        return output, losses

    def losses(
        self,
        parameters: Mapping[str, Tensor] | None = None,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> Losses:
        """Every loss that reaches something, in order; ``until`` stops behind that loss's stage."""
        value = self.data["x"]
        losses: Losses = {}  # Dynamo cannot call the alias
        for stage in self.stages:
            value, here = self.run_stage(stage, value, parameters, among)
            losses |= here
            if until in here:
                break
        return losses

    def run_front(self) -> Any:
        """The output of the networks in front of the first that is trained; no losses."""
        value = self.data["x"]
        for stage in self.stages[: self.front]:
            value, _ = self.run_stage(stage, value, among=())
        return value

    def losses_behind(self, value: Any) -> Losses:
        """Every loss that reaches something, from the front's output on."""
        losses: Losses = {}
        for stage in self.stages[self.front :]:
            value, here = self.run_stage(stage, value)
            losses |= here
        return losses

    def outputs(self) -> dict[str, Any]:
        """What each stage returns, by its name."""
        value, outputs = self.data["x"], {}
        for stage in self.stages:
            value, _ = self.run_stage(stage, value, among=())
            outputs[stage.name] = value
        return outputs
