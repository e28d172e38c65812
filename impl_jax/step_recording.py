"""Record what happens to the arrays of a case while its training steps run."""

from __future__ import annotations

from typing import Any

from impl_jax.step_case import StepCase
from impl_jax.step_changes import change

FURTHER = 4  # times the steps, at most, that are taken while something has not moved yet


class Recorder:
    """Take training steps of a case and keep what they leave.

    Args:
        case: built for this alone.

    Attributes:
        parameters: before the first step and after each: name → array.
        buffers: the same of buffers.
        totals: for each step, parameter or buffer → change.
        state_changed: whether anything of a pure step's state has changed.
    """

    def __init__(self, case: StepCase) -> None:
        self.case = case
        parameters, buffers = case.current()
        self.parameters: list[dict[str, Any]] = [parameters]
        self.buffers: list[dict[str, Any]] = [buffers]
        self.totals: list[dict[str, float]] = []
        self.state_changed = False

    def take(self, steps: int) -> None:
        """Take this many training steps, each recorded."""
        before = self.case.prints() if self.case.pure else []
        for _ in range(steps):
            self._take_one()
        self.state_changed |= self.case.pure and self.case.prints() != before

    def take_until_moved(self, names: list[str], steps: int) -> None:
        """Take steps; go on for a while if one of these parameters has not moved."""
        self.take(steps)
        while len(self.totals) < FURTHER * steps and self._resting(names):
            self.take(1)

    def _resting(self, names: list[str]) -> bool:
        """Return whether any of these parameters has not moved."""
        return any(not any(totals[n] for totals in self.totals) for n in names)

    def _take_one(self) -> None:
        """Take one training step."""
        self.case.take()
        parameters, buffers = self.case.current()
        old = {**self.parameters[-1], **self.buffers[-1]}
        now = {**parameters, **buffers}
        self.totals.append({n: change(old[n], array) for n, array in now.items()})
        self.parameters.append(parameters)
        self.buffers.append(buffers)
