"""The clock: exactly the phase, synchronised on every output, its cells in random order.

A sample is the mean of a batch of calls that lasts at least a millisecond. For the phase
``backward`` a graph for each call is built first, outside the clock.
"""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import numpy as np

from benchmarks.harness.worker import trend as steady

BATCH_SECONDS = 1e-3
RESIDUAL_LIMIT = 256 * 2**20  # bytes of graphs that may wait for the clock at once
WARM_CALLS, WARM_SECONDS = 3, 0.05
WARM_LIMIT = 0.5  # seconds after which a cell that is not steady is taken as it is


class Timed(Protocol):
    """What the clock needs of a program; see ``impl_*/program.py``."""

    def prepare(self) -> Any: ...
    def run(self, carry: Any) -> Any: ...
    def wait(self, result: Any) -> None: ...
    def reset(self) -> None: ...


class Guarded(Timed, Protocol):
    """What `guarded` needs: a program that can say whether everything it began is done."""

    def finished(self) -> bool: ...


class Unfinished(RuntimeError):
    """The clock had stopped, at ``seconds``, and the work went on."""

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


def batch(program: Timed, calls: int) -> float:
    """Seconds per call over ``calls`` calls, each waited for."""
    return batch_times(program, calls)[0]


def batch_times(program: Timed, calls: int) -> tuple[float, float]:
    """The same, and the CPU seconds per call of all threads of this process."""
    carries = [program.prepare() for _ in range(calls)]
    carries.reverse()  # popped as they are used, so that a used graph is freed
    run, wait, now = program.run, program.wait, time.perf_counter
    used, start = time.process_time(), now()
    for _ in range(calls):
        wait(run(carries.pop()))
    return (now() - start) / calls, (time.process_time() - used) / calls


def turn(program: Timed, calls: int, seconds: float) -> tuple[list[float], list[float]]:
    """Samples taken one after another until the time is up, one at least: wall and CPU time.

    Both in seconds per call. The CPU time is that of all threads of this process; it leaves out
    what others took of the machine meanwhile. The collector is held off, and not run before:
    turns are short and many.
    """
    wall: list[float] = []
    cpu: list[float] = []
    was_on, start = gc.isenabled(), time.perf_counter()
    gc.disable()
    try:
        while not wall or time.perf_counter() - start < seconds:
            program.reset()
            on_the_wall, of_the_cpu = batch_times(program, calls)
            wall.append(on_the_wall)
            cpu.append(of_the_cpu)
    finally:
        if was_on:
            gc.enable()
    return wall, cpu


def guarded(program: Guarded) -> float:
    """Seconds of one call, as `batch` takes them. Raises `Unfinished` if the work goes on after."""
    holding = _Holding(program)  # by a name: it must live until `finished` has been asked
    seconds = batch(holding, 1)
    if not program.finished():
        raise Unfinished(seconds)
    return seconds


class _Holding:
    """A program whose result is held: of one that is let go, nobody can say if it is there."""

    def __init__(self, program: Timed) -> None:
        self.program, self.held = program, None
        self.prepare, self.wait, self.reset = program.prepare, program.wait, program.reset

    def run(self, carry: Any) -> Any:
        self.held = self.program.run(carry)
        return self.held


def warm_up(program: Timed) -> Warm:
    """Call until the times of the last 50 ms show no trend, for half a second at most.

    Each look is at calls of its own: looking again at the same ones would find them steady by
    chance sooner or later.
    """
    program.reset()
    spent = 0.0
    while True:
        times = _window(program)
        spent += sum(times)
        found = steady.is_steady(times)
        if found is not False or spent + sum(times) > WARM_LIMIT:
            return Warm(times[-1], found)


def _window(program: Timed) -> list[float]:
    """Seconds of each call, for 50 ms or what a trend can show in, if that keeps to the limit."""
    times: list[float] = []
    total = 0.0
    while len(times) < WARM_CALLS or total < WARM_SECONDS or _few(times, total):
        times.append(batch(program, 1))
        total += times[-1]
    return times


def _few(times: list[float], total: float) -> bool:
    """Whether a trend cannot show yet, and could before the limit."""
    wanted = steady.LEAST - len(times)
    return wanted > 0 and total + wanted * times[-1] <= WARM_LIMIT


def batch_size(seconds: float, residual_bytes: int | None) -> int:
    """Calls in a sample: enough for a millisecond, no more graphs than memory is set aside for."""
    wanted = max(1, math.ceil(BATCH_SECONDS / max(seconds, 1e-7)))
    fits = max(1, RESIDUAL_LIMIT // residual_bytes) if residual_bytes else wanted
    return min(wanted, fits)


def interleave(
    timed: Mapping[str, Callable[[], float]],
    *,
    seconds: float,
    least: int,
    rng: np.random.Generator,
) -> dict[str, list[float]]:
    """Blocks of one sample of each, in random order inside the block, until the time is up.

    At least ``least`` blocks; the collector is held off while the clock runs.
    """
    samples: dict[str, list[float]] = {name: [] for name in timed}
    names, blocks, start = list(timed), 0, time.perf_counter()
    with collector_off():
        while blocks < least or time.perf_counter() - start < seconds:
            for i in rng.permutation(len(names)):
                samples[names[i]].append(timed[names[i]]())
            blocks += 1
    return samples


@contextmanager
def collector_off() -> Iterator[None]:
    """Collect now, and not again until the block is left."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
