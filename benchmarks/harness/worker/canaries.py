"""The request of the canaries: work of a known amount, through the very clock that times cells."""

from __future__ import annotations

import importlib
import math
import time
from typing import Any

import numpy as np

from benchmarks.harness.protocol import equivalence
from benchmarks.harness.worker import clock, gate
from benchmarks.harness.worker.timing import Timing

# Of what "once" does more than "call"; one of "twice" is to be interrupted about as often.
WORK_SECONDS = 6e-4
MOST_PRODUCTS = 256
BLOCKS = 4  # times as many samples of a chain as of a sleep
LONG = 4  # products that are timed to know what one takes
SLEEP_SECONDS = 2e-3
UNWAITED_CALLS, UNWAITED_TIMES = 5, 4  # how often, and how many times the work of "once"
WRONG = 1.001  # what a gradient is scaled by that must be refused


class Sleeper:
    """A program that sleeps, and times each sleep by the kernel's raw clock.

    ``slept`` holds a list a `reset`, so a sample: the seconds of each of its calls. What a sleep
    lasts depends on the kernel's timers; what the two clocks say of it must agree.
    """

    graphs = 0

    def __init__(self) -> None:
        self.slept: list[list[float]] = []

    def prepare(self) -> None: ...

    def run(self, carry: None) -> None:
        start = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        time.sleep(SLEEP_SECONDS)
        self.slept[-1].append((time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - start) / 1e9)

    def wait(self, result: None) -> None: ...

    def reset(self) -> None:
        self.slept.append([])


def _quickest(program: clock.Timed) -> float:
    return min(clock.batch(program, 1) for _ in range(4))


def _unfinished(program: clock.Guarded) -> str | None:
    try:
        clock.guarded(program)
    except clock.Unfinished as error:
        return str(error)
    return None


class Canaries(Timing):
    """What a worker is asked to prove its clock and its gate with."""

    def do_canaries(self, dtype: str, least: int, seed: list[int]) -> dict[str, Any]:
        """Time, guard and gate programs whose right answers are known.

        Returns ``samples`` of ``call`` (one product), ``once`` (so many products more), ``twice``
        (the same number more again) and ``sleep``: seconds per call, ``least`` of the sleep and
        `BLOCKS` times as many of each chain; ``products``, how many more that is; ``slept``, the
        same sleeps by another clock; ``early``, what the guard has against programs that are waited
        for; ``unwaited``, of calls with `UNWAITED_TIMES` the work the seconds and whether the guard
        caught it; ``synchronous``, why nothing could be unwaited here, or None; and ``gate``, its
        word on a ``right`` and on a ``wrong`` gradient.
        """
        with self.working():
            self.do_close()
            made = importlib.import_module(f"impl_{self.framework}.canaries").Canaries(self.session)
            count, sleeper = self._products_for(made), Sleeper()
            self.programs = {
                "call": made.chain(1),
                "once": made.chain(1 + count),
                "twice": made.chain(1 + 2 * count),
            }
            early = [why for why in map(_unfinished, self.programs.values()) if why]
            # a product that takes longer than the work that is wanted needs no more samples of it
            samples = self._sampled(least if count == 1 else BLOCKS * least, seed)
            self.programs = {"sleep": sleeper}  # apart: what a thread slept through is cold
            samples |= self._sampled(least, seed)
            self.do_close()
            synchronous = made.synchronous()
            return {
                "samples": samples,
                "products": count,
                "slept": [float(np.mean(calls)) for calls in sleeper.slept[-least:]],
                "early": early,
                "synchronous": synchronous,
                "unwaited": [] if synchronous else self._unwaited(made, UNWAITED_TIMES * count),
                "gate": self._gated(made, dtype),
            }

    def _sampled(self, least: int, seed: list[int]) -> Any:
        calls = dict.fromkeys(self.programs)
        return self.do_time(calls, 0.0, least, seed, products=None)["samples"]

    def _products_for(self, made: Any) -> int:
        """How many products take `WORK_SECONDS` here, beside what a call costs."""
        one = _quickest(made.chain(1))
        if one > LONG * WORK_SECONDS:
            return 1
        product = (_quickest(made.chain(1 + LONG)) - one) / LONG
        return max(1, min(MOST_PRODUCTS, math.ceil(WORK_SECONDS / max(product, 1e-7))))

    def _unwaited(self, made: Any, count: int) -> list[dict[str, Any]]:
        program, found = made.chain(count, waited=False), []
        for _ in range(UNWAITED_CALLS):
            try:
                found.append({"seconds": clock.guarded(program), "caught": False})
            except clock.Unfinished as error:
                found.append({"seconds": error.seconds, "caught": True})
        program.prepare()  # nothing may go on beside what is measured next
        return found

    def _gated(self, made: Any, dtype: str) -> dict[str, str]:
        """What the gate says of a right gradient and of one that is wrong by a thousandth."""
        rng = np.random.default_rng(0)
        shapes = {"w": (3, 4), "x": (8, 4), "t": (8, 3)}
        arrays = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
        w, x, t = (arrays[name].astype(np.float64) for name in "wxt")
        true = {"gradient/w": (x @ w.T - t).T @ x}
        rules = {
            "allowed": equivalence.tolerance(dtype, kink_margin=1.0),
            "dtype": dtype,
            "phase": "gradient",
            "networks": [],
            "zero_gradient": [],
            "no_gradient": [],
        }
        found = {}
        for name, scale in (("right", 1.0), ("wrong", WRONG)):
            program = made.gradient(arrays, scale)
            clock.batch(program, 1)
            found[name] = gate.judge(program, true, rules)["equivalence"]
        return found
