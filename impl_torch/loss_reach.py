"""Find out which loss of a case sends a gradient to which tensor, each loss alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from impl_torch.case_losses import check_losses, check_names
from impl_torch.graph_problem import seed_everything
from impl_torch.step_case import StepCase
from impl_torch.step_changes import dense

NUDGE = 1e-2  # relative change of a parameter that must change a loss which depends on it
MOST_PASSES = 200  # forward passes that may be spent on finding what is cut off


class LossReach:
    """Hold what each loss of a case does to each parameter, at the weights of now.

    Args:
        case: its buffers and random numbers are put back after each pass.

    Attributes:
        states: loss → parameter → ``value``, ``zero`` or ``absent``.
        values: loss → its value.
        finite: loss → whether its value and all its gradients are finite.
        cut: parameters that a loss depends on, while none sends a gradient there.
        unused: parameters that no loss depends on.
    """

    def __init__(self, case: StepCase) -> None:
        self.case = case
        self.states: dict[str, dict[str, str]] = {}
        self.finite: dict[str, bool] = {}
        with _restored(case):
            first = check_losses(case.losses(), finite=False)
        self.values = {name: float(value.detach()) for name, value in first.items()}
        del first
        for loss in self.values:
            self._differentiate(loss)
        reached = {n for states in self.states.values() for n, s in states.items() if s != "absent"}
        self._budget = MOST_PASSES
        asked = [n for n, p in case.parameters.items() if n not in reached and p.requires_grad]
        self.cut = self._mattering(asked)
        self.unused = [name for name in asked if name not in self.cut]

    def _differentiate(self, loss: str) -> None:
        """Run one loss forward and backward, alone."""
        required = {n: p for n, p in self.case.parameters.items() if p.requires_grad}
        with _restored(self.case):
            losses = check_losses(self.case.losses(), finite=False)
            check_names(self.values, losses)
            value = losses.pop(loss)
            del losses
            grads: Any = [None] * len(required)
            if value.requires_grad and required:
                grads = _gradients(value, list(required.values()))
        own = dict(zip(required, grads, strict=True))
        self.states[loss] = {n: _state(own.get(n)) for n in self.case.parameters}
        finite = all(bool(dense(g).isfinite().all()) for g in grads if g is not None)
        self.finite[loss] = finite and math.isfinite(self.values[loss])

    def _mattering(self, names: list[str]) -> list[str]:
        """Return those of these parameters that a loss depends on, by halves."""
        if not names or self._budget <= 0 or not self._depends(names):
            return []
        if len(names) == 1:
            return names
        middle = len(names) // 2
        return self._mattering(names[:middle]) + self._mattering(names[middle:])

    def _depends(self, names: list[str]) -> bool:
        """Return whether any loss changes when these parameters do."""
        self._budget -= 1
        parameters = self.case.parameters
        start = {n: parameters[n].detach().clone() for n in names}
        generator = torch.Generator().manual_seed(self.case.seed)
        with _restored(self.case):
            for name in names:
                noise = torch.randn(start[name].shape, generator=generator).to(start[name])
                parameters[name].data.add_(noise * NUDGE * (1.0 + start[name].abs()))
            # with gradients, as before: without them some modules take another path, which rounds
            # otherwise, and a loss that differentiates something itself fails
            values = check_losses(self.case.losses(), finite=False)
            for name, old in start.items():
                parameters[name].data.copy_(old)
        return any(
            float(value.detach()) != self.values[name] for name, value in values.items()
            if math.isfinite(self.values.get(name, math.nan))
        )  # fmt: skip


@contextmanager
def _restored(case: StepCase) -> Iterator[None]:
    """Put every buffer and the random numbers back after the context."""
    buffers = [b for network in case.networks.values() for b in network.buffers()]
    copies = [(b, b.detach().clone()) for b in buffers]
    try:
        yield
    finally:
        for buffer, old in copies:
            if buffer.shape == old.shape:
                buffer.data.copy_(old)
        seed_everything(case.seed)


def _gradients(value: Tensor, parameters: list[Tensor]) -> list[Tensor | None]:
    """Return the gradients by these parameters, and leave their ``.grad`` as it is.

    It is ``.backward()`` that is asked, as the step does: a reentrant checkpoint takes no other.
    """
    before = [p.grad for p in parameters]
    for parameter in parameters:
        parameter.grad = None
    try:
        value.backward()
        return [p.grad for p in parameters]
    finally:
        for parameter, grad in zip(parameters, before, strict=True):
            parameter.grad = grad


def _state(gradient: Tensor | None) -> str:
    """Return ``absent``, ``zero`` (every element exactly) or ``value``."""
    if gradient is None:
        return "absent"
    return "value" if bool(dense(gradient).any()) else "zero"
