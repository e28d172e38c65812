"""Hold a scenario ready to run: networks in series, their losses, and what is trained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from impl_torch.naming import name_once
from impl_torch.structure import change_tensors

Data = Mapping[str, Tensor]
Losses = dict[str, Tensor]


def as_it_is(value: Any, data: Data) -> Any:
    """Return the value unchanged: the link between two networks that does nothing."""
    return value


def cut(value: Any, data: Data) -> Any:
    """Detach the value: the link between two networks that stops the gradient.

    Of several tensors, as in a tuple or a dict, each is detached.
    """
    return change_tensors(value, Tensor.detach)


def against(target: str, loss: Callable[[Tensor, Tensor], Tensor]) -> Callable[..., Tensor]:
    """Return the function (output, data) → loss of a stage's output against ``data[target]``.

    ``loss(output, target)`` returns a single number, as torch's losses do by default.
    """

    def compare(output: Tensor, data: Data) -> Tensor:
        return loss(output, data[target])

    return compare


@dataclass(frozen=True)
class Stage:
    """Hold one network of a series and the losses taken at its output.

    Attributes:
        name: the first part of the canonical names of its parameters.
        network: called with the value that enters the stage.
        losses: loss name → function of the network's output and the data.
        enter: the link from the network before, a function of that network's output and the data.
    """

    name: str
    network: nn.Module
    losses: Mapping[str, Callable[[Any, Data], Tensor]] = field(default_factory=dict)
    enter: Callable[[Any, Data], Any] = as_it_is


class Problem:
    """Hold stages, their data and the flow: which loss may change which parameter.

    Args:
        stages: the networks, first to last.
        data: the arrays of the scenario; ``x`` enters the first network.
        reach: loss → names of the parameters that it would reach if nothing were frozen.
        frozen: names of the parameters that must not change.

    ``flow`` is ``reach`` without the frozen parameters. A loss whose flow is empty has no gradient
    and is left out of `losses`. ``built_frozen`` names the parameters that the networks froze
    themselves when they were built. ``tied`` maps the other names of a parameter that occurs at
    several places to the one under which it is kept, see `name_once`. ``every_buffer`` holds the
    buffers by name, ``buffers`` those with an axis: single numbers, such as BatchNorm's counter of
    batches, which JAX lacks, are restored as the others and not compared.
    """

    def __init__(
        self, stages: list[Stage], data: Data, reach: Mapping[str, list[str]], frozen: list[str]
    ) -> None:
        self.stages = stages
        self.data = data
        self.reach = reach
        trained = {loss: [n for n in names if n not in frozen] for loss, names in reach.items()}
        self.flow = {loss: names for loss, names in trained.items() if names}
        known = {name for names in reach.values() for name in names} | set(frozen)
        self.parameters, self.tied = name_once(
            {stage.name: stage.network for stage in stages}, known
        )
        self.every_buffer = {
            f"{stage.name}.{name}": buffer
            for stage in stages
            for name, buffer in stage.network.named_buffers()
        }
        self.buffers = {name: buffer for name, buffer in self.every_buffer.items() if buffer.ndim}
        self.built_frozen = [n for n, p in self.parameters.items() if not p.requires_grad]
        self.trainable = {n: p for n, p in self.parameters.items() if n not in set(frozen)}
        self._buffers_at_start = {n: b.clone() for n, b in self.every_buffer.items()}
        self.require_grad(self.trainable)

    def require_grad(self, names: Collection[str]) -> None:
        """Let these parameters require a gradient, and no others; clear every ``.grad``.

        An optimizer applies a stale ``.grad`` although its parameter is frozen by now.
        """
        for name, parameter in self.parameters.items():
            parameter.requires_grad_(name in names)
            parameter.grad = None

    def load(self, arrays: Mapping[str, Tensor]) -> None:
        """Copy these tensors into the parameters and buffers of the same names, in place.

        The buffers are remembered; `restore_buffers` sets them back to these values. Single numbers
        are not loaded: they are set back to those of the start.
        """
        self.restore_buffers()
        with torch.no_grad():
            for name, tensor in (self.parameters | self.buffers).items():
                tensor.copy_(arrays[name])
        self._buffers_at_start = {n: b.clone() for n, b in self.every_buffer.items()}

    def share_with(self, stage: Stage) -> None:
        """Replace the parameters and buffers of another problem's stage by those of this problem.

        Then both problems train the same tensors, as the turns of an alternating training do.
        """
        shared = self.parameters | self.every_buffer
        shared |= {name: shared[other] for name, other in self.tied.items()}
        every = stage.network.named_parameters(remove_duplicate=False)
        for name, _ in [*every, *stage.network.named_buffers()]:
            module, _, leaf = name.rpartition(".")
            if f"{stage.name}.{name}" in shared:
                setattr(stage.network.get_submodule(module), leaf, shared[f"{stage.name}.{name}"])

    def restore_buffers(self) -> None:
        """Set BatchNorm's running statistics and counters back to the values of the start."""
        for name, start in self._buffers_at_start.items():
            self.every_buffer[name].copy_(start)

    def reached(self, loss: str) -> dict[str, nn.Parameter]:
        """Return the trained parameters that this loss reaches, by name."""
        return {name: self.trainable[name] for name in self.flow[loss]}

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
        parameters: Mapping[str, Tensor] | None = None,
        among: Collection[str] | None = None,
    ) -> tuple[Any, Losses]:
        """Run one stage; return the output of its network and its losses by name.

        Args:
            stage: one of ``stages``.
            value: the output of the stage before, or the data's ``x``.
            parameters: tensors to use in place of the modules' own, by canonical name.
            among: the losses to compute; by default those that reach a trained parameter.
        """
        return self.run_network(stage, stage.enter(value, self.data), parameters, among)

    def run_network(
        self,
        stage: Stage,
        value: Any,
        parameters: Mapping[str, Tensor] | None,
        among: Collection[str] | None,
    ) -> tuple[Any, Losses]:
        """Run a stage's network on a value that has passed the stage's link; see `run_stage`.

        Returns the output of the network, and the losses by name.
        """
        if parameters is None:
            output = stage.network(value)
        else:
            prefix = f"{stage.name}."
            named = {**parameters, **self._tied_among(parameters)}
            own = {n[len(prefix) :]: p for n, p in named.items() if n.startswith(prefix)}
            output = torch.func.functional_call(stage.network, own, (value,))
        selected = self.flow if among is None else among
        losses = {n: f(output, self.data) for n, f in stage.losses.items() if n in selected}
        return output, losses

    def _tied_among(self, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return those of these tensors that are tied, by their other names."""
        return {name: parameters[n] for name, n in self.tied.items() if n in parameters}

    def losses(
        self,
        parameters: Mapping[str, Tensor] | None = None,
        *,
        until: str | None = None,
        among: Collection[str] | None = None,
    ) -> Losses:
        """Run all networks; return every loss that reaches a trained parameter, by name.

        ``parameters`` and ``among`` are those of `run_stage`. With ``until`` no stage behind the
        one of that loss is run.
        """
        value = self.data["x"]
        losses: Losses = {}  # not `Losses()`: Dynamo cannot trace a call of the type alias
        for stage in self.stages:
            value, stage_losses = self.run_stage(stage, value, parameters, among)
            losses |= stage_losses
            if until in stage_losses:
                break
        return losses

    def outputs(self) -> dict[str, Any]:
        """Return the output of each stage, by the stage's name."""
        value, outputs = self.data["x"], {}
        for stage in self.stages:
            value, _ = self.run_stage(stage, value, among=())
            outputs[stage.name] = value
        return outputs
