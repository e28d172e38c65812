"""The estimator of `statistics` for many sessions at once: arrays [..., cells, launches].

A session has one of each shape; a simulation or a replay has thousands, and a loop over them
would take hours. Every cell of a session has as many launches here, so degrees of freedom are
one number. `tests/unit/results/statistics/test_launch_pairs.py` holds each function to its
counterpart in `estimators`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.statistics.estimators import CELLS_FOR_PRIOR, LAUNCHES_FOR_TRIMMING, TRIMMED, Array


class Moderates(NamedTuple):
    """Log ratios, their standard errors and degrees of freedom, each [..., cells]."""

    log_ratio: Array
    standard_error: Array
    dof: Array


def locations(d: ArrayLike) -> tuple[Array, Array, float]:
    """`statistics.location` along the last axis: estimates, variances, degrees of freedom.

    Raises:
        ValueError: no launches.
    """
    ordered = np.sort(np.asarray(d, dtype=np.float64), axis=-1)
    count = ordered.shape[-1]
    if not count:
        raise ValueError("no log ratios; a location needs at least one launch")
    cut = int(TRIMMED * count) if count >= LAUNCHES_FOR_TRIMMING else 0
    kept = ordered[..., cut : count - cut]
    winsorized = np.clip(ordered, kept[..., :1], kept[..., -1:])
    dof = kept.shape[-1] - 1
    squares = winsorized.var(axis=-1) * count
    variance = squares * count / (kept.shape[-1] * dof) if dof else np.full_like(squares, np.nan)
    return kept.mean(axis=-1), variance, float(dof)


def shrunk(variances: Array, dof: float) -> tuple[Array, Array]:
    """The variances [..., cells] shrunk toward each session's own prior, and their freedom.

    `statistics.fit_prior` and the shrinking of `statistics.moderate` (Smyth 2004), with a
    session's cells along the last axis. Where a session has no prior they stay as they are.
    """
    cells = variances.shape[-1]
    own = np.full(variances.shape, dof)
    if cells < CELLS_FOR_PRIOR or dof <= 0:
        return variances, own
    median = np.median(variances, axis=-1, keepdims=True)
    fitted = median > 0
    floored = np.maximum(variances, np.where(fitted, 1e-5 * median, 1.0))
    centred = np.log(floored) - scipy.special.digamma(dof / 2) + math.log(dof / 2)
    sampling = float(scipy.special.polygamma(1, dof / 2))
    excess = centred.var(axis=-1, ddof=1, keepdims=True) - sampling
    mean = centred.mean(axis=-1, keepdims=True)
    shared = excess <= 0
    half = trigamma_inverses(np.where(shared, 1.0, excess))
    prior = np.exp(mean + np.where(shared, 0.0, scipy.special.digamma(half) - np.log(half)))
    mixed = np.where(shared, prior, (2 * half * prior + dof * variances) / (2 * half + dof))
    freedom = np.where(shared, math.inf, 2 * half + dof)
    return (
        np.where(fitted, mixed, variances),
        np.where(fitted, np.minimum(freedom, cells * dof), own),
    )


def trigamma_inverses(x: ArrayLike) -> Array:
    """`statistics.trigamma_inverse` of each, all above 0."""
    wanted = np.asarray(x, dtype=np.float64)
    usual = np.clip(wanted, 1e-6, 1e7)
    y = 0.5 + 1 / usual
    for _ in range(50):
        trigamma = scipy.special.polygamma(1, y)
        step = trigamma * (1 - trigamma / usual) / scipy.special.polygamma(2, y)
        y = y + step
        if (-step / y < 1e-10).all():
            break
    return np.where(wanted > 1e7, 1 / np.sqrt(wanted), np.where(wanted < 1e-6, 1 / wanted, y))


def moderated(d: ArrayLike, *, prior: bool = True) -> Moderates:
    """`statistics.moderate` of each cell [..., cells, launches] with its session's prior.

    Args:
        prior: False for the ordinary t of each cell alone.
    """
    estimate, variance, dof = locations(d)
    freedom = np.full(variance.shape, dof)
    if prior:
        variance, freedom = shrunk(variance, dof)
    return Moderates(estimate, np.sqrt(variance / np.shape(d)[-1]), freedom)


def difference_ps(rows: Moderates) -> Array:
    """`verdict.difference_p` of each: two-sided, 1 where there is no test."""
    return np.minimum(1.0, 2 * _upper_tails(rows, np.abs(rows.log_ratio)))


def equality_ps(rows: Moderates, bound: float) -> Array:
    """`verdict.equality_p` of each."""
    return _upper_tails(rows, bound - np.abs(rows.log_ratio))


def _upper_tails(rows: Moderates, distance: Array) -> Array:
    tested = (rows.standard_error > 0) & (rows.dof > 0)
    error, dof = np.where(tested, rows.standard_error, 1.0), np.where(tested, rows.dof, 1.0)
    return np.where(tested, scipy.special.stdtr(dof, -distance / error), 1.0)


def holms(p_values: ArrayLike) -> Array:
    """`verdict.holm` along the last axis, which is one family."""
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, axis=-1, kind="stable")
    factors = np.arange(values.shape[-1], 0, -1)
    raised = np.maximum.accumulate(np.take_along_axis(values, order, -1) * factors, axis=-1)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.minimum(1.0, raised), -1)
    return adjusted


def half_widths(rows: Moderates, confidence: float = 0.95) -> Array:
    """Half the interval of each log ratio; infinite where there is none."""
    tested = (rows.standard_error > 0) & (rows.dof > 0)
    quantile = scipy.special.stdtrit(np.where(tested, rows.dof, 1.0), (1 + confidence) / 2)
    return np.where(tested, quantile * rows.standard_error, np.inf)
