"""Between two versions of the same code: launch pairs, looks, and one family of verdicts.

Base and head are measured in one session, their launches in pairs, in turns; a second launch of
base beside each pair is the control, which must show no difference. Of every cell and pair only
d = log(quantile of head / quantile of base) is kept. What all cells of a pair have in common, the
median of their d, is taken out of them and is a row of its own, "everything shifted by x %", so
that a framework that got slower as a whole is not hidden, and a neighbour's load is no finding.

The session looks at its results after 10, 16 and 24 pairs and ends when every row is decided.
Each look would be one more chance of a false alarm: its level is found by simulating this very
estimator (`per_look_level`), so that all looks together alarm in α = 1 % of unchanged sessions.

Several metrics of the same cells (wall time, CPU time) are several groups of rows: each has a
common mode, a prior and a control of its own, and all rows are one family in Holm's procedure.

Every array may have further axes in front, for many sessions at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics import batched
from results.statistics.batched import Moderates
from results.statistics.estimators import Array
from results.statistics.verdict import ALPHA, EQUAL, FASTER, INCONCLUSIVE, NOISY_MARGIN, SLOWER

LOOKS = (10, 16, 24)
QUANTILE = 25.0  # percent; see `statistics.lower_quartiles`
MARGIN = NOISY_MARGIN
# Cells drawn in all to find the level: 20,000 sessions of up to 16 cells, fewer of larger ones.
DRAWN_CELLS = 320_000

# of fewer nothing is taken out: half of a lone cell's change would go
CELLS_FOR_COMMON = 3

CONTROLS = ("group", "row")

Words = NDArray[np.str_]


@dataclass(frozen=True)
class Design:
    """How a session decides.

    Args:
        groups: the group of each cell row, numbered from 0; one number for one metric.
        looks: after how many launch pairs the session looks, ascending.
        margin: the largest relative difference that counts as none: 0.02 is 2 %.
        alpha: the chance that an unchanged session calls anything slower or faster.
        control: what base against base outside the margin makes inconclusive: the whole
            ``group`` in which it happened, or that ``row`` alone (all of the group's rows where
            it is the common mode).

    Raises:
        ValueError: one of them cannot be.
    """

    groups: tuple[int, ...]
    looks: tuple[int, ...] = LOOKS
    margin: float = MARGIN
    alpha: float = ALPHA
    control: str = "group"

    def __post_init__(self) -> None:
        used = sorted(set(self.groups))
        if not used or used != list(range(len(used))):
            raise ValueError(f"groups are {used}; they must be numbered 0, 1, … without a gap")
        rising = all(a < b for a, b in zip(self.looks, self.looks[1:], strict=False))
        if not self.looks or self.looks[0] < 2 or not rising:
            raise ValueError(f"looks are {self.looks}; they must ascend from at least 2 pairs")
        if self.control not in CONTROLS:
            raise ValueError(f"control {self.control!r} must be one of {', '.join(CONTROLS)}")
        if not (0 < self.margin < math.inf and 0 < self.alpha < 1):
            raise ValueError(
                f"margin {self.margin!r} must be above 0 and alpha {self.alpha!r} between 0 and 1"
            )

    @property
    def level(self) -> float:
        """What an adjusted p must be under at a look."""
        return per_look_level(self.groups, self.looks, self.alpha)

    @property
    def bound(self) -> float:
        """The margin as a log ratio."""
        return math.log1p(self.margin)


class Look(NamedTuple):
    """What a session knows after so many pairs; rows are the cells, then each group's common mode.

    ``control_held`` [..., rows] says where base against base stayed inside the margin, or all
    did that a row depends on.
    """

    rows: Moderates
    p_differs: Array
    p_same: Array
    verdicts: Words
    control_held: NDArray[np.bool_]


class Session(NamedTuple):
    """What a session came to: ``verdicts`` and ``rows`` [..., rows], ``pairs`` [...] it took."""

    verdicts: Words
    rows: Moderates
    pairs: NDArray[np.int64]
    control_held: NDArray[np.bool_]


def pair_ratios(
    base: Sequence[ArrayLike], head: Sequence[ArrayLike], quantile: float = QUANTILE
) -> Array:
    """d of every cell of one launch pair, [cells], from its samples in seconds per call.

    Raises:
        ValueError: as many cells on both sides are needed, each with times finite and above 0.
    """
    if len(base) != len(head):
        raise ValueError(f"base has {len(base)} cells and head {len(head)}; give the same cells")
    found = []
    for index, sides in enumerate(zip(base, head, strict=True)):
        rows = [np.asarray(side, dtype=np.float64) for side in sides]
        if not all(row.ndim == 1 and row.size and (row > 0).all() for row in rows) or not all(
            np.isfinite(row).all() for row in rows
        ):
            raise ValueError(
                f"cell {index} of this launch pair must have a row of times on both sides, "
                "all finite and above 0 s; measure the pair again"
            )
        below, above = (float(np.percentile(row, quantile)) for row in rows)
        found.append(math.log(above / below))
    return np.array(found)


def take_out_common(d: ArrayLike, groups: Sequence[int]) -> tuple[Array, Array]:
    """The cells' own d [..., cells, pairs], and the common mode [..., groups, pairs].

    A group of fewer than `CELLS_FOR_COMMON` keeps what it has. Of an even number the one of the two
    in the middle that is nearer to no change counts, not their mean: with two of four cells slower,
    half of what they are would else pass for common.
    """
    whole = np.asarray(d, dtype=np.float64)
    own, common = whole.copy(), []
    for group in range(max(groups) + 1):
        members = np.flatnonzero(np.asarray(groups) == group)
        shared = _middle(whole[..., members, :])
        common.append(shared)
        if len(members) >= CELLS_FOR_COMMON:
            own[..., members, :] -= shared[..., None, :]
    return own, np.stack(common, axis=-2)


def _middle(d: Array) -> Array:
    """The median over the cells [..., cells, pairs], of two the one nearer to 0."""
    ordered = np.sort(d, axis=-2)
    count = ordered.shape[-2]
    low, high = ordered[..., (count - 1) // 2, :], ordered[..., count // 2, :]
    return np.where(np.abs(low) <= np.abs(high), low, high)


def estimate(d: ArrayLike, groups: Sequence[int]) -> Moderates:
    """Estimates of all rows: the cells with their group's prior, then the common modes."""
    own, common = take_out_common(d, groups)
    cells = np.asarray(groups)
    parts = [np.empty(own.shape[:-1]) for _ in Moderates._fields]
    for group in range(max(groups) + 1):
        members = np.flatnonzero(cells == group)
        for part, values in zip(parts, batched.moderated(own[..., members, :]), strict=True):
            part[..., members] = values
    shared = batched.moderated(common, prior=False)
    joined = [np.concatenate(pair, axis=-1) for pair in zip(parts, shared, strict=True)]
    return Moderates(*joined)


