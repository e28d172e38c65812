"""Find the levels of the looks of a session, so that all of them together alarm in α of sessions.

A look is one more chance of a false alarm. How much of α may be used up by a look is said by an
alpha-spending function of the share of the session's time that has passed (Lan & DeMets 1983). It
does not ask how many looks there will be, nor when: the levels hold for whatever looks were taken,
as long as their times do not depend on what they showed.

The level of a look comes from simulated sessions of unchanged code that go through the very
estimator that decides (`common_mode.estimate`): at each look it is the largest one at which no more
of the sessions have alarmed, by then, than may have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.statistics.common_mode import estimate
from results.statistics.estimators import Array
from results.statistics.verdict import difference_ps, holm

# Cells simulated in all to find the levels: 20,000 sessions of up to 16 cells, fewer larger ones.
DRAWN_CELLS = 320_000
CHUNKS = 20
# The standard deviation of the simulated common mode, of which a typical cell's noise has 1. A load
# on the machine moves all cells alike; with three cells it raises the rate of alarms by half.
COMMON_SPREAD = 5.0


def obrien_fleming(share: float, alpha: float) -> float:
    """Return the α used up by a share of the time, nearly all of it at the end (Lan & DeMets 1983).

    It gives nearly the bounds of O'Brien & Fleming (1979). Each of the two sides has half of α.
    """
    quantile = -float(scipy.special.ndtri(alpha / 4))
    return 4 * float(scipy.special.ndtr(-quantile / math.sqrt(share))) if share > 0 else 0.0


def pocock(share: float, alpha: float) -> float:
    """Return the α used up by a share of the time, nearly evenly (Lan & DeMets 1983).

    It gives nearly the bounds of Pocock (1977), which are the same at every look.
    """
    return alpha * math.log1p((math.e - 1) * share)


def quadratic(share: float, alpha: float) -> float:
    """Return the α used up by a share of the time, as its square (Kim & DeMets 1987, ρ = 2)."""
    return alpha * share**2


SPENDING: dict[str, Callable[[float, float], float]] = {
    "obrien_fleming": obrien_fleming,
    "pocock": pocock,
    "quadratic": quadratic,
}
# Differences are judged by the first, equality within the margin by the second: what is equal
# leaves early, while most of the α of false alarms is kept for the end of the budget.
FOR_DIFFERENCE, FOR_EQUALITY = "quadratic", "pocock"


class Levels(NamedTuple):
    """The levels of each look, which an adjusted p must be under: [looks]."""

    difference: tuple[float, ...]
    equality: tuple[float, ...]


def levels_of(lowest: Sequence[ArrayLike], allowed: Sequence[float]) -> tuple[float, ...]:
    """Return the level of each look, from simulated sessions in which nothing differs.

    The level of a look is the largest at which, by then, no more than the allowed share of all
    sessions has had a p below a look's level. It is 0, and nothing can be found, where not even one
    of the simulated sessions may alarm yet; what was not used up is left for later looks.

    Args:
        lowest: for each look the lowest adjusted p of each session, [looks][sessions].
        allowed: for each look the share of the sessions that may have alarmed by then, ascending.

    Raises:
        ValueError: the two have different lengths, or less is allowed at a look than before.
    """
    if len(lowest) != len(allowed) or list(allowed) != sorted(allowed):
        raise ValueError(
            f"{len(lowest)} looks, and {list(allowed)} allowed: give one share for each look, "
            "none smaller than the one before"
        )
    silent = np.ones(np.shape(lowest[0]), dtype=bool) if len(lowest) else np.ones(0, dtype=bool)
    levels = []
    for p_values, share in zip(lowest, allowed, strict=True):
        values = np.asarray(p_values, dtype=np.float64)
        further = math.floor(share * silent.size + 1e-9) - int((~silent).sum())
        candidates = np.sort(values[silent])
        level = float(candidates[further]) if 0 < further < len(candidates) else 0.0
        silent &= ~(values < level)
        levels.append(level)
    return tuple(levels)


@lru_cache(maxsize=128)
def spent_levels(
    groups: tuple[int, ...], looks: tuple[int, ...], shares: tuple[float, ...], alpha: float
) -> Levels:
    """Return the levels of looks taken at these shares of the session's time.

    Args:
        groups: the group of each cell, numbered from 0.
        looks: launch pairs at each look, ascending.
        shares: of the session's whole time that had passed at each look, ascending, at most 1.
        alpha: the share of unchanged sessions that may alarm.
    """
    lowest = [lowest_ps(groups, count, DRAWN_CELLS) for count in looks]
    return Levels(
        *(
            levels_of(lowest, [SPENDING[name](min(1.0, share), alpha) for share in shares])
            for name in (FOR_DIFFERENCE, FOR_EQUALITY)
        )
    )


@lru_cache(maxsize=32)
def per_look_level(groups: tuple[int, ...], looks: tuple[int, ...], alpha: float) -> float:
    """Return the one level at which all of these looks alarm in `alpha` of unchanged sessions.

    It is the α-quantile of the smallest adjusted p that a session ever shows. An alarm counts at
    any look, margin or not: it holds however a session stops.
    """
    lowest = np.min([lowest_ps(groups, count, DRAWN_CELLS) for count in looks], axis=0)
    return float(np.quantile(lowest, alpha))


@lru_cache(maxsize=64)
def lowest_ps(groups: tuple[int, ...], count: int, drawn_cells: int) -> Array:
    """Return the lowest adjusted p of each simulated unchanged session after so many pairs.

    Sessions of normal d, each cell with a spread of its own and the pairs with a common mode, go
    through the estimator. With another count the sessions are the same, longer or shorter.

    Args:
        groups: the group of each cell, numbered from 0.
        count: launch pairs.
        drawn_cells: cells simulated in all; the more cells, the fewer sessions.
    """
    # memory stays small, seconds few
    chunk = max(1, drawn_cells // (CHUNKS * max(len(groups), 16)))
    lowest = []
    for number in range(CHUNKS):
        rng = np.random.default_rng([20_040_401, number])
        rows = estimate(_unchanged(rng, chunk, groups, count), groups)
        lowest.append(holm(difference_ps(rows)).min(axis=-1))
    return np.concatenate(lowest)


def _unchanged(
    rng: np.random.Generator, sessions: int, groups: tuple[int, ...], pairs: int
) -> Array:
    """Simulate d of unchanged sessions, [sessions, cells, pairs].

    Pairs are drawn one after the other, so that a longer session begins as a shorter one.
    """
    cells, group_count = len(groups), max(groups) + 1
    spreads = np.exp(rng.normal(0.0, 0.4, (sessions, cells)))
    drawn = rng.normal(0.0, 1.0, (pairs, sessions, cells + group_count))
    common = COMMON_SPREAD * drawn[..., cells:]
    d = drawn[..., :cells] * spreads + common[..., list(groups)]
    return np.ascontiguousarray(np.moveaxis(d, 0, -1))
