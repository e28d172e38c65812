"""Compare times with bars that hold for one machine, on machines that are slower or busy."""

from __future__ import annotations

import time
from collections.abc import Callable

LOOPS = 1_000_000
# the least that the loops took, on a machine on which every bar scaled by `slowdown` holds unscaled
REFERENCE_SECONDS = 0.08


def slowdown(clock: Callable[[], float] = time.process_time) -> float:
    """Return how many times as long a fixed loop takes as on the reference machine; at least 1.

    Args:
        clock: what reads the seconds; ``time.perf_counter`` where others keep the CPU meanwhile.
    """
    return max(1.0, min(_seconds_of_loops(clock) for _ in range(3)) / REFERENCE_SECONDS)


def least_reading(read: Callable[[], float], *, bar: float, most: int = 3) -> float:
    """Return the least of several readings: other work can only make one of them longer.

    Args:
        read: takes a reading.
        bar: the first reading below it is the last that is taken.
        most: how many readings are taken where none is below the bar.
    """
    least = read()
    for _ in range(most - 1):
        if least < bar:
            break
        least = min(least, read())
    return least


def _seconds_of_loops(clock: Callable[[], float]) -> float:
    start, total = clock(), 0
    for number in range(LOOPS):
        total += number * number % 7
    return clock() - start