def look(d: ArrayLike, control: ArrayLike, design: Design) -> Look:
    """The verdicts from these pairs alone.

    Where base against base leaves the margin, in any row of a group, the whole group is
    inconclusive, or that row alone (`Design.control`): what moves it would move head too.

    Args:
        d: head against base, [..., cells, pairs].
        control: base against base, of the same shape.
    """
    rows, level = estimate(d, design.groups), design.level
    held = _control_held(control, design)
    differs = batched.holms(batched.difference_ps(rows))
    same = batched.holms(batched.equality_ps(rows, design.bound))
    verdicts = np.where(same < level, EQUAL, INCONCLUSIVE)
    beyond = (differs < level) & (np.abs(rows.log_ratio) > design.bound)
    verdicts = np.where(beyond, np.where(rows.log_ratio > 0, SLOWER, FASTER), verdicts)
    return Look(rows, differs, same, np.where(held, verdicts, INCONCLUSIVE), held)


def _group_of_rows(design: Design) -> list[int]:
    return [*design.groups, *range(max(design.groups) + 1)]


def _control_held(control: ArrayLike, design: Design) -> NDArray[np.bool_]:
    rows = estimate(control, design.groups)
    inside = np.abs(rows.log_ratio) <= design.bound
    owner, common = np.asarray(_group_of_rows(design)), len(design.groups)
    held = np.empty_like(inside)
    for group in range(owner.max() + 1):
        members, shared = owner == group, inside[..., common + group, None]
        if design.control == "group":
            held[..., members] = inside[..., members].all(axis=-1, keepdims=True)
        else:
            held[..., members] = inside[..., members] & shared
    return held


