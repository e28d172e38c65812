"""Time programs: exactly the phase, waiting for every output, the cells in random order.

A sample is the mean of a batch of calls that lasts at least a millisecond. For the phase
``backward`` the graph of each call is built first, outside the clock.

The functions of the modules ``time`` and ``gc`` are bound by their own names, when this module is
imported: a user's code, which is imported later, may put others into these modules.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from gc import collect, disable, enable, isenabled
from time import perf_counter, process_time
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.harness.worker import pauses, trend

BATCH_SECONDS = 1e-3  # a sample lasts at least so long
RESIDUAL_LIMIT = 256 * 2**20  # bytes of graphs that may be built before the clock starts
WARM_CALLS, WARM_SECONDS = 3, 0.05  # a look for a trend takes at least these
ATTEMPTS = 3  # times `least` blocks, at most, until so many are without a pause
# Seconds of sampling for each cell and launch, unless a session asks for others. docs/method.md
# shows what twice as many would add.
CELL_SECONDS = 0.025
WARM_LIMIT = 0.5  # seconds after which a cell is timed although its times still have a trend


class Timed(Protocol):
    """Declare what the clock needs of a program; see ``impl_*/program.py``."""

    def prepare(self) -> Any:
        """Do what precedes the timed part, and return what `run` takes."""

    def run(self, carry: Any) -> Any:
        """Begin the timed part; it may still be running on the device when this returns."""

    def wait(self, result: Any) -> None:
        """Wait until the work of `run` is done."""

    def reset(self) -> None:
        """Go back to the weights and the optimizer state of the start."""


class Guarded(Timed, Protocol):
    """Declare what `guarded` needs of a program."""

    def finished(self) -> bool:
        """Return whether all work that the program began is done."""


class Unfinished(RuntimeError):
    """Work that went on after the clock had stopped, at ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the clock stopped at {seconds:.3g} s and the work was not done: either the call is "
            "not waited for, or an output of the timed part is hidden from `wait`"
        )
        self.seconds = seconds


class Warm(NamedTuple):
    """The last call's seconds, and whether the times had no trend any more.

    ``steady`` is None where a call takes so long that no trend could show within the limit.
    """

    seconds: float
    steady: bool | None


def now() -> float:
    """Return the seconds of the clock by which everything here is timed."""
    return perf_counter()


def batch(program: Timed, calls: int) -> float:
    """Call a program several times, waiting for each call, and return the mean seconds per call."""
    return batch_times(program, calls)[0]


def batch_times(program: Timed, calls: int) -> tuple[float, float]:
    """Call a program several times, and return the mean wall seconds and CPU seconds per call.

    CPU seconds are those of all threads of this process. A program that runs elsewhere, in several
    processes, takes the times itself.
    """
    if hasattr(program, "batch_times"):
        times: tuple[float, float] = program.batch_times(calls)
        return times
    carries = [program.prepare() for _ in range(calls)]
    carries.reverse()  # popped as they are used, so that a used graph is freed
    run, wait, now = program.run, program.wait, perf_counter
    used, start = process_time(), now()
    for _ in range(calls):
        wait(run(carries.pop()))
    return (now() - start) / calls, (process_time() - used) / calls


def turn(program: Timed, calls: int, seconds: float) -> tuple[list[float], list[float]]:
    """Take samples one after another until the time is up, one at least.

    Returns:
        Wall seconds and CPU seconds per call of each sample. CPU seconds are those of all threads
        of this process; they leave out the time that other processes had the CPU. Of three
        samples or more, those in which the machine stood still are left out. One or two, as a call
        of more than 4 ms has in a turn of 8 ms, tell no usual time, and all are returned: a caller
        should take a low quantile over many turns, which a few long samples do not move.
    """
    wall: list[float] = []
    cpu: list[float] = []
    # No collection before, unlike `collector_off`: turns are short and many.
    was_on, start = isenabled(), perf_counter()
    disable()
    try:
        while not wall or perf_counter() - start < seconds:
            program.reset()
            wall_seconds, cpu_seconds = batch_times(program, calls)
            wall.append(wall_seconds)
            cpu.append(cpu_seconds)
    finally:
        if was_on:
            enable()
    touched = pauses.among([calls * one for one in wall])
    return (
        [one for i, one in enumerate(wall) if i not in touched],
        [one for i, one in enumerate(cpu) if i not in touched],
    )


