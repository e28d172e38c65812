"""Say which slowdown a session will find, from the noise that its first launch pairs have shown.

"Found" means called slower: at the last look the test is under its level and the estimate beyond
the margin. A slowed cell may be any of the cells, so that the chance of finding it is the mean over
them. How much each cell's noise is not known yet, from a few pairs, is part of that chance: the
variance of a launch pair is taken as ν s² / χ²(ν), with the degrees of freedom ν of its estimate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.statistics.estimators import Array

POWER = 0.8
# The range stated with a slowdown holds the true one in so many of a hundred sessions.
CONFIDENCE = 0.8
DRAWS = 21  # quantiles by which the distribution of a variance is represented
MOST_PAIRS = 100_000


class Noise(NamedTuple):
    """How cells vary from launch pair to launch pair.

    Attributes:
        spreads: the standard deviation of the log ratio of one pair, [cells].
        dof: the degrees of freedom of each, [cells].
        pairs: how many pairs they were estimated from.
    """

    spreads: Array
    dof: Array
    pairs: int


class LastTest(NamedTuple):
    """How a cell is tested at the last look.

    Attributes:
        bound: the margin as a log ratio, beyond which an estimate must lie.
        level: what an adjusted p must be under.
        rows: how many tests are made at once: the smallest p is multiplied by it.
    """

    bound: float
    level: float
    rows: int


class Detectable(NamedTuple):
    """The slowdown that is found with `POWER`, and its range; 0.03 is 3 %, infinite if none is."""

    slowdown: float
    low: float
    high: float


def chance(slowdown: float, noise: Noise, test: LastTest, pairs: int) -> float:
    """Return the chance that a cell slowed by this much is found after so many pairs.

    Args:
        slowdown: relative: 0.03 is 3 %.
        noise: of the cells; the mean over them is returned.
        test: at the last look.
        pairs: launch pairs by then.
    """
    places = (np.arange(DRAWS) + 0.5) / DRAWS
    dof = np.asarray(noise.dof, dtype=np.float64)[:, None]
    finite = np.where(np.isfinite(dof), dof, 1e6)
    spreads = noise.spreads[:, None] * np.sqrt(finite / scipy.special.chdtri(finite, places))
    return _mean_power(math.log1p(slowdown), spreads, dof, noise.pairs, test, pairs)


def _mean_power(
    effect: float, spreads: Array, dof: Array, measured: int, test: LastTest, pairs: int
) -> float:
    """Return the mean over spreads of the chance that this log ratio is found."""
    error = spreads / math.sqrt(pairs)
    # the pairs to come add to what is known of the spread; the share of them that trimming keeps
    later = np.minimum(dof + 0.6 * max(0, pairs - measured), 1e6)
    quantile = -scipy.special.stdtrit(later, min(0.5, test.level / test.rows / 2))
    needed = np.maximum(test.bound, quantile * error)
    return float(scipy.special.ndtr((effect - needed) / error).mean())


def detectable(noise: Noise, test: LastTest, pairs: int) -> Detectable:
    """Return the slowdown of which `POWER` are found after so many pairs, with its range.

    The range comes from what is not known of the noise: all spreads at the lower and at the upper
    end of their own `CONFIDENCE` interval.

    Args:
        noise: of the cells that may have got slower.
        test: at the last look.
        pairs: launch pairs by then.
    """
    estimate = _smallest(lambda slowdown: chance(slowdown, noise, test, pairs))
    dof = np.minimum(np.asarray(noise.dof, dtype=np.float64), 1e6)[:, None]
    ends = []
    for tail in ((1 + CONFIDENCE) / 2, (1 - CONFIDENCE) / 2):
        spreads = noise.spreads[:, None] * np.sqrt(dof / scipy.special.chdtri(dof, tail))
        ends.append(_smallest(_power_of(spreads, dof, noise.pairs, test, pairs)))
    return Detectable(estimate, min(estimate, *ends), max(estimate, *ends))


def _power_of(
    spreads: Array, dof: Array, measured: int, test: LastTest, pairs: int
) -> Callable[[float], float]:
    """Return the function slowdown → mean chance of these spreads."""
    return lambda slowdown: _mean_power(math.log1p(slowdown), spreads, dof, measured, test, pairs)


def _smallest(power: Callable[[float], float]) -> float:
    """Return the smallest slowdown with `POWER`, by bisection; infinite beyond a factor of 100."""
    low, high = 0.0, 99.0
    if power(high) < POWER:
        return math.inf
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


def pairs_needed(slowdown: float, noise: Noise, test: LastTest) -> float:
    """Return after how many pairs a slowdown is found with `POWER`; infinite if never.

    Args:
        slowdown: relative. One within the margin is never found.
        noise: of the cells that may have got slower.
        test: at the last look.
    """
    if chance(slowdown, noise, test, MOST_PAIRS) < POWER:
        return math.inf
    low, high = 1, MOST_PAIRS
    while low < high:
        middle = (low + high) // 2
        if chance(slowdown, noise, test, middle) >= POWER:
            high = middle
        else:
            low = middle + 1
    return high


def noise_of(errors: ArrayLike, dof: ArrayLike, pairs: ArrayLike) -> Noise:
    """Return the noise of cells from the standard errors of their estimates.

    Args:
        errors: the standard error of each cell's log ratio, [cells].
        dof: their degrees of freedom, [cells].
        pairs: launch pairs of each, [cells].
    """
    counts = np.asarray(pairs, dtype=np.float64)
    spreads = np.asarray(errors, dtype=np.float64) * np.sqrt(counts)
    return Noise(spreads, np.asarray(dof, dtype=np.float64), int(counts.max(initial=0)))
