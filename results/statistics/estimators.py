"""From raw samples to times and ratios with intervals.

Two launches of one program differ by more than two rounds within a launch, and the
rounds of a launch follow each other (they are no independent draws). So each launch
gives one number, the lower quartile of its samples, and every interval is over launches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# Under this many launches there are estimates, and no intervals.
LAUNCHES_FOR_INTERVAL = 6
# From this many launches on, the location is a trimmed mean.
LAUNCHES_FOR_TRIMMING = 10
TRIMMED = 0.2
# With fewer cells than this, their spreads say nothing about a spread they share.
CELLS_FOR_PRIOR = 3


class Location(NamedTuple):
    """Where the log ratios of a cell lie: `estimate`, the `variance` of one launch that
    matches it (that of the estimate times the launches), and its degrees of freedom."""

    estimate: float
    variance: float
    dof: float


class Prior(NamedTuple):
    """What the cells of a session say together about the variance of one of them.

    `dof` is 0 for no prior, infinite where all cells share one variance. `pooled_dof` are
    the degrees of freedom of all the cells it was fitted on: no interval may claim more.
    """

    variance: float
    dof: float
    pooled_dof: float = math.inf


class Moderated(NamedTuple):
    """A log ratio, its standard error, and the degrees of freedom of its t."""

    log_ratio: float
    standard_error: float
    dof: float


NO_PRIOR = Prior(math.nan, 0.0)


def lower_quartiles(launches: Sequence[ArrayLike]) -> Array:
    """The lower quartile of each launch, in seconds: [launches].

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
    """As `np.percentile(row, 25)`, in a tenth of the time: runs hold thousands of launches."""
    below, fraction = divmod(0.25 * (len(row) - 1), 1.0)
    low = int(below)
    high = min(low + 1, len(row) - 1)
    ordered = np.partition(row, (low, high))
    return float(ordered[low] + fraction * (ordered[high] - ordered[low]))


def time_estimate(launches: Sequence[ArrayLike], confidence: float = 0.95) -> dict[str, Any]:
    """The time of a cell in seconds: the median over launches of their lower quartiles.

    The interval runs between two order statistics and assumes no distribution (Thompson
    1936; David & Nagaraja 2003, section 7.1): it covers the median over all launches with
    at least the confidence asked for; 6 launches, minimum to maximum, give 96.9 %. It is
    null under 6 launches, and where so few cannot reach that confidence.

    Args:
        launches: one row [samples] a launch, in seconds per call.

    Returns:
        ``estimate``, ``low``, ``high`` in seconds, ``confidence``, ``launches`` (how many).

    Raises:
        ValueError: no launch, or one that `lower_quartiles` refuses.
    """
    ordered = np.sort(lower_quartiles(launches))
    count = len(ordered)
    if not count:
        raise ValueError("no launches; a time needs at least one; measure the cell again")
    rank = _median_rank(count, confidence) if count >= LAUNCHES_FOR_INTERVAL else 0
    low, high = (ordered[rank - 1], ordered[count - rank]) if rank else (None, None)
    return _figure(float(np.median(ordered)), low, high, confidence, count)


