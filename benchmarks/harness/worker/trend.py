"""Test whether a series of times has a trend, by Mann and Kendall's test with exact p-values.

S is the number of pairs of values that rise with time, less the number that fall (Mann 1945,
*Nonparametric tests against trend*, Econometrica 13). Without a trend every order is equally
likely, and S follows from the number of inversions of a permutation (Kendall 1938).
`scipy.stats.kendalltau` with ``method="exact"`` gives the same p, but importing it takes longer
than a worker takes to warm up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import factorial

import numpy as np

LEVEL = 0.01  # share of series without a trend in which the test finds one all the same
LEAST = 6  # of 5 values even the steepest order has p = 2 / 5! = 0.017, of 6 it has 0.0028
MOST = 10  # neighbours of more and shorter batches are correlated, which looks like a trend


def is_steady(seconds: Sequence[float]) -> bool | None:
    """Return whether times, in the order taken, show no trend at the level of 1 %.

    The test is of the medians of up to `MOST` batches, on which a single slow call has no effect.
    None means that there are too few times for a trend to show.
    """
    if len(seconds) < LEAST:
        return None
    batches = np.array_split(np.asarray(seconds), min(MOST, len(seconds)))
    return p_of_trend([float(np.median(batch)) for batch in batches]) > LEVEL


def p_of_trend(values: Sequence[float]) -> float:
    """Return the two-sided p-value of Mann and Kendall's S; equal values only make it larger."""
    count = len(values)
    rising = np.sign(np.subtract.outer(values, values))[np.tril_indices(count, -1)]
    pairs, score = len(rising), abs(int(rising.sum()))
    as_far = sum(_inversions(count)[: (pairs - score) // 2 + 1])  # orders as extreme, on one side
    return min(1.0, 2 * as_far / factorial(count))


@cache
def _inversions(count: int) -> list[int]:
    """Return the numbers of permutations of ``count`` values that have 0, 1, 2, … inversions."""
    ways = np.ones(1, dtype=np.int64)
    for length in range(2, count + 1):  # the largest value jumps over 0 to length - 1 others
        ways = np.convolve(ways, np.ones(length, dtype=np.int64))
    return [int(way) for way in ways]
