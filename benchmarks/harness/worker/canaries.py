"""Run canaries: work of a known amount, through the very clock and gate that cells go through."""

from __future__ import annotations

import importlib
import math
import time
from typing import Any

import numpy as np

from benchmarks.harness.protocol import equivalence, messages
from benchmarks.harness.worker import clock, gate, process_time
from benchmarks.harness.worker.timing import Timing

# Work that "once" has beside a call, and "twice" beside "once". It is so short that the system
# interrupts a sample of "twice" about as often as one of "once".
WORK_SECONDS = 6e-4
MOST_PRODUCTS = 256  # matrix products in that work, at most
BLOCKS = 4  # times as many samples of a chain of products as of a sleep
LONG = 4  # products that are timed to know the time of one
SLEEP_SECONDS = 2e-3
# Calls that are not waited for, and their work in units of the work of "once".
UNWAITED_CALLS, UNWAITED_TIMES = 5, 4
WRONG = 1.001  # factor of a gradient that the gate must refuse


class Sleeper:
    """A program that sleeps, and times each sleep by the kernel's raw clock.

    The length of a sleep depends on the kernel's timers, but the two clocks must agree on it.

    Attributes:
        slept: the seconds of each call, in a list for each sample; `reset` begins one.
    """

    graphs = 0

    def __init__(self) -> None:
        self.slept: list[list[float]] = []

    def prepare(self) -> None:
        """Do nothing: nothing precedes a sleep."""

    def run(self, carry: None) -> None:
        """Sleep."""
        start = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)
        time.sleep(SLEEP_SECONDS)
        self.slept[-1].append((time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - start) / 1e9)

    def wait(self, result: None) -> None:
        """Do nothing: the sleep is over when `run` returns."""

    def reset(self) -> None:
        """Begin the list of a sample."""
        self.slept.append([])


def _fastest_call(program: clock.Timed) -> float:
    """Return the seconds of the fastest of a few calls."""
    return min(clock.batch(program, 1) for _ in range(4))


def _guard_message(program: clock.Guarded) -> str | None:
    """Return the guard's complaint about one call; None where all its work was done in time."""
    try:
        clock.guarded(program)
    except clock.Unfinished as error:
        return str(error)
    return None


class Canaries(Timing):
    """Add the operation ``canaries``, by which a worker proves its clock and its gate."""

    def do_canaries(self, dtype: str, least: int, seed: list[int]) -> messages.CanaryAnswers:
        """Time, guard and gate programs whose right answers are known.

        Timed are ``call`` (one matrix product), ``once`` (``products`` more of them), ``twice``
        (as many more again) and ``sleep``. Then ``twice - call`` must be twice ``once - call``.

        Args:
            dtype: of the session, for the gate's bounds.
            least: samples of the sleep; of each chain of products `BLOCKS` times as many.
            seed: of the order inside blocks.

        Returns:
            The measurements; the parent judges them, see `measurement.canaries`.
        """
        with self.working():
            self.do_close()
            module = importlib.import_module(f"impl_{self.framework}.canaries")
            canaries = module.Canaries(self.session)
            count, sleeper = self._products_for(canaries), Sleeper()
            self.programs = {
                "call": canaries.chain(1),
                "once": canaries.chain(1 + count),
                "twice": canaries.chain(1 + 2 * count),
            }
            begun = process_time.read()
            early = [text for text in map(_guard_message, self.programs.values()) if text]
            # a single product that takes longer than the work needs no further samples
            chains = self._sample_programs(least if count == 1 else BLOCKS * least, seed)
            # not interleaved with the chains: after a sleep the caches are cold
            self.programs = {"sleep": sleeper}
            sleeps = self._sample_programs(least, seed)
            self.do_close()
            synchronous = canaries.synchronous()
            unwaited = [] if synchronous else self._unwaited(canaries, UNWAITED_TIMES * count)
            return {
                "samples": chains["samples"] | sleeps["samples"],
                "paused": chains["paused"] + sleeps["paused"],
                "waited": process_time.share_waited(begun, process_time.read()),
                "products": count,
                "slept": [float(np.mean(calls)) for calls in sleeper.slept[-least:]],
                "early": early,
                "synchronous": synchronous,
                "unwaited": unwaited,
                "gate": self._gate_answers(canaries, dtype),
            }

    def _sample_programs(self, least: int, seed: list[int]) -> messages.TimedCells:
        """Sample the prepared programs interleaved, as cells are."""
        calls: dict[str, int | None] = dict.fromkeys(self.programs)
        return self.do_time(calls, 0.0, least, seed, products=None)

    def _products_for(self, canaries: Any) -> int:
        """Return how many matrix products take `WORK_SECONDS` on this machine.

        What a call costs beside its products is left out.

        Args:
            canaries: the framework's programs of known work.
        """
        one = _fastest_call(canaries.chain(1))
        if one > LONG * WORK_SECONDS:
            return 1
        product = (_fastest_call(canaries.chain(1 + LONG)) - one) / LONG
        return max(1, min(MOST_PRODUCTS, math.ceil(WORK_SECONDS / max(product, 1e-7))))

    def _unwaited(self, canaries: Any, count: int) -> list[dict[str, Any]]:
        """Time calls whose result is not waited for, with the guard watching.

        Args:
            canaries: the framework's programs of known work.
            count: matrix products in a call.

        Returns:
            For each call ``seconds``; ``caught``: whether the guard saw work after the clock's end;
            and ``asked``: the seconds after which the guard had its answer, at the latest.
        """
        program, calls = canaries.chain(count, waited=False), []
        for _ in range(UNWAITED_CALLS):
            program.prepare()  # waits for the call before
            start = clock.now()
            try:
                call = {"seconds": clock.guarded(program), "caught": False}
            except clock.Unfinished as error:
                call = {"seconds": error.seconds, "caught": True}
            calls.append(call | {"asked": clock.now() - start})
        program.prepare()  # waits, so that no work runs on beside the next measurement
        return calls

    def _gate_answers(self, canaries: Any, dtype: str) -> dict[str, str]:
        """Return what the gate says of a ``right`` gradient, and of one ``wrong`` by a thousandth.

        Each answer is "pass" or a sentence about the wrong tensor.

        Args:
            canaries: the framework's programs, one of which computes a gradient times a factor.
            dtype: of the session, which decides the gate's tolerance.
        """
        rng = np.random.default_rng(0)
        shapes = {"w": (3, 4), "x": (8, 4), "t": (8, 3)}
        arrays = {n: rng.standard_normal(shape).astype(np.float32) for n, shape in shapes.items()}
        w, x, t = (arrays[name].astype(np.float64) for name in "wxt")
        true = {"gradient/w": (x @ w.T - t).T @ x}
        rules: messages.GateRules = {
            "allowed": equivalence.tolerance(dtype, kink_margin=1.0),
            "dtype": dtype,
            "phase": "gradient",
            "networks": [],
            "zero_gradient": [],
            "no_gradient": [],
        }
        answers = {}
        for name, scale in (("right", 1.0), ("wrong", WRONG)):
            program = canaries.gradient(arrays, scale)
            clock.batch(program, 1)
            answers[name] = gate.judge(program, true, rules)["equivalence"]
        return answers
