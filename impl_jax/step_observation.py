"""Observe what a user's own training step does, tensor by tensor, as plain data.

What is a mistake is decided from this data alone, by `results/own_code/findings.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from impl_jax import step_replays
from impl_jax.loss_reach import LossReach
from impl_jax.step_case import StepCase, held_by
from impl_jax.step_changes import cause_of_move, follows
from impl_jax.step_recording import Recorder

IN_PLACE = (
    "The step works in place, so that its work cannot be read off: whether gradients are computed "
    "for nothing was not looked at"
)
UNTRACED = (
    "The step cannot be traced as a whole: whether gradients are computed for nothing was not "
    "looked at"
)


def observe(make: Callable[[], Any], seed: int, steps: int) -> dict[str, Any]:
    """Take some training steps and return what they did; see `results.own_code.check_schema`.

    Args:
        make: the user's function, which is called several times.
        seed: is set before each call.
        steps: how many to take; more are taken while a parameter that gets a gradient rests.

    Raises:
        CaseError: the case has no step, or cannot be run.
    """
    return Observation(lambda: StepCase(make, seed), steps).data()


class Observation:
    """Hold one observation: the losses alone, the steps as they are, their work.

    Args:
        build: builds the case anew.
        steps: how many to take.
    """

    def __init__(self, build: Callable[[], StepCase], steps: int) -> None:
        self.build = build
        self.reach = LossReach(build())
        self.case = build()
        self.held = held_by(self.case)
        self.recorder = Recorder(self.case)
        self.recorder.take_until_moved(self._expected_to_move(), steps)
        self.steps = len(self.recorder.totals)
        self.notes: list[str] = []

    def data(self) -> dict[str, Any]:
        """Return everything as plain data."""
        replay = self._replay()
        return {
            "framework": "jax",
            "steps": self.steps,
            "losses": {
                name: {
                    "value": value if math.isfinite(value) else str(value),
                    "finite": self.reach.finite[name],
                }
                for name, value in self.reach.values.items()
            },
            "tensors": [*self._parameters(), *self._buffers()],
            "passes": [],
            "moves": [],
            "stepped": None,
            "strangers": [],
            "clipped": [],
            "merged": replay and step_replays.merged_passes(replay),
            "frozen_gradients": replay and self._frozen_gradients(replay),
            "zero_weight": replay and step_replays.zero_weights(replay),
            "first_nonfinite": self._first_nonfinite(),
            "reduced": None,
            **({"state_changes": self.recorder.state_changed} if self.case.pure else {}),
            "notes": self.notes,
        }

    def _replay(self) -> step_replays.Replay | None:
        """Return the step as a program; None, with a note, where it is none."""
        if not self.case.pure:
            self.notes.append(IN_PLACE)
            return None
        replay = step_replays.Replay(self.build, self.reach.values)
        if replay.flops is None:
            self.notes.append(UNTRACED)
            return None
        return replay

    def _frozen_gradients(self, replay: step_replays.Replay) -> dict[str, Any] | None:
        """Return what it costs that frozen parameters get gradients; None where they move by it."""
        if any(totals[n] for totals in self.recorder.totals for n in self.case.frozen):
            return None
        return step_replays.without_frozen_gradients(replay)

    def _expected_to_move(self) -> list[str]:
        """Return the parameters that get a gradient and are not frozen."""
        all_states = self.reach.states.values()
        still_names = self.case.frozen.keys() | self.reach.slight
        trained = [n for n in self.case.parameters if n not in still_names]
        return [n for n in trained if any(states[n] == "value" for states in all_states)]

    def _parameters(self) -> list[dict[str, Any]]:
        """Return what is known of each parameter."""
        return [
            {
                "name": name,
                "kind": "parameter",
                "elements": int(array.size),
                "shape": list(array.shape),
                "frozen": self.case.frozen.get(name),
                "reach": {loss: states[name] for loss, states in self.reach.states.items()},
                "cut": "stop_gradient" if name in self.reach.cut else None,
                "slight": name in self.reach.slight,
                "held": self.held[name],
                "gradients": None,
                "moved": [_plain(totals[name]) for totals in self.recorder.totals],
                "cause": self._cause(name) if name in self.case.frozen else None,
            }
            for name, array in self.case.parameters.items()
        ]

    def _cause(self, name: str) -> str | None:
        """Return by what a frozen parameter moves; None where it does not, or follows another."""
        path = [one[name] for one in self.recorder.parameters]
        moved = [i for i, totals in enumerate(self.recorder.totals) if totals[name]]
        if not moved:
            return None
        first = moved[0]
        before, after = path[first], path[first + 1]
        start, end = self.recorder.parameters[first : first + 2]
        others = {n: (start[n], end[n]) for n in start}
        if follows(name, before, after, others):
            return None
        grads = [
            np.asarray(own[name], np.float64)
            for own in self.reach.gradients.values()
            if name in own
        ]
        reached = any(states[name] == "value" for states in self.reach.states.values())
        return cause_of_move(before, after, [*grads, sum(grads)] if grads else [], reached)

    def _buffers(self) -> list[dict[str, Any]]:
        """Return what is known of each buffer that the steps hand on."""
        frozen = self.case.frozen_buffers()
        followed = {
            n.partition(".")[0]
            for n in self.case.frozen
            if any(totals[n] for totals in self.recorder.totals)
        }
        return [
            {
                "name": name,
                "kind": "buffer",
                "elements": int(array.size),
                "shape": list(array.shape),
                "frozen": "stated" if name in frozen else None,
                "moved": [_plain(totals[name]) for totals in self.recorder.totals],
                "in_forward": _plain(max(totals[name] for totals in self.recorder.totals)),
                "beside_moved": name.partition(".")[0] in followed,
            }
            for name, array in self.recorder.buffers[-1].items()
        ]

    def _first_nonfinite(self) -> dict[str, Any] | None:
        """Return the first step after which a tensor is not finite any more, and the losses then.

        None where all stay finite, or were not at the start.
        """
        states = [
            {**p, **b} for p, b in zip(self.recorder.parameters, self.recorder.buffers, strict=True)
        ]
        for step, now in enumerate(states[1:]):
            names = [n for n, array in now.items() if _spoilt(states[0][n], array)]
            if names:
                reach = LossReach(self.build(), self.recorder.parameters[step])
                spoiling = [n for n, finite in reach.finite.items() if not finite]
                return {"step": step, "names": names, "losses": spoiling}
        return None


def _spoilt(before: Any, after: Any) -> bool:
    """Return whether an array was finite and is no more."""
    return bool(np.isfinite(before).all() and not np.isfinite(after).all())


def _plain(size: float) -> float:
    """Return a size as JSON has it: infinity as the largest number."""
    return size if math.isfinite(size) else 1e308
