"""A scenario ready to run: networks in series, the losses between them, and who may learn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Data = Mapping[str, Tensor]
Losses = dict[str, Tensor]


def as_it_is(value: Any) -> Any:
    """The link between two networks where nothing happens in between."""
    return value


@dataclass(frozen=True)
class Stage:
    """One network of a series and the losses taken at its output.

    ``enter`` is what the value passes through on its way from the network before.
    """

    name: str
    network: nn.Module
    losses: Mapping[str, Callable[[Any, Data], Tensor]] = field(default_factory=dict)
    enter: Callable[[Any], Any] = as_it_is


class Problem:
    """Stages with their data, and the flow: which loss may change which parameter.

    ``flow`` holds, for each loss, the names of the trained parameters that it reaches. A loss that
    reaches none has no gradient to ask for and is left out of `losses`.
    """

    def __init__(
        self, stages: list[Stage], data: Data, flow: Mapping[str, list[str]], frozen: list[str]
    ) -> None:
        self.stages = stages
        self.data = data
        self.flow = {loss: names for loss, names in flow.items() if names}
        self.parameters = dict(self._named_parameters())
        for name in frozen:
            self.parameters[name].requires_grad_(False)
        self.trainable = {n: p for n, p in self.parameters.items() if n not in set(frozen)}

    def _named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        for stage in self.stages:
            for name, parameter in stage.network.named_parameters():
                yield f"{stage.name}.{name}", parameter

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
        self, stage: Stage, value: Any, parameters: Mapping[str, Tensor] | None = None
    ) -> tuple[Any, Losses]:
        """One stage's output and its losses; ``parameters`` stand in for the modules' own."""
        value = stage.enter(value)
        if parameters is None:
            output = stage.network(value)
        else:
            prefix = f"{stage.name}."
            own = {n[len(prefix) :]: p for n, p in parameters.items() if n.startswith(prefix)}
            output = torch.func.functional_call(stage.network, own, (value,))
        losses = {n: f(output, self.data) for n, f in stage.losses.items() if n in self.flow}
        return output, losses

    def losses(
        self, parameters: Mapping[str, Tensor] | None = None, *, until: str | None = None
    ) -> Losses:
        """Every loss that reaches something, in order; ``until`` stops behind that loss's stage."""
        value, losses = self.data["x"], Losses()
        for stage in self.stages:
            value, here = self.run_stage(stage, value, parameters)
            losses |= here
            if until in here:
                break
        return losses

    def outputs(self) -> dict[str, Any]:
        """What each stage returns, by its name."""
        value, outputs = self.data["x"], {}
        for stage in self.stages:
            value, _ = self.run_stage(stage, value)
            outputs[stage.name] = value
        return outputs