def guarded(program: Guarded) -> float:
    """Return the seconds of one call, and make sure that all its work was done by then.

    Raises:
        Unfinished: if work of the call goes on after the clock has stopped.
    """
    holding = ResultHolder(program)  # by a name: it must live until `finished` has been asked
    seconds = batch(holding, 1)
    if not program.finished():
        raise Unfinished(seconds)
    return seconds


class ResultHolder:
    """Keep a program's last result alive: JAX cannot say of a freed array whether it was ready.

    Attributes:
        result: what the last call returned, by which the gate knows what was timed.
    """

    def __init__(self, program: Guarded) -> None:
        self.program = program
        self.result: Any = None
        self.prepare, self.wait, self.reset = program.prepare, program.wait, program.reset
        self.finished = program.finished

    def run(self, carry: Any) -> Any:
        """Run the program and keep its result."""
        self.result = self.program.run(carry)
        return self.result


def warm_up(program: Timed) -> Warm:
    """Call a program in windows, until one shows no trend or no other fits into half a second.

    A window lasts for 50 ms and three calls at least, however long these take. A call of more than
    a twelfth of a second is made three times, in which no trend can show. Each test for a trend is
    of new calls: to test the same ones again and again would sooner or later find no trend by
    chance. The first window in which the machine stood still is taken once more, and not counted.
    """
    program.reset()
    spent, paused = 0.0, False
    while True:
        times = _window(program)
        if pauses.among(times[1:]) and not paused:  # the first call may be slow by itself
            paused = True
            continue
        spent += sum(times)
        is_steady = trend.is_steady(times)
        if is_steady is not False or spent + sum(times) > WARM_LIMIT:
            return Warm(times[-1], is_steady)


def _window(program: Timed) -> list[float]:
    """Call a program for 50 ms, or longer if a trend needs more calls; return seconds by call."""
    times: list[float] = []
    total = 0.0
    while len(times) < WARM_CALLS or total < WARM_SECONDS or _more_calls_help(times, total):
        times.append(batch(program, 1))
        total += times[-1]
    return times


def _more_calls_help(times: list[float], total: float) -> bool:
    """Return whether to go on calling: a trend cannot show yet, and could within `WARM_LIMIT`.

    Args:
        times: seconds of each call so far.
        total: their sum.
    """
    lacking = trend.LEAST - len(times)
    return lacking > 0 and total + lacking * times[-1] <= WARM_LIMIT


def batch_size(seconds: float, residual_bytes: int | None) -> int:
    """Return the calls in a sample: enough for a millisecond, if their graphs fit into memory.

    Args:
        seconds: of one call.
        residual_bytes: that one call's graph saves; None where it is not known.
    """
    long_enough = max(1, math.ceil(BATCH_SECONDS / max(seconds, 1e-7)))
    fits = max(1, RESIDUAL_LIMIT // residual_bytes) if residual_bytes else long_enough
    return min(long_enough, fits)


def interleave(
    timed: Mapping[str, Callable[[], float]],
    *,
    seconds: float,
    least: int,
    rng: np.random.Generator,
    paused: list[float] | None = None,
) -> dict[str, list[float]]:
    """Take blocks of one sample of each cell, in random order inside the block.

    A block in which the machine stood still is set aside whole, and another one taken for it.

    Args:
        timed: cell → a function that takes one sample and returns its seconds per call.
        seconds: after which no further block begins.
        least: blocks to take in any case.
        rng: source of the order.
        paused: a list to which the seconds of the pause in each block that was set aside are added.

    Returns:
        The samples of each cell in the order taken, equally many of each.
    """
    samples: dict[str, list[float]] = {name: [] for name in timed}
    elapsed: dict[str, list[float]] = {name: [] for name in timed}
    names, blocks, start = list(timed), 0, perf_counter()
    wanted, touched = least, dict[int, float]()
    with collector_off():
        while blocks < wanted or perf_counter() - start < seconds:
            for i in rng.permutation(len(names)):
                begin = pauses.now()
                samples[names[i]].append(timed[names[i]]())
                elapsed[names[i]].append(pauses.now() - begin)
            blocks += 1
            if blocks >= wanted:
                touched = pauses.of_blocks(elapsed)
                wanted = min(least + len(touched), ATTEMPTS * least)
    if paused is not None:
        paused += touched.values()
    return {n: [s for i, s in enumerate(own) if i not in touched] for n, own in samples.items()}


@contextmanager
def collector_off() -> Iterator[None]:
    """Collect garbage now, and not again until the block of code ends.

    Then the collector is on again, unless it was off before.
    """
    was_on = isenabled()
    collect()
    disable()
    try:
        yield
    finally:
        if was_on:
            enable()