def _median_rank(count: int, confidence: float) -> int:
    """The largest k for which the k-th value from below and the k-th from above hold the
    median with that confidence; 0 if there is none. Either misses it when fewer than k
    values fall on its side, so the number that do is binomial with probability 1/2."""
    ranks = np.arange(1, count // 2 + 1)
    misses = 2 * scipy.special.bdtr(ranks - 1.0, count, 0.5)
    return int(np.count_nonzero(misses <= 1 - confidence))


def _figure(
    estimate: float, low: float | None, high: float | None, confidence: float, launches: int
) -> dict[str, Any]:
    return {
        "estimate": estimate,
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
        "confidence": confidence,
        "launches": launches,
    }


def log_ratios(baseline: Sequence[ArrayLike], cell: Sequence[ArrayLike]) -> Array:
    """log(lower quartile of the cell / of the baseline), launch by launch: [launches].

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


def location(d: ArrayLike) -> Location:
    """The mean of the log ratios [launches], from 10 launches on their 20 %-trimmed mean.

    The trimmed mean goes with the sum of squares of the winsorized values, SSD_w / (h(h-1))
    on h - 1 degrees of freedom, where h values are left (Tukey & McLaughlin 1963, in the
    form of Yuen 1974: s_w² / ((1-2g)² n), the other usual form, is 6 % too small for 10
    normal launches, and its intervals cover 93.6 %). The variance is nan for one launch.

    Raises:
        ValueError: no launches.
    """
    ordered = np.sort(np.asarray(d, dtype=np.float64))
    count = len(ordered)
    if not count:
        raise ValueError("no log ratios; a location needs at least one launch")
    cut = int(TRIMMED * count) if count >= LAUNCHES_FOR_TRIMMING else 0
    kept = ordered[cut : count - cut]
    winsorized = np.clip(ordered, kept[0], kept[-1])
    squares = float(np.sum((winsorized - winsorized.mean()) ** 2))
    dof = len(kept) - 1
    variance = squares * count / (len(kept) * dof) if dof else math.nan
    return Location(float(kept.mean()), variance, float(dof))


def trigamma_inverse(x: float) -> float:
    """The y with trigamma(y) = x > 0, by Newton's method on 1/trigamma, which is convex and
    nearly linear, so that it converges from below (Smyth 2004, appendix)."""
    if x > 1e7:
        return 1 / math.sqrt(x)
    if x < 1e-6:
        return 1 / x
    y = 0.5 + 1 / x
    for _ in range(50):
        trigamma = float(scipy.special.polygamma(1, y))
        step = trigamma * (1 - trigamma / x) / float(scipy.special.polygamma(2, y))
        y += step
        if -step / y < 1e-10:
            break
    return y


def fit_prior(variances: ArrayLike, dof: ArrayLike) -> Prior:
    """The scaled inverse chi-squared from which the cells' variances seem drawn.

    By the first two moments of log s² (Smyth 2004, "Linear models and empirical Bayes
    methods", section 6.2; `fitFDist` in limma): their mean gives the prior's variance,
    what they spread beyond their own sampling error its degrees of freedom. Where they
    spread no more than that, all cells share one variance and the degrees are infinite.

    As in limma, a variance under 1e-5 of the median is raised to that, as a coarse clock
    can make some of them 0 and their logarithm infinite. There is no prior if the median
    is 0 too, or with fewer than 3 cells.

    Args:
        variances: one a cell, [cells]; those of cells without degrees of freedom are left out.
        dof: the degrees of freedom of each, [cells].
    """
    freedom = np.asarray(dof, dtype=np.float64)
    usable = (freedom > 0) & np.isfinite(np.asarray(variances, dtype=np.float64))
    freedom = freedom[usable]
    values = np.asarray(variances, dtype=np.float64)[usable]
    if len(values) < CELLS_FOR_PRIOR or np.median(values) <= 0:
        return NO_PRIOR
    half = freedom / 2
    logs = np.log(np.maximum(values, 1e-5 * np.median(values)))
    centred = logs - scipy.special.digamma(half) + np.log(half)
    excess = float(centred.var(ddof=1) - scipy.special.polygamma(1, half).mean())
    mean, pooled = float(centred.mean()), float(freedom.sum())
    if excess <= 0:
        return Prior(math.exp(mean), math.inf, pooled)
    prior_half = trigamma_inverse(excess)
    shift = float(scipy.special.digamma(prior_half)) - math.log(prior_half)
    return Prior(math.exp(mean + shift), 2 * prior_half, pooled)


def moderate(d: ArrayLike, prior: Prior) -> Moderated:
    """The location of the log ratios [launches] with its variance shrunk toward the prior.

    s̃² = (d0 s0² + dg sg²) / (d0 + dg) on d0 + dg degrees of freedom (Smyth 2004, eq. 6),
    though never on more than the cells behind the prior have together (as limma does).
    Without a prior this is the ordinary t.
    """
    estimate, variance, dof = location(d)
    if prior.dof == math.inf:
        variance = prior.variance
    elif prior.dof > 0:
        own = dof * variance if dof else 0.0
        variance = (prior.dof * prior.variance + own) / (prior.dof + dof)
    total = min(prior.dof + dof, max(prior.pooled_dof, dof))
    return Moderated(estimate, math.sqrt(variance / np.size(d)), total)


def moderated_interval(d: ArrayLike, prior: Prior, confidence: float = 0.95) -> dict[str, Any]:
    """The ratio to the baseline, with the interval of the moderated t; null under 6 launches.

    Args:
        d: the cell's log ratios, [launches].
        prior: of the session's cells of this framework, or `NO_PRIOR`.

    Returns:
        ``estimate``, ``low``, ``high`` as ratios, ``confidence``, ``launches`` (how many).
    """
    centre, error, dof = moderate(d, prior)
    count = np.size(d)
    if count < LAUNCHES_FOR_INTERVAL:
        return _figure(math.exp(centre), None, None, confidence, count)
    half = float(scipy.special.stdtrit(dof, (1 + confidence) / 2)) * error
    return _figure(
        math.exp(centre), math.exp(centre - half), math.exp(centre + half), confidence, count
    )


def welch_interval(
    baseline: Sequence[ArrayLike],
    cell: Sequence[ArrayLike],
    confidence: float = 0.95,
    between: float = 0.0,
) -> dict[str, Any]:
    """The ratio of two cells whose launches are not paired, as of two frameworks.

    Welch's t over the logarithms of the launches' lower quartiles, with Satterthwaite's degrees
    of freedom (Welch 1947). What makes a launch fast or slow does not cancel here, so that it is
    much wider than a paired one. Null ends where either has fewer than 6 launches.

    Args:
        between: the standard deviation of the log ratio from session to session, where it is
            known: the launches of one session share what it does, and cannot show it. Counted as
            known exactly, so with no degrees of freedom to lose.

    Returns:
        As `moderated_interval`; ``launches`` is the smaller of the two counts.

    Raises:
        ValueError: no launch, or one that `lower_quartiles` refuses.
    """
    logs = [np.log(lower_quartiles(launches)) for launches in (baseline, cell)]
    if not all(len(values) for values in logs):
        raise ValueError("no launches; a ratio needs at least one of each; measure the cells again")
    centre = float(logs[1].mean() - logs[0].mean())
    count = min(len(values) for values in logs)
    if count < LAUNCHES_FOR_INTERVAL:
        return _figure(math.exp(centre), None, None, confidence, count)
    errors = [float(values.var(ddof=1)) / len(values) for values in logs]
    total = sum(errors) + between**2
    spread = sum(e**2 / (len(v) - 1) for e, v in zip(errors, logs, strict=True))
    dof = total**2 / spread if spread else math.inf
    half = float(scipy.special.stdtrit(dof, (1 + confidence) / 2)) * math.sqrt(total)
    return _figure(
        math.exp(centre), math.exp(centre - half), math.exp(centre + half), confidence, count
    )
