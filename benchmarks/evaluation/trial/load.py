"""Run a bursty neighbour: memory traffic on one core, on and off for 0.2 to 3 seconds each.

``python -m benchmarks.evaluation.trial.load SEED`` runs until it is killed. The seed fixes the
bursts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import numpy as np

from benchmarks.evaluation.trial.plan import BURST

MEGABYTES = 64  # of each of the two arrays: more than any cache holds


def bursts(seed: int) -> Iterator[tuple[bool, float]]:
    """Yield without end (whether the load is on, for how many seconds), drawn by the seed."""
    rng = np.random.default_rng(seed)
    low, high = np.log(BURST)
    on = bool(rng.integers(2))
    while True:
        yield on, float(np.exp(rng.uniform(low, high)))
        on = not on


def main() -> None:
    """Copy memory during bursts, and sleep between them."""
    one, other = np.ones((2, MEGABYTES * 2**20 // 8))
    for on, seconds in bursts(int(sys.argv[1])):
        end = time.perf_counter() + seconds
        if not on:
            time.sleep(seconds)
        while on and time.perf_counter() < end:
            np.copyto(one, other)
            one, other = other, one


if __name__ == "__main__":
    main()
