"""Locate log ratios over launches, and shrink their variances toward those of other cells.

A cell is measured in a few launches (worker processes), each of which gives one log ratio. Six of
them say little about the variance of a launch. Cells of one session have similar variances, so that
each is shrunk toward a prior fitted on all of them: the moderated t of Smyth 2004, "Linear models
and empirical Bayes methods for assessing differential expression" (`eBayes` in limma).

The functions with plural names are the implementation. They take arrays with any number of axes in
front, since a simulation or a replay moderates thousands of sessions at once. The functions with
singular names call them for one cell or one session and return plain floats.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from results.records.schema import Estimate
from results.statistics.estimators import (
    CONFIDENCE,
    LAUNCHES_FOR_INTERVAL,
    Array,
    ratio_estimate,
    t_half_width,
)

# From this many launches on, the location is a trimmed mean.
LAUNCHES_FOR_TRIMMING = 10
# The fraction of the launches that is cut off at each end.
TRIMMED = 0.2
# With fewer cells than this, their variances do not show how variances are distributed.
CELLS_FOR_PRIOR = 3
# A smaller variance, as a fraction of the median, is raised to it: a coarse clock makes some 0.
LEAST_VARIANCE = 1e-5


class Location(NamedTuple):
    """The location of the log ratios of a cell.

    Attributes:
        estimate: the mean or trimmed mean of the log ratios.
        variance: that of one launch: the estimate's own variance times the number of launches;
            nan for one launch.
        dof: the degrees of freedom of the variance.
    """

    estimate: float
    variance: float
    dof: float


class Locations(NamedTuple):
    """The locations of many cells: `Location` with arrays [..., cells].

    ``dof`` is one number for all cells, or [cells] where they differ in launches.
    """

    estimate: Array
    variance: Array
    dof: float | Array


class Prior(NamedTuple):
    """The distribution of the launch variances of a session's cells.

    Attributes:
        variance: the scale of the scaled inverse chi-squared distribution.
        dof: its degrees of freedom: 0 without a prior, infinite where all cells share one variance.
        pooled_dof: the degrees of freedom of all cells that it was fitted on. No interval may
            claim more.
    """

    variance: float
    dof: float
    pooled_dof: float = math.inf


class Priors(NamedTuple):
    """The priors of many sessions: `Prior` with arrays [...], one entry a session."""

    variance: Array
    dof: Array
    pooled_dof: Array


class Moderated(NamedTuple):
    """A log ratio, its standard error, and the degrees of freedom of its t distribution."""

    log_ratio: float
    standard_error: float
    dof: float


class ModeratedRows(NamedTuple):
    """Many log ratios: `Moderated` with arrays [..., rows], one row for each cell compared."""

    log_ratio: Array
    standard_error: Array
    dof: Array


NO_PRIOR = Prior(math.nan, 0.0)


def location(d: ArrayLike) -> Location:
    """Return the mean log ratio of one cell, the variance of one launch, and its dof.

    From 10 launches on it is the 20 %-trimmed mean with its own variance; see `locations`.

    Args:
        d: log ratios, [launches].
    """
    located = locations(d)
    return Location(float(located.estimate), float(located.variance), float(located.dof))


def locations(d: ArrayLike) -> Locations:
    """Return the mean log ratio of each cell, the variance of one launch, and its dof.

    From 10 launches on it is the 20 %-trimmed mean. That goes with the sum of squares of the
    winsorized values, SSD_w / (h(h-1)) on h - 1 degrees of freedom, where h values are left (Tukey
    & McLaughlin 1963, in the form of Yuen 1974: s_w² / ((1-2g)² n), the other usual form, is 6 %
    too small for 10 normal launches, and its intervals cover 93.6 %). The variance is nan for one
    launch.

    Args:
        d: log ratios, [..., launches].

    Raises:
        ValueError: no launches.
    """
    ordered = np.sort(np.asarray(d, dtype=np.float64), axis=-1)
    count = ordered.shape[-1]
    if not count:
        raise ValueError("no log ratios; a location needs at least one launch")
    cut = int(TRIMMED * count) if count >= LAUNCHES_FOR_TRIMMING else 0
    inner = ordered[..., cut : count - cut]
    winsorized = np.minimum(np.maximum(ordered, inner[..., :1]), inner[..., -1:])
    squares = ((winsorized - winsorized.mean(axis=-1, keepdims=True)) ** 2).sum(axis=-1)
    left = inner.shape[-1]
    dof = left - 1
    variance = squares * count / (left * dof) if dof else np.full_like(squares, math.nan)
    return Locations(inner.mean(axis=-1), variance, float(dof))


def locations_at(d: ArrayLike, counts: NDArray[np.int64]) -> Locations:
    """Return the locations of cells that have different numbers of launches.

    Args:
        d: log ratios, [..., cells, launches]; of each cell the first ones count.
        counts: launches of each cell, [cells].
    """
    values = np.asarray(d, dtype=np.float64)
    if (counts == values.shape[-1]).all():
        return locations(values)
    centre, variance = np.empty(values.shape[:-1]), np.empty(values.shape[:-1])
    dof = np.empty(len(counts))
    for count in np.unique(counts):
        cells = np.flatnonzero(counts == count)
        some = locations(values[..., cells, :count])
        centre[..., cells], variance[..., cells], dof[cells] = some
    return Locations(centre, variance, dof)


def trigamma_inverse(x: float) -> float:
    """Return the y with trigamma(y) = x > 0; see `trigamma_inverses`."""
    return float(trigamma_inverses(x))


def trigamma_inverses(x: ArrayLike) -> Array:
    """Return the y with trigamma(y) = x for each x > 0.

    By Newton's method on 1/trigamma, which is convex and nearly linear, so that it converges from
    below (Smyth 2004, appendix). Beyond 1e7 and under 1e-6 the asymptotes are exact enough.
    """
    values = np.asarray(x, dtype=np.float64)
    inside = np.minimum(np.maximum(values, 1e-6), 1e7)
    y = 0.5 + 1 / inside
    for _ in range(50):
        trigamma = scipy.special.polygamma(1, y)
        step = trigamma * (1 - trigamma / inside) / scipy.special.polygamma(2, y)
        y = y + step
        if (-step / y < 1e-10).all():
            break
    return np.where(values > 1e7, 1 / np.sqrt(values), np.where(values < 1e-6, 1 / values, y))


def fit_prior(variances: ArrayLike, dof: ArrayLike) -> Prior:
    """Fit the distribution that one session's launch variances come from; see `fit_priors`.

    Only cells that have degrees of freedom count.

    Args:
        variances: launch variances of the cells, [cells]; entries that are not finite are left out.
        dof: the degrees of freedom of each, [cells]; cells with none are left out.
    """
    freedom, values = (np.asarray(part, dtype=np.float64) for part in (dof, variances))
    usable = (freedom > 0) & np.isfinite(values)
    priors = fit_priors(values[usable], freedom[usable])
    return Prior(*(float(part) for part in priors))


def fit_priors(variances: ArrayLike, dof: ArrayLike) -> Priors:
    """Fit the scaled inverse chi-squared distribution that each session's variances come from.

    By the first two moments of log s² (Smyth 2004, section 6.2; `fitFDist` in limma): their mean
    gives the prior's variance, and what they spread beyond their own sampling error gives its
    degrees of freedom. Where they spread no more than that, all cells share one variance and the
    degrees of freedom are infinite.

    As in limma, a variance under 1e-5 of the median is raised to that, since its logarithm may be
    infinite. There is no prior where the median is 0 too, nor with fewer than 3 cells.

    Args:
        variances: launch variances, [..., cells], all finite.
        dof: their degrees of freedom, a number or [cells]; there is no prior if any is 0.

    Returns:
        The priors, [...].
    """
    values = np.asarray(variances, dtype=np.float64)
    cells, sessions = values.shape[-1], values.shape[:-1]
    freedom = np.broadcast_to(np.asarray(dof, dtype=np.float64), cells)
    if cells < CELLS_FOR_PRIOR or not (freedom > 0).all():
        return Priors(*(np.full(sessions, part) for part in NO_PRIOR))
    median = np.median(values, axis=-1)
    floor = np.where(median > 0, LEAST_VARIANCE * median, 1.0)[..., None]
    half, logs = freedom / 2, np.log(np.maximum(values, floor))
    centred = logs - scipy.special.digamma(half) + np.log(half)
    excess = centred.var(axis=-1, ddof=1) - scipy.special.polygamma(1, half).mean()
    prior_half = trigamma_inverses(np.where(excess > 0, excess, 1.0))
    shift = np.where(excess > 0, scipy.special.digamma(prior_half) - np.log(prior_half), 0.0)
    variance = np.exp(centred.mean(axis=-1) + shift)
    prior_dof = np.where(excess > 0, 2 * prior_half, math.inf)
    fitted = (variance, prior_dof, freedom.sum())
    return Priors(
        *(np.where(median > 0, part, none) for part, none in zip(fitted, NO_PRIOR, strict=True))
    )


def moderate(d: ArrayLike, prior: Prior) -> Moderated:
    """Return the mean log ratio of one cell, its standard error, and its degrees of freedom.

    The variance is shrunk toward that of the session's other cells; see `moderate_cells`.

    Args:
        d: log ratios, [launches].
        prior: the distribution of the variances of the session's cells.
    """
    rows = moderate_cells(np.asarray(d, dtype=np.float64)[None], prior)
    return Moderated(*(float(part[0]) for part in rows))


def moderate_cells(d: ArrayLike, prior: Prior) -> ModeratedRows:
    """Return each cell's mean log ratio, its standard error, and its degrees of freedom.

    The variance of each is shrunk toward the prior: s̃² = (d0 s0² + dg sg²) / (d0 + dg) on d0 + dg
    degrees of freedom (Smyth 2004, eq. 6), though never on more than the cells behind the prior
    have together (as limma does). With `NO_PRIOR` this is the ordinary t.

    Args:
        d: log ratios, [..., cells, launches].
        prior: one for all cells.
    """
    return _shrunk(locations(d), prior, np.shape(d)[-1])


def moderate_sessions(d: ArrayLike, counts: NDArray[np.int64] | None = None) -> ModeratedRows:
    """Moderate each cell as `moderate_cells` does, with a prior fitted on its own session.

    Args:
        d: log ratios, [..., cells, launches]; the cells of one session are one row of cells.
        counts: launches of each cell, [cells], where they differ: the first ones count.
    """
    launches = np.full(np.shape(d)[-2], np.shape(d)[-1]) if counts is None else counts
    located = locations_at(d, launches)
    return _shrunk(located, fit_priors(located.variance, located.dof), launches)


def moderate_alone(d: ArrayLike, counts: NDArray[np.int64]) -> ModeratedRows:
    """Return the ordinary t of each cell, without a prior; the arguments of `moderate_sessions`."""
    return _shrunk(locations_at(d, counts), NO_PRIOR, counts)


def _shrunk(
    located: Locations, priors: Prior | Priors, launches: int | NDArray[np.int64]
) -> ModeratedRows:
    """Return the estimates with each cell's variance shrunk toward its prior.

    Args:
        located: the cells, [..., cells].
        priors: one for all cells, or one for each session.
        launches: how many launches each estimate rests on, a number or [cells].
    """
    prior_variance, prior_dof, pooled_dof = (np.asarray(part)[..., None] for part in priors)
    variance, dof = located.variance, np.asarray(located.dof)
    own = np.where(dof > 0, dof * variance, 0.0)  # the variance of one launch is nan
    weight = np.where(np.isfinite(prior_dof), prior_dof, 0.0)
    total = np.where(weight + dof > 0, weight + dof, 1.0)
    weighted = np.where(prior_dof > 0, (weight * prior_variance + own) / total, variance)
    shrunk = np.where(np.isinf(prior_dof), prior_variance, weighted)
    freedom = np.minimum(prior_dof + dof, np.maximum(pooled_dof, dof))
    error = np.sqrt(shrunk / launches)
    return ModeratedRows(located.estimate, error, np.broadcast_to(freedom, error.shape))


def moderated_interval(d: ArrayLike, prior: Prior, confidence: float = CONFIDENCE) -> Estimate:
    """Return the ratio to the baseline, with the interval of the moderated t.

    The ends are null under 6 launches.

    Args:
        d: the cell's log ratios, [launches].
        prior: that of the session's cells of the same framework, or `NO_PRIOR`.
    """
    centre, error, dof = moderate(d, prior)
    count = np.size(d)
    half = t_half_width(error, dof, confidence) if count >= LAUNCHES_FOR_INTERVAL else None
    return ratio_estimate(centre, half, confidence, count)
