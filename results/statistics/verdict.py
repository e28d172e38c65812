"""Decide between four verdicts on a ratio: slower, faster, equal, inconclusive.

A difference that is not found is no equality: "equal" is itself a claim that a test must
support (Schuirmann 1987, two one-sided tests), and where neither claim is supported the
verdict is "inconclusive". All comparisons with one baseline are one family, held together by
Holm's step-down procedure (Holm 1979), so that more strategies in a group make no more alarms.

As in `moderation`, the functions with plural names take arrays with any number of axes in front and
are the implementation; those with singular names take one ratio.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.special
from numpy.typing import ArrayLike, NDArray

from results.statistics.estimators import CONFIDENCE, Array
from results.statistics.moderation import Moderated, ModeratedRows

SLOWER, FASTER, EQUAL, INCONCLUSIVE = "slower", "faster", "equal", "inconclusive"
VERDICTS = (SLOWER, FASTER, EQUAL, INCONCLUSIVE)

# About the chance that a family in which nothing differs holds an adjusted p under it; how near, by
# simulation, says docs/method.md. "Slower" and "faster" are rarer: they need the margin as well.
ALPHA = 0.01
# The largest relative difference that counts as none, on a quiet and on a noisy machine.
MARGIN, NOISY_MARGIN = 0.01, 0.02
# A machine is noisy where half of the cells' ratios spread by more than this from launch to launch:
# six launches then do not determine a ratio to ±1 % (2.57 / √6 = 1.05 at 95 %).
NOISY_SPREAD = 0.01


def decide(family: Sequence[Moderated], margin: float = MARGIN, alpha: float = ALPHA) -> list[str]:
    """Return a verdict for each log ratio of a family, all of them against one baseline.

    "slower" and "faster" need a two-sided p under `alpha`, adjusted over the family, and an
    estimate beyond the margin; "equal" needs both one-sided tests against the margin to be
    under `alpha`, adjusted likewise. A ratio with neither is "inconclusive", as is one that
    cannot be tested: a standard error that is not above 0, or no degrees of freedom.

    Args:
        family: the estimates, of as many launches as an interval needs.
        margin: the largest relative difference that counts as none, above 0: 0.01 is 1 %.

    Raises:
        ValueError: the margin is not above 0, or alpha not between 0 and 1.
    """
    if not (margin > 0 and math.isfinite(margin) and 0 < alpha < 1):
        raise ValueError(
            f"margin {margin!r} must be above 0 and alpha {alpha!r} between 0 and 1; "
            f"the usual ones are {MARGIN} and {ALPHA}"
        )
    rows, bound = _stacked(family), math.log1p(margin)
    verdicts = verdicts_of(
        rows, holm(difference_ps(rows)) < alpha, holm(equality_ps(rows, bound)) < alpha, bound
    )
    return [str(verdict) for verdict in verdicts]


def verdicts_of(
    rows: ModeratedRows, differs: ArrayLike, same: ArrayLike, bound: float
) -> NDArray[np.str_]:
    """Return the verdict of each row, from the outcomes of its two tests.

    Args:
        differs: whether a difference from a ratio of 1 is shown, [..., rows].
        same: whether equality within the margin is shown, [..., rows].
        bound: the margin as a log ratio.
    """
    beyond = np.asarray(differs) & (np.abs(rows.log_ratio) > bound)
    direction = np.where(rows.log_ratio > 0, SLOWER, FASTER)
    return np.where(beyond, direction, np.where(same, EQUAL, INCONCLUSIVE))


def _stacked(family: Sequence[Moderated]) -> ModeratedRows:
    """Return the ratios of a family as arrays, one entry for each: [comparisons]."""
    return ModeratedRows(*np.array(family, dtype=np.float64).reshape(-1, len(Moderated._fields)).T)


def difference_p(one: Moderated) -> float:
    """Return the two-sided p-value for "the ratio is 1"; 1 where it cannot be tested."""
    return float(difference_ps(_stacked([one]))[0])


def difference_ps(rows: ModeratedRows) -> Array:
    """Return the two-sided p-value for "the ratio is 1" of each row; 1 if it cannot be tested."""
    return np.minimum(1.0, 2 * _upper_tails(rows, np.abs(rows.log_ratio)))


def equality_p(one: Moderated, bound: float) -> float:
    """Return the p-value for "the log ratio is not inside ±`bound`"; small where it is inside.

    It is the larger one of two one-sided tests (TOST).
    """
    return float(equality_ps(_stacked([one]), bound)[0])


def equality_ps(rows: ModeratedRows, bound: float) -> Array:
    """Return the p-value for "the log ratio is not inside ±`bound`" of each row.

    It is the larger one of two one-sided tests (TOST).
    """
    return _upper_tails(rows, bound - np.abs(rows.log_ratio))


def _upper_tails(rows: ModeratedRows, distance: Array) -> Array:
    """Return P(t > distance / standard error) of each row; 1 where it cannot be tested."""
    tested = _testable(rows)
    error, dof = np.where(tested, rows.standard_error, 1.0), np.where(tested, rows.dof, 1.0)
    return np.where(tested, scipy.special.stdtr(dof, -distance / error), 1.0)


def _testable(rows: ModeratedRows) -> NDArray[np.bool_]:
    """Return which rows can be tested: those with a standard error and dof above 0."""
    return (rows.standard_error > 0) & (rows.dof > 0)


def holm(p_values: ArrayLike) -> Array:
    """Adjust p-values by Holm's step-down procedure, in the order given: [..., comparisons].

    The last axis is one family. The k-th smallest of n is multiplied by n - k + 1, made no smaller
    than the one before it, and cut at 1; a family's chance of any false claim then stays under
    alpha whatever the dependence between its members (Holm 1979).
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, axis=-1, kind="stable")
    factors = np.arange(values.shape[-1], 0, -1)
    raised = np.maximum.accumulate(np.take_along_axis(values, order, -1) * factors, axis=-1)
    adjusted = np.empty_like(values)
    np.put_along_axis(adjusted, order, np.minimum(1.0, raised), -1)
    return adjusted


def margin_for(spreads: ArrayLike) -> float:
    """Return the margin that these cells allow: 1 %, or 2 % where the machine is noisy.

    Judged by spread alone, never by the estimates themselves, so that it cannot favour a verdict.

    Args:
        spreads: the standard deviation of each cell's log ratio over launches, [cells].
    """
    known = np.asarray(spreads, dtype=np.float64)
    known = known[np.isfinite(known)]
    return NOISY_MARGIN if len(known) and np.median(known) > NOISY_SPREAD else MARGIN


def half_width(one: Moderated, confidence: float = CONFIDENCE) -> float:
    """Return how far the interval of the ratio reaches above its estimate: 0.01 is ±1 %.

    The upper side is the wider one. Infinite where there is no interval.
    """
    return math.expm1(half_widths(_stacked([one]), confidence)[0])


def half_widths(rows: ModeratedRows, confidence: float = CONFIDENCE) -> Array:
    """Return half the width of each log ratio's interval; infinite where there is no interval."""
    tested = _testable(rows)
    quantile = scipy.special.stdtrit(np.where(tested, rows.dof, 1.0), (1 + confidence) / 2)
    return np.where(tested, quantile * rows.standard_error, np.inf)
