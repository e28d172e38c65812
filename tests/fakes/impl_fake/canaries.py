"""Canaries on a fake clock, exact and quick; ``FAKE_FAULT`` breaks the clock, guard or gate."""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from benchmarks.harness.worker import clock, gate, pauses, process_time

FAULT = os.environ.get("FAKE_FAULT")
PRODUCT, DISPATCH = 2e-4, 1e-6  # seconds


class Now:
    """The time in this process, which passes only in fake work and fake sleep."""

    seconds = 0.0

    @classmethod
    def sleep(cls, seconds: float) -> None:
        cls.seconds += seconds


time.sleep = Now.sleep  # type: ignore[assignment]
time.clock_gettime_ns = lambda which: round(1e9 * Now.seconds)
clock.perf_counter = lambda: Now.seconds * (1.1 if FAULT == "fast_clock" else 1.0)  # type: ignore[attr-defined]
pauses.now = lambda: Now.seconds  # where this process really stands still, no sample is left out

setattr(process_time, "read", lambda: None)  # noqa: B010  a real load has no part in made-up times

if FAULT == "hasty_clock":
    honest_batch = clock.batch

    def batch_without_waiting(program: Any, calls: int) -> float:
        program.wait = lambda result: None
        return honest_batch(program, calls)

    clock.batch = batch_without_waiting
if FAULT == "lenient_gate":
    gate.judge = lambda program, true, rules: {
        "equivalence": "pass",
        "gradient_error": None,
    }
if FAULT == "strict_gate":
    gate.judge = lambda program, true, rules: {
        "equivalence": "w: relative difference 1",
        "gradient_error": None,
    }


class Canaries:
    def __init__(self, session: Any) -> None:
        self.session = session

    def synchronous(self) -> str | None:
        return "the fake waits" if FAULT == "synchronous" else None

    def chain(self, count: int, *, waited: bool = True) -> Chain:
        if FAULT == "crash":
            os.kill(os.getpid(), signal.SIGKILL)
        return Chain(count, waited)

    def gradient(self, arrays: dict[str, Any], scale: float) -> Gradient:
        return Gradient(arrays, scale)


class Program:
    due = 0.0  # time at which the work that was begun is done
    graphs = 0

    def prepare(self) -> None:
        Now.seconds = max(Now.seconds, self.due)

    def wait(self, result: Any) -> None:
        Now.seconds = max(Now.seconds, self.due)

    def finished(self) -> bool:
        return FAULT == "blind_guard" or Now.seconds >= self.due

    def reset(self) -> None: ...


class Chain(Program):
    def __init__(self, count: int, waited: bool) -> None:
        self.count = 4 if FAULT == "done_once" and count == 7 else count
        self.waited = waited

    def run(self, carry: None) -> None:
        Now.seconds += DISPATCH
        self.due = Now.seconds + self.count * PRODUCT
        if FAULT == "never_early":
            Now.seconds = self.due

    def wait(self, result: None) -> None:
        if self.waited:
            super().wait(result)


class Gradient(Program):
    def __init__(self, arrays: dict[str, Any], scale: float) -> None:
        w, x, t = (arrays[name] for name in "wxt")
        self._gradients = {"w": scale * (x @ w.T - t).T @ x}

    def run(self, carry: None) -> None: ...

    def gradients(self) -> dict[str, Any]:
        return self._gradients
