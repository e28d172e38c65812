"""From an estimate to one of four words: slower, faster, equal, inconclusive.

A difference that is not found is no equality: "equal" is itself a claim that a test must
support (Schuirmann 1987, two one-sided tests), and where neither claim is supported the
verdict says so. All comparisons with one baseline are one family, held together by Holm's
step-down procedure (Holm 1979), so that more strategies in a group make no more alarms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.statistics.estimators import Array, Moderated

SLOWER, FASTER, EQUAL, INCONCLUSIVE = "slower", "faster", "equal", "inconclusive"
VERDICTS = (SLOWER, FASTER, EQUAL, INCONCLUSIVE)

# The chance that a family in which nothing differs holds any "slower" or "faster".
ALPHA = 0.01
# What differs by less is the same to a reader: the margin on a quiet and on a noisy machine.
MARGIN, NOISY_MARGIN = 0.01, 0.02
# A machine is noisy where half of the cells' ratios spread by more than this from launch to launch:
# six launches then do not tell a ratio to ±1 % (2.57 / √6 = 1.05 at 95 %).
NOISY_SPREAD = 0.01


def decide(family: Sequence[Moderated], margin: float = MARGIN, alpha: float = ALPHA) -> list[str]:
    """A verdict for each log ratio of a family, all of them against one baseline.

    "slower" and "faster" need a two-sided p under `alpha`, adjusted over the family, and an
    estimate beyond the margin; "equal" needs both one-sided tests against the margin to be
    under `alpha`, adjusted likewise. What has neither is "inconclusive", as is what can have
    no test: a standard error that is not above 0, or no degrees of freedom.

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
    bound = math.log1p(margin)
    differs = holm([difference_p(one) for one in family])
    same = holm([equality_p(one, bound) for one in family])
    return [
        _verdict(one.log_ratio, bound, p_differs < alpha, p_same < alpha)
        for one, p_differs, p_same in zip(family, differs, same, strict=True)
    ]


def _verdict(log_ratio: float, bound: float, differs: bool, same: bool) -> str:
    if differs and log_ratio > bound:
        return SLOWER
    if differs and log_ratio < -bound:
        return FASTER
    return EQUAL if same else INCONCLUSIVE


def difference_p(one: Moderated) -> float:
    """The two-sided p of the moderated t for a ratio of 1; 1 where there is no test."""
    return min(1.0, 2 * _upper_tail(one, abs(one.log_ratio)))


def equality_p(one: Moderated, bound: float) -> float:
    """The larger p of the two one-sided tests that the log ratio is inside ±`bound`."""
    return _upper_tail(one, bound - abs(one.log_ratio))


def _upper_tail(one: Moderated, distance: float) -> float:
    """P(t > distance / standard error); 1 where the standard error or the freedom is not there."""
    if not (one.standard_error > 0 and one.dof > 0):
        return 1.0
    return float(scipy.special.stdtr(one.dof, -distance / one.standard_error))


def holm(p_values: ArrayLike) -> Array:
    """The p-values adjusted by Holm's step-down procedure, in the order given: [comparisons].

    The k-th smallest of n is multiplied by n - k + 1, made no smaller than the one before it,
    and cut at 1; a family's chance of any false claim then stays under alpha whatever the
    dependence between its members (Holm 1979).
    """
    values = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(values[order] * factors))
    return adjusted


def margin_for(spreads: ArrayLike) -> float:
    """The margin that these cells allow: 1 %, or 2 % where the machine is noisy.

    Judged by spread alone, never by the estimates themselves, so that it cannot favour a verdict.

    Args:
        spreads: the standard deviation of each cell's log ratio over launches, [cells].
    """
    known = np.asarray(spreads, dtype=np.float64)
    known = known[np.isfinite(known)]
    return NOISY_MARGIN if len(known) and np.median(known) > NOISY_SPREAD else MARGIN


def half_width(one: Moderated, confidence: float = 0.95) -> float:
    """How far the interval of the ratio reaches from its estimate, relative: 0.01 is ±1 %.

    Of the wider, upper side; infinite where there is no interval.
    """
    if not (one.standard_error > 0 and one.dof > 0):
        return math.inf
    quantile = float(scipy.special.stdtrit(one.dof, (1 + confidence) / 2))
    return math.expm1(quantile * one.standard_error)
