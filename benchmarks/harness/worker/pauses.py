"""Find the samples that a pause of the process or of the whole machine has touched.

A virtual machine that is moved, a laptop that is suspended, a process that is stopped by SIGSTOP:
all stand still for a moment, and a sample in which that happens says nothing of its cell. The clock
here goes on while the machine is suspended, which the clock of samples does not.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from statistics import median
from time import clock_gettime

# where it is not Linux, a suspended machine's clock stands still too
CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

# A sample that takes so much longer than the cell's others, and twice as long, was interrupted.
# Another process makes a call slower by a share; what it takes of a core comes in milliseconds.
PAUSE_SECONDS = 0.5


def now() -> float:
    """Return the seconds of a clock that no pause stops."""
    return clock_gettime(CLOCK)


def among(elapsed: Sequence[float]) -> dict[int, float]:
    """Return the index of each sample of a cell that a pause touched, and how long that lasted.

    Args:
        elapsed: the seconds that each sample took, by `now`. More than half must be whole: the
            median stands for a sample without a pause.
    """
    if len(elapsed) < 3:
        return {}
    usual = median(elapsed)
    least = max(PAUSE_SECONDS, usual)
    return {i: one - usual for i, one in enumerate(elapsed) if one - usual >= least}


def of_blocks(elapsed: Mapping[str, Sequence[float]]) -> dict[int, float]:
    """Return the index of each block with a touched sample, and the seconds of its pauses.

    Args:
        elapsed: cell → the seconds that its sample took in each block.
    """
    seconds: dict[int, float] = {}
    for samples in elapsed.values():
        for block, pause in among(samples).items():
            seconds[block] = seconds.get(block, 0.0) + pause
    return seconds
