"""Take a user's steps again with one thing changed, and count and time what that saves.

Each replay builds the case anew, so that it starts from the same weights.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from impl_torch.graph_problem import seed_everything
from impl_torch.step_case import STATED, StepCase
from impl_torch.step_changes import as_roots, change, dense, graph
from impl_torch.step_work import Work

Build = Callable[[], StepCase]
Gradients = list[dict[str, Tensor]]
TIMED = 7  # steps of each kind, in turns
LONGEST = 10.0  # seconds for all timed steps
FLOOR = 1e-4  # a gradient below this share of the largest is rounding, as before a BatchNorm


class Replay:
    """Take steps of a case anew, with backward passes merged, and note gradients and work.

    Args:
        case: built for this alone.
        merged: for each step, the positions of backward passes to put off: they are run together
            with the next one that is not. Later steps are taken to be as these, from the first on.
    """

    def __init__(self, case: StepCase, merged: list[list[int]] | None = None) -> None:
        self.case, self.merged = case, merged
        self.work: list[Work] = []
        self.weightless: list[bool] = []  # for each step: whether a scalar was multiplied by 0
        self.gradients: Gradients = []
        self._taken, self._position, self._depth = 0, 0, 0
        self._put_off: list[tuple[Tensor, Any]] = []
        self._original = torch.autograd.backward

    def take(self, steps: int, *, counted: bool = True) -> float:
        """Take steps; return the seconds of the last."""
        seconds = 0.0
        if not self._taken:
            seed_everything(self.case.seed)
        for _ in range(steps):
            with ExitStack() as undo:
                torch.autograd.backward = self._backward
                undo.callback(setattr, torch.autograd, "backward", self._original)
                self._position, self._put_off = 0, []
                if counted:
                    self.weightless.append(False)
                    self.work.append(Work())
                    self.gradients.append({})
                    undo.enter_context(self.work[-1])
                start = time.perf_counter()
                self.case.take()
                seconds = time.perf_counter() - start
            self._taken += 1
        return seconds

    @property
    def merges(self) -> bool:
        """Return whether the next step has passes to put off; True where nothing is merged."""
        return self.merged is None or bool(self.merged[self._taken % len(self.merged)])

    def _backward(self, tensors: Any, grad_tensors: Any = None, *args: Any, **kwargs: Any) -> None:
        """Run a backward pass, or put it off."""
        if self._depth:
            self._original(tensors, grad_tensors, *args, **kwargs)
            return
        position, self._position = self._position, self._position + 1
        roots = as_roots(tensors)
        given = [grad_tensors] if isinstance(grad_tensors, Tensor) else grad_tensors
        pairs = list(zip(roots, given or [None] * len(roots), strict=True))
        if self.merged and position in self.merged[self._taken % len(self.merged)]:
            self._put_off += pairs
            return
        pairs, self._put_off = [*self._put_off, *pairs], []
        self._run([r for r, _ in pairs], [g for _, g in pairs], args, kwargs)

    def _run(self, roots: list[Tensor], grads: list[Any], args: Any, kwargs: Any) -> None:
        """Run a backward pass from these roots, and look at what it does."""
        counted = bool(self.work) and len(self.work) == len(self.gradients)
        handles = self._watch_factors(roots) if counted else []
        self._depth += 1
        if counted:
            self.work[-1].backward = True
        try:
            self._original(roots, grads, *args, **kwargs)
        finally:
            self._depth -= 1
            for handle in handles:
                handle.remove()
            if counted:
                self.work[-1].backward = False
                self._keep_gradients()

    def _watch_factors(self, roots: list[Tensor]) -> list[Any]:
        """Note whether this pass multiplies the gradient of a scalar by 0, as a zero weight does.

        Returns:
            The handles of the hooks that watch for it.
        """

        def note_zero(handed: tuple[Any, ...], received: tuple[Any, ...]) -> None:
            some = any(g is not None and g.numel() == 1 and bool(g.any()) for g in received)
            none = any(g is not None and g.numel() == 1 and not bool(g.any()) for g in handed)
            self.weightless[-1] |= some and none

        products = [node for node in graph(roots) if "MulBackward" in node.name()]
        return [node.register_hook(note_zero) for node in products]

    def _keep_gradients(self) -> None:
        """Note the gradients that the last backward pass of the step has left."""
        self.gradients[-1] = {
            n: dense(p.grad.detach()).clone()
            for n, p in self.case.parameters.items()
            if p.grad is not None
        }


def merged_passes(build: Build, merged: list[list[int]], steps: int) -> dict[str, Any] | None:
    """Return what the steps cost with passes merged, and whether the gradients are the same.

    None where the step fails so, as it needs what a pass leaves before the next one.
    """
    try:
        apart, together = Replay(build()), Replay(build(), merged)
        apart.take(steps)
        together.take(steps)
    except Exception:  # of the user's own step
        return None
    first = next(step for step, positions in enumerate(merged) if positions)
    difference, where = _difference(apart.gradients[first], together.gradients[first])
    return {
        "passes": len(merged[first]) + 1,
        "difference": difference,
        "where": where,
        **_saving(apart, together, lambda: Replay(build()), lambda: Replay(build(), merged)),
    }


def without_frozen_gradients(build: Build, steps: int) -> dict[str, Any] | None:
    """Return what the steps cost where nothing that the case names as frozen requires a gradient.

    None where the step fails so.
    """

    def frozen() -> Replay:
        case = build()
        for name, why in case.frozen.items():
            if why == STATED:
                case.parameters[name].requires_grad_(False)
        return Replay(case)

    try:
        whole, part = Replay(build()), frozen()
        whole.take(steps)
        part.take(steps)
    except Exception:  # of the user's own step
        return None
    return _saving(whole, part, lambda: Replay(build()), frozen)


def zero_weights(build: Build, steps: int) -> dict[str, Any] | None:
    """Return the work done for a loss of weight 0, a share of all; None where there is none."""
    try:
        replay = Replay(build())
        replay.take(steps)
    except Exception:  # what cannot be counted
        return None
    work = [
        (w.total, w.zero if z else 0) for w, z in zip(replay.work, replay.weightless, strict=True)
    ]
    if not work or not all(zero for _, zero in work):
        return {"flops": work[0][0] if work else 0, "zero_flops": 0}
    return {"flops": work[0][0], "zero_flops": min(zero for _, zero in work)}


def _saving(
    original: Replay,
    altered: Replay,
    rebuild: Callable[[], Replay],
    rebuild_changed: Callable[[], Replay],
) -> dict[str, Any]:
    """Return FLOPs and seconds of a step as it is and as it could be."""
    flops = [sum(w.total for w in replay.work) / len(replay.work) for replay in (original, altered)]
    seconds: list[float] | list[None] = [None, None]
    if flops[1] < flops[0]:
        seconds = _times(rebuild(), rebuild_changed())
    return {
        "flops": flops[0],
        "least_flops": flops[1],
        "seconds": seconds[0],
        "least_seconds": seconds[1],
    }


def _times(one: Replay, other: Replay) -> list[float]:
    """Return the least seconds of a step of each, taken in turns: others only add to them.

    The first step of each is left out, and so is one in which the other has nothing to merge.
    """
    for replay in (one, other):
        replay.take(1, counted=False)
    start, times = time.perf_counter(), ([], [])  # type: tuple[float, tuple[list[float], list[float]]]
    while not times[0] or (len(times[0]) < TIMED and time.perf_counter() - start < LONGEST):
        compared = other.merges
        for replay, seconds in zip((one, other), times, strict=True):
            taken = replay.take(1, counted=False)
            seconds += [taken] if compared else []
    return [min(seconds) for seconds in times]


def _difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> tuple[float, str | None]:
    """Return the largest relative difference of a gradient, and the parameter that has it."""
    worst, where = 0.0, None
    everything = [float(g.abs().max()) for g in (*one.values(), *other.values()) if g.numel()]
    floor = FLOOR * max(everything, default=0.0)
    for name in {**one, **other}:
        if name not in one or name not in other:
            return float("inf"), name
        own = torch.stack([one[name], other[name]]).abs().max() if one[name].numel() else 0.0
        scale = max(float(own), floor)
        size = change(one[name], other[name])
        if size and size / scale > worst:
            worst, where = size / scale, name
    return worst, where
