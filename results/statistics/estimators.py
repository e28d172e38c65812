"""Turn raw samples into times and ratios with intervals.

Two launches (worker processes) of one program differ by more than two rounds within a launch, and
the rounds of a launch follow each other: they are no independent draws. So each launch gives one
number, the lower quartile of its samples, and every interval is over launches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from results.records.schema import Estimate

Array = NDArray[np.float64]

# Under this many launches there are estimates, and no intervals.
LAUNCHES_FOR_INTERVAL = 6
# The usual confidence of an interval.
CONFIDENCE = 0.95


def lower_quartiles(launches: Sequence[ArrayLike]) -> Array:
    """Return the lower quartile of each launch, in seconds: [launches].

    Lower than the median, since what disturbs a measurement makes it longer; not the
    minimum, which grows smaller with every round (linear interpolation between order
    statistics, type 7 of Hyndman & Fan 1996).

    Args:
        launches: one row [samples] a launch, in seconds per call.

    Raises:
        ValueError: a launch is empty, or holds a time that is not finite and above 0.
    """
    rows = [np.asarray(launch, dtype=np.float64) for launch in launches]
    for index, row in enumerate(rows):
        if row.ndim != 1 or not row.size or not (np.isfinite(row) & (row > 0)).all():
            raise ValueError(
                f"launch {index} holds {row.size} samples, shape {row.shape}; it must be one row "
                "of at least one time, all finite and above 0 s; measure the cell again"
            )
    return np.array([_lower_quartile(row) for row in rows], dtype=np.float64)


def _lower_quartile(row: Array) -> float:
    """Return the lower quartile of a row [samples].

    It is ``np.percentile(row, 25)`` in a tenth of its time: runs hold thousands of launches.
    """
    below, fraction = divmod(0.25 * (len(row) - 1), 1.0)
    low = int(below)
    high = min(low + 1, len(row) - 1)
    ordered = np.partition(row, (low, high))
    return float(ordered[low] + fraction * (ordered[high] - ordered[low]))


def time_estimate(launches: Sequence[ArrayLike], confidence: float = CONFIDENCE) -> Estimate:
    """Return the time of a cell in seconds: the median over launches of their lower quartiles.

    The interval runs between two order statistics and assumes no distribution (Thompson
    1936; David & Nagaraja 2003, section 7.1): it covers the median over all launches with
    at least the confidence asked for; 6 launches, minimum to maximum, give 96.9 %. It is
    null under 6 launches, and where so few cannot reach that confidence.

    Args:
        launches: one row [samples] a launch, in seconds per call.

    Raises:
        ValueError: no launch, or one that `lower_quartiles` refuses.
    """
    ordered = np.sort(lower_quartiles(launches))
    count = len(ordered)
    if not count:
        raise ValueError("no launches; a time needs at least one; measure the cell again")
    rank = _median_rank(count, confidence) if count >= LAUNCHES_FOR_INTERVAL else 0
    return Estimate(
        estimate=float(np.median(ordered)),
        low=float(ordered[rank - 1]) if rank else None,
        high=float(ordered[count - rank]) if rank else None,
        confidence=confidence,
        launches=count,
    )


def _median_rank(count: int, confidence: float) -> int:
    """Return the largest k for which the k-th values from both ends enclose the median.

    They must do so with that confidence; 0 if there is no such k. Either end misses the median
    when fewer than k values fall on its side, and the number that do is binomial with
    probability 1/2.
    """
    ranks = np.arange(1, count // 2 + 1)
    misses = 2 * scipy.special.bdtr(ranks - 1.0, count, 0.5)
    return int(np.count_nonzero(misses <= 1 - confidence))


def log_ratios(baseline: Sequence[ArrayLike], cell: Sequence[ArrayLike]) -> Array:
    """Return log(lower quartile of the cell / of the baseline), launch by launch: [launches].

    Launch i of the one is paired with launch i of the other: measured interleaved in the
    same process, they share what makes that launch fast or slow, and it cancels.

    Raises:
        ValueError: the two have different numbers of launches, or a bad launch.
    """
    if len(baseline) != len(cell):
        raise ValueError(
            f"the baseline has {len(baseline)} launches and the cell {len(cell)}; a ratio pairs "
            "them launch by launch and needs as many of both; measure the group again"
        )
    return np.log(lower_quartiles(cell) / lower_quartiles(baseline))


def welch_interval(
    baseline: Sequence[ArrayLike],
    cell: Sequence[ArrayLike],
    confidence: float = CONFIDENCE,
    between: float = 0.0,
) -> Estimate:
    """Return the ratio of two cells whose launches are not paired, as of two frameworks.

    Welch's t over the logarithms of the launches' lower quartiles, with Satterthwaite's degrees
    of freedom (Welch 1947). What makes a launch fast or slow does not cancel here, so that the
    interval is much wider than a paired one. Its ends are null where either cell has fewer than
    6 launches.

    Args:
        between: the standard deviation of the log ratio from session to session, where it is
            known: the launches of one session share what that session does, and cannot show it.
            Counted as known exactly, so with no degrees of freedom to lose.

    Returns:
        The ratio; ``launches`` is the smaller of the two counts.

    Raises:
        ValueError: no launch, or one that `lower_quartiles` refuses.
    """
    logs = [np.log(lower_quartiles(launches)) for launches in (baseline, cell)]
    count = min(len(values) for values in logs)
    if not count:
        raise ValueError("no launches; a ratio needs at least one of each; measure the cells again")
    centre = float(logs[1].mean() - logs[0].mean())
    if count < LAUNCHES_FOR_INTERVAL:
        return ratio_estimate(centre, None, confidence, count)
    errors = [float(values.var(ddof=1)) / len(values) for values in logs]
    total = sum(errors) + between**2
    spread = sum(e**2 / (len(v) - 1) for e, v in zip(errors, logs, strict=True))
    dof = total**2 / spread if spread else math.inf
    half = t_half_width(math.sqrt(total), dof, confidence)
    return ratio_estimate(centre, half, confidence, count)


def t_half_width(standard_error: float, dof: float, confidence: float) -> float:
    """Return half the width of the confidence interval that a t distribution gives an estimate.

    Args:
        dof: the degrees of freedom.
    """
    return float(scipy.special.stdtrit(dof, (1 + confidence) / 2)) * standard_error


def ratio_estimate(
    centre: float, half_width: float | None, confidence: float, launches: int
) -> Estimate:
    """Return a ratio with its interval, from a log ratio and half the width of its interval.

    Args:
        half_width: None where there are too few launches for an interval: its ends are null.
    """
    return Estimate(
        estimate=math.exp(centre),
        low=None if half_width is None else math.exp(centre - half_width),
        high=None if half_width is None else math.exp(centre + half_width),
        confidence=confidence,
        launches=launches,
    )
