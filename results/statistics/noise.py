"""How noisy measuring is: from a comparison in which nothing changed to what can be told by it.

Everything here is about log ratios, one a launch, as `results.statistics.log_ratios` gives them;
0.01 is about 1 %. What to expect of so many launches is found by running the very estimator of the
report over normal draws, without what a session's other cells lend it (`statistics.moderate` with
no prior): a run of many cells does a little better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.statistics.estimators import NO_PRIOR, Array, lower_quartiles, moderate
from results.statistics.verdict import MARGIN, NOISY_MARGIN, margin_for

DEFAULT_LAUNCHES = 6
LEVELS = ("quiet", "noisy", "very noisy")
DRAWS = 4000


class Spread(NamedTuple):
    """The standard deviation of one launch's log ratio, and its degrees of freedom."""

    sd: float
    dof: float


class Unchanged(NamedTuple):
    """Several copies of one cell, timed side by side in each of several launches.

    Attributes:
        ratio: of two copies in the same launch.
        within_launch: SD of the log of single samples in a launch, the median over launches.
        across_processes: SD of the log ratio of two copies in different launches, measured one
            after the other.
    """

    ratio: Spread
    within_launch: float
    across_processes: float


class _Draws(NamedTuple):
    estimates: Array
    half_widths: Array


def spread(log_ratios: Sequence[ArrayLike]) -> Spread:
    """The spread that cells have in common, pooled: one row [launches] a cell.

    Raises:
        ValueError: no cell has two launches.
    """
    rows = [np.asarray(row, dtype=np.float64) for row in log_ratios]
    dof = sum(max(0, row.size - 1) for row in rows)
    if not dof:
        raise ValueError(f"{len(rows)} cells and none with 2 launches; a spread needs one that has")
    squares = sum(float(np.sum((row - row.mean()) ** 2)) for row in rows if row.size)
    return Spread(math.sqrt(squares / dof), float(dof))


def spread_of_copies(log_times: ArrayLike) -> Spread:
    """The spread of the log ratio of any two of the copies: [copies, launches].

    What a launch does to all copies is no part of it, nor what a copy has in every launch. What is
    left of the two-way table has half the variance of a difference of two; with two copies this is
    the plain standard deviation of their log ratio.

    Raises:
        ValueError: fewer than 2 copies or 2 launches.
    """
    table = np.asarray(log_times, dtype=np.float64)
    if table.ndim != 2 or min(table.shape) < 2:
        raise ValueError(f"shape {table.shape}; give at least 2 copies in at least 2 launches")
    rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()
    dof = (table.shape[0] - 1) * (table.shape[1] - 1)
    return Spread(math.sqrt(2 * float(np.sum(rest**2)) / dof), float(dof))


def unchanged(samples: Sequence[Sequence[ArrayLike]], stretches: int = 1) -> Unchanged:
    """What copies of one cell say: ``samples[copy][launch]`` are seconds per call, in order.

    Each launch is cut into so many ``stretches``, as long each as a run would have measured, and
    the variance is the mean over them: longer measuring makes the figure surer, not smaller.

    Raises:
        ValueError: copies or launches are too few, or a launch that `lower_quartiles` refuses.
    """
    cut = [[np.array_split(np.asarray(row), stretches) for row in copy] for copy in samples]
    tables = [
        np.log([lower_quartiles([row[i] for row in copy]) for copy in cut])
        for i in range(stretches)
    ]
    each = [spread_of_copies(table) for table in tables]
    framework_ratios = [2 * table.var(axis=1, ddof=1).mean() for table in tables]
    single = [np.std(np.log(np.asarray(row))) for copy in samples for row in copy]
    return Unchanged(
        Spread(math.sqrt(np.mean([one.sd**2 for one in each])), each[0].dof),
        float(np.median(single)),
        math.sqrt(np.mean(framework_ratios)),
    )


def sd_interval(found: Spread, confidence: float = 0.95) -> tuple[float, float]:
    """Between what the true standard deviation lies, by the chi-squared of a normal sample."""
    tail = (1 - confidence) / 2
    high, low = scipy.special.chdtri(found.dof, [tail, 1 - tail])
    return found.sd * math.sqrt(found.dof / high), found.sd * math.sqrt(found.dof / low)


def half_width(sd: float, launches: int, confidence: float = 0.95) -> float:
    """Half the interval of a ratio of such a spread, in log; half of the intervals are narrower.

    Raises:
        ValueError: fewer than 2 launches.
    """
    return sd * float(np.median(_drawn(launches, confidence).half_widths))


def smallest_change(
    sd: float, launches: int, *, margin: float = MARGIN, alpha: float = 0.05, power: float = 0.8
) -> float:
    """The change, in log, that is found in ``power`` of all comparisons.

    Found is one whose estimate lies beyond the margin and whose interval of confidence 1 − alpha
    leaves 0 out. One comparison by itself: correcting for several makes it larger.
    """
    draws = _drawn(launches, 1 - alpha)
    beyond = np.maximum(draws.half_widths, margin / sd if sd else 0.0)
    return max(margin, sd * float(np.quantile(beyond - draws.estimates, power)))


def level(sd: float) -> str:
    """``quiet`` where 6 launches tell a ratio to ±1 %, ``noisy`` where to ±2 %, else the third."""
    width = half_width(sd, DEFAULT_LAUNCHES)
    return LEVELS[int(width > math.log1p(MARGIN)) + int(width > math.log1p(NOISY_MARGIN))]


def margin(sds: Sequence[float]) -> float:
    """The m within which cells count as equal: 1 %, or 2 % where most cells are noisier than that.

    Args:
        sds: of a launch's log ratio where nothing changed, one a cell.

    Raises:
        ValueError: no cells.
    """
    if not len(sds):
        raise ValueError("no spread of an unchanged cell; measure base against base first")
    return margin_for(sds)


@lru_cache
def _drawn(launches: int, confidence: float) -> _Draws:
    """What the estimator makes of launches whose log ratios are normal, mean 0 and SD 1."""
    if launches < 2:
        raise ValueError(f"{launches} launches; an interval needs at least 2")
    rng = np.random.default_rng(launches)
    found = [moderate(row, NO_PRIOR) for row in rng.standard_normal((DRAWS, launches))]
    quantile = float(scipy.special.stdtrit(found[0].dof, (1 + confidence) / 2))
    return _Draws(
        np.array([one.log_ratio for one in found]),
        quantile * np.array([one.standard_error for one in found]),
    )
