"""Whether a series of times still has a trend: the test of Mann and Kendall, by exact counts.

S is how many pairs of values rise with time less how many fall (Mann 1945, *Nonparametric tests
against trend*, Econometrica 13). Without a trend every order is equally likely, and S follows from
the number of inversions of a permutation (Kendall 1938); `scipy.stats.kendalltau` with
``method="exact"`` gives the same p, and takes longer to import than a worker takes to warm up.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import factorial

import numpy as np

LEVEL = 0.01
LEAST = 6  # of 5 values even the steepest order has p = 2 / 5! = 0.017, of 6 it has 0.0028
MOST = 10  # more and shorter batches follow each other more closely, which the test takes for trend


def is_steady(seconds: Sequence[float]) -> bool | None:
    """Whether the medians of batches of these times, in the order taken, show no trend at 1 %.

    None where there are too few of them for a trend to show in.
    """
    if len(seconds) < LEAST:
        return None
    batches = np.array_split(np.asarray(seconds), min(MOST, len(seconds)))
    return p_of_trend([float(np.median(batch)) for batch in batches]) > LEVEL


def p_of_trend(values: Sequence[float]) -> float:
    """The two-sided p of Mann and Kendall's S; equal values make it larger, never smaller."""
    count = len(values)
    rising = np.sign(np.subtract.outer(values, values))[np.tril_indices(count, -1)]
    pairs, score = len(rising), abs(int(rising.sum()))
    as_far = sum(_inversions(count)[: (pairs - score) // 2 + 1])  # on one side
    return min(1.0, 2 * as_far / factorial(count))


@cache
def _inversions(count: int) -> list[int]:
    """How many permutations of so many values have 0, 1, 2, … inversions."""
    ways = np.ones(1, dtype=np.int64)
    for length in range(2, count + 1):  # the largest value jumps over 0 to length - 1 others
        ways = np.convolve(ways, np.ones(length, dtype=np.int64))
    return [int(way) for way in ways]
