"""Observe what a user's own training step does, tensor by tensor, as plain data.

What is a mistake is decided from this data alone, by `results/own_code/findings.py`.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch

from impl_torch import step_replays
from impl_torch.loss_reach import LossReach
from impl_torch.step_case import STATED, StepCase, held_by, label, strangers
from impl_torch.step_changes import Pass, Reducing, groups_of, number
from impl_torch.step_recording import Recorder

REENTRANT = "None of the inputs have requires_grad=True"


def observe(make: Callable[[], Any], seed: int, steps: int) -> dict[str, Any]:
    """Take some training steps and return what they did; see `results.own_code.check_schema`.

    Args:
        make: the user's function, which is called several times.
        seed: is set before each call and before the first step.
        steps: how many to take.

    Raises:
        CaseError: the case has no step, or cannot be run.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        return Observation(lambda: StepCase(make, seed), steps, caught).data()


class Observation:
    """Hold one observation: the losses alone, the steps as they are, the steps changed.

    Args:
        build: builds the case anew.
        steps: how many to take.
        caught: warnings, as they come.
    """

    def __init__(self, build: Callable[[], StepCase], steps: int, caught: list[Any]) -> None:
        self.build, self.steps = build, steps
        self.reach = LossReach(build())
        self.case = build()
        self.recorder = Recorder(self.case)
        networks, parameters = self.case.networks.values(), self.case.parameters
        with Reducing(networks, parameters) as self.reducing:
            self.recorder.take(steps)
        self.optimizers = held_by(self.case.parameters, self.recorder.stepped.values())
        self.reentrant = any(REENTRANT in str(one.message) for one in caught)

    def data(self) -> dict[str, Any]:
        """Return everything as plain data."""
        recorder = self.recorder
        return {
            "framework": "torch",
            "steps": self.steps,
            "losses": self._losses(),
            "tensors": [*self._parameters(), *self._buffers()],
            "passes": [sum(p.adds for p in passes) for passes in recorder.passes],
            "moves": self._moves(),
            "stepped": sorted(label(one) for one in recorder.stepped.values()),
            "strangers": self._strangers(),
            "clipped": recorder.clipped,
            "merged": self._merged(),
            "frozen_gradients": self._frozen_gradients(),
            "zero_weight": step_replays.zero_weights(self.build, self.steps),
            "first_nonfinite": self._first_nonfinite(),
            "reduced": self.reducing.reduced(),
        }

    def _moves(self) -> list[dict[str, Any]]:
        """Return the changes by optimizers that may be none they should make."""
        numbers = {one: number for number, one in enumerate(self.recorder.stepped)}
        return [
            {**asdict(one), "optimizer": numbers[one.optimizer]}
            for one in self.recorder.moves
            if one.name in self.case.frozen or not one.fresh or one.inside
        ]

    def _losses(self) -> dict[str, Any]:
        """Return what is known of each loss alone."""
        return {
            name: {"value": value if math.isfinite(value) else str(value),
                   "finite": self.reach.finite[name]}
            for name, value in self.reach.values.items()
        }  # fmt: skip

    def _parameters(self) -> list[dict[str, Any]]:
        """Return what is known of each parameter."""
        recorder = self.recorder
        parameters = []
        for name, parameter in self.case.parameters.items():
            holders = self.optimizers[name]
            parameters.append(
                {
                    "name": name,
                    "kind": "parameter",
                    "elements": parameter.numel(),
                    "shape": list(parameter.shape),
                    "frozen": self.case.frozen.get(name),
                    "reach": {loss: states[name] for loss, states in self.reach.states.items()},
                    "cut": self._cut(name),
                    "held": bool(holders),
                    "optimizers": [label(one) for one in holders],
                    "stepped": any(id(one) in recorder.stepped for one in holders),
                    "rate": max((_rate(one, parameter) for one in holders), default=0.0),
                    "cleared": name in recorder.with_gradient and name not in recorder.met_gradient,
                    "piled": 0
                    if name in recorder.piling.cleared
                    else recorder.piling.steps.get(name, 0),
                    "gradients": [counts[name] for counts in recorder.counts],
                    "moved": [_plain(totals[name]) for totals in recorder.totals],
                    "outside": [_plain(one.get(name, 0.0)) for one in recorder.outside],
                    "called": name in recorder.called,
                    "stale_cast": name in recorder.stale,
                    "tied": [new for new, old in self.case.aliases.items() if old == name],
                }
            )
        return parameters

    def _cut(self, name: str) -> str | None:
        """Return by what all losses are cut off from a parameter that they depend on."""
        if name in self.reach.cut:
            if self.reentrant:
                return "checkpoint"
            called = name in self.recorder.called
            return "no_grad" if called and name not in self.recorder.tracked else "detach"
        return None

    def _buffers(self) -> list[dict[str, Any]]:
        """Return what is known of each buffer."""
        recorder, frozen = self.recorder, self.case.frozen_buffers()
        stated = {n for n, why in self.case.frozen.items() if why == STATED}
        return [
            {
                "name": name,
                "kind": "buffer",
                "elements": self.case.buffer(name).numel(),
                "shape": list(self.case.buffer(name).shape),
                "frozen": (STATED if set(frozen[name]) <= stated else "unrequired")
                if name in frozen
                else None,
                "moved": [_plain(totals[name]) for totals in recorder.totals],
                "in_forward": _plain(recorder.forwards.get(name, 0.0)),
                "beside_moved": any(
                    totals[n] for totals in recorder.totals for n in frozen.get(name, ())
                ),
            }
            for name in self.case.buffers
        ]

    def _strangers(self) -> list[list[int]]:
        """Return the shapes of what the optimizers hold beside the parameters."""
        tensors = strangers(self.recorder.stepped.values(), self.case.parameters)
        return [list(one.shape) for one in tensors]

    def _merged(self) -> dict[str, Any] | None:
        """Return what merging backward passes would save; None where there is nothing to merge."""
        positions = [_put_off(passes) for passes in self.recorder.passes]
        if not any(positions):
            return None
        return step_replays.merged_passes(self.build, positions, len(positions))

    def _frozen_gradients(self) -> dict[str, Any] | None:
        """Return what it costs that frozen parameters get gradients; None where none does."""
        counts = self.recorder.counts
        wasted = [
            name
            for name, why in self.case.frozen.items()
            if why == STATED
            and any(one[name] for one in counts)
            and not any(totals[name] for totals in self.recorder.totals)
        ]
        if not wasted:
            return None
        saving = step_replays.without_frozen_gradients(self.build, self.steps)
        return saving and {"names": wasted, **saving}

    def _first_nonfinite(self) -> dict[str, Any] | None:
        """Return the first step after which a tensor is not finite any more, and the losses then.

        None where all stay finite, or were not at the start.
        """
        ends = {n: bool(p.isfinite().all()) for n, p in self.case.parameters.items()}
        ends |= {n: bool(self.case.buffer(n).isfinite().all()) for n in self.case.buffers}
        again = self.build()
        starts = {**again.parameters, **{n: again.buffer(n) for n in again.buffers}}
        spoilt = [n for n, fine in ends.items() if not fine and bool(starts[n].isfinite().all())]
        if not spoilt:
            return None
        for step in range(self.steps):
            again.take()
            now = {**again.parameters, **{n: again.buffer(n) for n in again.buffers}}
            if not all(bool(now[n].isfinite().all()) for n in spoilt):
                return {"step": step, "names": spoilt, "losses": self._nonfinite_losses(step)}
        return {"step": self.steps - 1, "names": spoilt, "losses": []}

    def _nonfinite_losses(self, step: int) -> list[str]:
        """Return the losses that have a value or gradient which is not finite before a step."""
        case = self.build()
        for _ in range(step):
            case.take()
        return [name for name, finite in LossReach(case).finite.items() if not finite]


def _put_off(passes: list[Pass]) -> list[int]:
    """Return the positions of the passes that could be run together with the next one."""
    following = itertools.pairwise(one for one in passes if one.is_backward)
    return [i for i, (one, after) in enumerate(following) if one.adds and after.mergeable]


def _rate(optimizer: torch.optim.Optimizer, parameter: Any) -> float:
    """Return the learning rate that an optimizer has for a parameter now."""
    return max(
        number(group, "lr")
        for group in groups_of(optimizer)
        if any(one is parameter for one in group["params"])
    )


def _plain(size: float) -> float:
    """Return a size as JSON has it: infinity as the largest number."""
    return size if math.isfinite(size) else 1e308
