"""Estimate how noisy a machine measures, and which change so many launches can show on it.

The measure is an A/A comparison: several copies of one cell, between which nothing differs. Spreads
are standard deviations of log ratios, one ratio a launch, as `estimators.log_ratios` returns them;
0.01 is about 1 %. What a number of launches can show comes from running the report's own estimator
over normal draws, without the variances of other cells (`moderation.NO_PRIOR`): a run of many cells
does a little better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.statistics.estimators import CONFIDENCE, Array, lower_quartiles
from results.statistics.moderation import NO_PRIOR, moderate_cells
from results.statistics.verdict import MARGIN, NOISY_MARGIN, half_widths, margin_for

DEFAULT_LAUNCHES = 6
LEVELS = ("quiet", "noisy", "very noisy")
DRAWS = 4000


class Spread(NamedTuple):
    """The standard deviation of one launch's log ratio, and its degrees of freedom."""

    sd: float
    dof: float


class Unchanged(NamedTuple):
    """The spreads of several copies of one cell, timed side by side in each of several launches.

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
    """Hold ratios estimated from simulated launches, and half the width of each one's interval."""

    estimates: Array
    half_widths: Array


def pooled_spread(log_ratios: Sequence[ArrayLike]) -> Spread:
    """Return the standard deviation of the log ratio of a launch, pooled over several cells.

    Args:
        log_ratios: one row [launches] for each cell.

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
    """Return the spread of the log ratio of any two copies, from log times [copies, launches].

    Effects of a launch on all copies, and of a copy in every launch, are subtracted. The residuals
    of this two-way table have half the variance of a difference of two; with two copies the result
    is the plain standard deviation of their log ratio.

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
    """Return how much copies of one cell differ, though nothing differs between them.

    Args:
        samples: ``samples[copy][launch]`` are seconds per call, in the order measured.
        stretches: into how many parts each launch is cut, each as long as a run would have
            measured. The variance is the mean over them: longer measuring makes the estimate of
            the noise surer, not smaller.

    Raises:
        ValueError: copies or launches are too few, or a launch that `lower_quartiles` refuses.
    """
    cut = [[np.array_split(np.asarray(row), stretches) for row in copy] for copy in samples]
    tables = [
        np.log([lower_quartiles([row[i] for row in copy]) for copy in cut])
        for i in range(stretches)
    ]
    each = [spread_of_copies(table) for table in tables]
    across = [2 * table.var(axis=1, ddof=1).mean() for table in tables]
    single = [np.std(np.log(np.asarray(row))) for copy in samples for row in copy]
    return Unchanged(
        Spread(math.sqrt(np.mean([one.sd**2 for one in each])), each[0].dof),
        float(np.median(single)),
        math.sqrt(np.mean(across)),
    )


def sd_interval(spread: Spread, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the interval of the true standard deviation, by the chi-squared distribution."""
    tail = (1 - confidence) / 2
    high, low = scipy.special.chdtri(spread.dof, [tail, 1 - tail])
    return spread.sd * math.sqrt(spread.dof / high), spread.sd * math.sqrt(spread.dof / low)


def half_width(sd: float, launches: int, confidence: float = CONFIDENCE) -> float:
    """Return half the width that the interval of a log ratio has in the median.

    Args:
        sd: the standard deviation of a launch's log ratio.

    Raises:
        ValueError: fewer than 2 launches.
    """
    return sd * float(np.median(_drawn(launches, confidence).half_widths))


def smallest_change(
    sd: float, launches: int, *, margin: float = MARGIN, alpha: float = 0.05, power: float = 0.8
) -> float:
    """Return the change, as a log ratio, that is detected in ``power`` of all comparisons.

    A change is detected where its estimate lies beyond the margin and its interval of confidence
    1 − alpha leaves 0 out. This holds for one comparison by itself: correcting for several makes
    the smallest change larger.
    """
    draws = _drawn(launches, 1 - alpha)
    beyond = np.maximum(draws.half_widths, margin / sd if sd else 0.0)
    return max(margin, sd * float(np.quantile(beyond - draws.estimates, power)))


def level(sd: float) -> str:
    """Return how noisy a machine is: ``quiet``, ``noisy`` or ``very noisy``.

    It is quiet where 6 launches give a ratio to ±1 %, and noisy where they give it to ±2 %.

    Args:
        sd: the standard deviation of a launch's log ratio.
    """
    width = half_width(sd, DEFAULT_LAUNCHES)
    return LEVELS[int(width > math.log1p(MARGIN)) + int(width > math.log1p(NOISY_MARGIN))]


def margin(sds: Sequence[float]) -> float:
    """Return the margin within which cells count as equal: 1 %, or 2 % on a noisy machine.

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
    """Estimate ratios of launches whose log ratios are normal with mean 0 and SD 1."""
    if launches < 2:
        raise ValueError(f"{launches} launches; an interval needs at least 2")
    rng = np.random.default_rng(launches)
    rows = moderate_cells(rng.standard_normal((DRAWS, launches)), NO_PRIOR)
    return _Draws(rows.log_ratio, half_widths(rows, confidence))