def decide(
    d: ArrayLike, control: ArrayLike, design: Design, taken: Sequence[int] | None = None
) -> Session:
    """The whole procedure: look, go on while a row is inconclusive, stop at the last look.

    A row once found slower or faster stays so, as that look was a test at its own level, unless
    more pairs bring its estimate back within the margin, or its control out of it: what is
    reported as slower by 0.3 % is none. With fewer pairs than a look asks for, the session ends
    at the look before.

    Args:
        taken: after how many pairs the session did look, where its time ran out before a look of
            the design that it then had early: that asks no more of the level than the design's.

    Raises:
        ValueError: fewer pairs than the first look takes, or shapes that do not fit.
    """
    pairs, against = np.asarray(d, dtype=np.float64), np.asarray(control, dtype=np.float64)
    if pairs.shape != against.shape or pairs.shape[-2] != len(design.groups):
        raise ValueError(
            f"d has shape {pairs.shape} and the control {against.shape}; both must be "
            f"[..., {len(design.groups)} cells, pairs]"
        )
    wanted = design.looks if taken is None else taken
    taken = [count for count in wanted if count <= pairs.shape[-1]]
    if not taken:
        raise ValueError(
            f"{pairs.shape[-1]} launch pairs; the first look takes {design.looks[0]}: measure more"
        )
    session: Session | None = None
    for count in taken:
        seen = look(pairs[..., :count], against[..., :count], design)
        session = _gone_on(session, seen, count, design.bound)
    assert session is not None
    return session


def _gone_on(before: Session | None, seen: Look, count: int, bound: float) -> Session:
    """The session after one more look; those that had ended stay as they were."""
    if before is None:
        pairs = np.full(seen.verdicts.shape[:-1], count)
        return Session(seen.verdicts, seen.rows, pairs, seen.control_held)
    on = (before.verdicts == INCONCLUSIVE).any(axis=-1)
    beyond = (np.abs(seen.rows.log_ratio) > bound) & seen.control_held
    now = np.where(beyond, np.sign(seen.rows.log_ratio), 0)
    still = ((before.verdicts == SLOWER) & (now > 0)) | ((before.verdicts == FASTER) & (now < 0))
    verdicts = np.where(on[..., None] & ~still, seen.verdicts, before.verdicts)
    rows = [
        np.where(on[..., None], new, old) for new, old in zip(seen.rows, before.rows, strict=True)
    ]
    held = np.where(on[..., None], seen.control_held, before.control_held)
    return Session(verdicts, Moderates(*rows), np.where(on, count, before.pairs), held)


@lru_cache(maxsize=32)
def per_look_level(groups: tuple[int, ...], looks: tuple[int, ...], alpha: float) -> float:
    """The level of one look at which all looks together alarm in `alpha` of unchanged sessions.

    Sessions of normal d, each cell with a spread of its own and the pairs with a common mode, go
    through this estimator at every look; the level is the α-quantile of the smallest adjusted p
    that a session ever shows. It counts an alarm at any look, margin or not, so it holds however
    a session stops.
    """
    rng = np.random.default_rng(20_040_401)
    lowest: list[Array] = []
    chunk = max(1, DRAWN_CELLS // (20 * max(len(groups), 16)))  # memory stays small, seconds few
    for _ in range(20):
        d = _unchanged(rng, chunk, groups, looks[-1])
        seen = [_smallest_p(d[..., :count], groups) for count in looks]
        lowest.append(np.min(seen, axis=0))
    return float(np.quantile(np.concatenate(lowest), alpha))


def _unchanged(
    rng: np.random.Generator, sessions: int, groups: tuple[int, ...], pairs: int
) -> Array:
    cells = len(groups)
    spreads = np.exp(rng.normal(0.0, 0.4, (sessions, cells, 1)))
    common = rng.normal(0.0, 1.0, (sessions, max(groups) + 1, pairs))
    own = rng.normal(0.0, 1.0, (sessions, cells, pairs)) * spreads
    return own + common[:, list(groups), :]


def _smallest_p(d: Array, groups: tuple[int, ...]) -> Array:
    adjusted = batched.holms(batched.difference_ps(estimate(d, groups)))
    smallest: Any = adjusted.min(axis=-1)
    return smallest
