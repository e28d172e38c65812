"""Decide which cells of two versions of the same code differ, from pairs of launches.

Base and head are measured in one session, their launches (worker processes) in pairs, in turns. A
second launch of base beside each pair is the control, which must show no difference. Each cell of
each pair gives one number, d = log(quantile of head / quantile of base). The common mode of a pair,
the median of the d of its cells, is subtracted from them and is a row of its own, "everything
shifted by x %": a framework that got slower as a whole is not hidden, and a neighbour's load does
not pass for a change of a cell.

The session is group sequential: it has interim analyses, or looks, after 10, 16 and 24 pairs and
ends when every row is decided. Each look would be one more chance of a false alarm. The level of a
look comes from simulating this very estimator (`per_look_level`), so that all looks together alarm
in α = 1 % of unchanged sessions.

Several metrics of the same cells (wall time, CPU time) are several groups of rows. Each group has a
common mode, a prior and a control of its own, and all rows are one family in Holm's procedure.

Every array may have further axes in front, for many sessions at once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics.estimators import Array
from results.statistics.moderation import NO_PRIOR, ModeratedRows, moderate_cells, moderate_sessions
from results.statistics.verdict import (
    ALPHA,
    FASTER,
    INCONCLUSIVE,
    NOISY_MARGIN,
    SLOWER,
    difference_ps,
    equality_ps,
    holm,
    verdicts_of,
)

# After how many launch pairs a session has an interim analysis.
LOOKS = (10, 16, 24)
QUANTILE = 25.0  # percent; see `estimators.lower_quartiles`
MARGIN = NOISY_MARGIN
# Cells simulated in all to find the level: 20,000 sessions of up to 16 cells, fewer larger ones.
DRAWN_CELLS = 320_000
# With fewer cells nothing is subtracted: it would be half of what a lone changed cell shows.
CELLS_FOR_COMMON = 3
CONTROLS = ("group", "row")

VerdictArray = NDArray[np.str_]


@dataclass(frozen=True)
class Design:
    """Describe how a session decides.

    Args:
        groups: the group of each cell row, numbered from 0; one number for one metric.
        looks: after how many launch pairs the session has an interim analysis, ascending.
        margin: the largest relative difference that counts as none: 0.02 is 2 %.
        alpha: the chance that an unchanged session calls anything slower or faster.
        control: the rows that become inconclusive where base against base leaves the margin: the
            whole ``group`` of the row that did, or that ``row`` alone (all of the group's rows
            where it is the common mode).

    Raises:
        ValueError: one of them is out of range.
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
        """Return the level that an adjusted p must be under at a look."""
        return per_look_level(self.groups, self.looks, self.alpha)

    @property
    def bound(self) -> float:
        """Return the margin as a log ratio."""
        return math.log1p(self.margin)


class InterimAnalysis(NamedTuple):
    """The results of one look at the pairs so far.

    Attributes:
        rows: the estimates, [..., rows]: the cells, then the common mode of each group.
        verdicts: the verdict of each row, [..., rows].
        control_passed: whether base against base stayed inside the margin, [..., rows].
    """

    rows: ModeratedRows
    verdicts: VerdictArray
    control_passed: NDArray[np.bool_]


class Decision(NamedTuple):
    """The outcome of a session after its last look.

    Attributes:
        verdicts: the verdict of each row, [..., rows].
        rows: the estimates, [..., rows].
        pairs: how many launch pairs the session took, [...].
        control_passed: as in `InterimAnalysis`.
    """

    verdicts: VerdictArray
    rows: ModeratedRows
    pairs: NDArray[np.int64]
    control_passed: NDArray[np.bool_]


def pair_ratios(
    base: Sequence[ArrayLike], head: Sequence[ArrayLike], quantile: float = QUANTILE
) -> Array:
    """Return d = log(head / base) of every cell of one launch pair: [cells].

    Args:
        base, head: one row [samples] a cell, in seconds per call; its quantile counts.
        quantile: in percent.

    Raises:
        ValueError: base and head have different numbers of cells, or a cell has no time or one that
            is not finite and above 0.
    """
    if len(base) != len(head):
        raise ValueError(f"base has {len(base)} cells and head {len(head)}; give the same cells")
    pairs = enumerate(zip(base, head, strict=True))
    return np.array([_pair_ratio(index, *sides, quantile) for index, sides in pairs])


def _pair_ratio(index: int, base: ArrayLike, head: ArrayLike, quantile: float) -> float:
    """Return d of one cell; see `pair_ratios`. The index is for the message of the error."""
    rows = [np.asarray(side, dtype=np.float64) for side in (base, head)]
    if not all(row.ndim == 1 and row.size and _are_times(row) for row in rows):
        raise ValueError(
            f"cell {index} of this launch pair must have a row of times on both sides, "
            "all finite and above 0 s; measure the pair again"
        )
    below, above = (float(np.percentile(row, quantile)) for row in rows)
    return math.log(above / below)


def _are_times(row: Array) -> bool:
    return bool((np.isfinite(row) & (row > 0)).all())


def take_out_common(d: ArrayLike, groups: Sequence[int]) -> tuple[Array, Array]:
    """Subtract the common mode of each group from its cells.

    A group of fewer than `CELLS_FOR_COMMON` cells stays as it is. The common mode is the median,
    but of an even number of cells it is the one of the two in the middle that is nearer to no
    change, not their mean: with two of four cells slower, half of their change would else count as
    common.

    Args:
        d: [..., cells, pairs].

    Returns:
        The cells' own d [..., cells, pairs], and the common modes [..., groups, pairs].
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
    """Return the median over the cells [..., cells, pairs], of two the one nearer to 0."""
    ordered = np.sort(d, axis=-2)
    count = ordered.shape[-2]
    low, high = ordered[..., (count - 1) // 2, :], ordered[..., count // 2, :]
    return np.where(np.abs(low) <= np.abs(high), low, high)


def estimate(d: ArrayLike, groups: Sequence[int]) -> ModeratedRows:
    """Return the mean d of each row with its standard error: [..., rows].

    Rows are the cells, moderated with their group's prior, then the common modes without one.

    Args:
        d: [..., cells, pairs].
    """
    own, common = take_out_common(d, groups)
    cells = np.asarray(groups)
    parts = [np.empty(own.shape[:-1]) for _ in ModeratedRows._fields]
    for group in range(max(groups) + 1):
        members = np.flatnonzero(cells == group)
        for part, values in zip(parts, moderate_sessions(own[..., members, :]), strict=True):
            part[..., members] = values
    shared = moderate_cells(common, NO_PRIOR)
    joined = [np.concatenate(pair, axis=-1) for pair in zip(parts, shared, strict=True)]
    return ModeratedRows(*joined)


def interim_analysis(d: ArrayLike, control: ArrayLike, design: Design) -> InterimAnalysis:
    """Return the verdicts from these pairs alone.

    Where base against base leaves the margin, in any row of a group, the whole group is
    inconclusive, or that row alone (`Design.control`): the same disturbance would move head too.

    Args:
        d: head against base, [..., cells, pairs].
        control: base against base, of the same shape.
    """
    rows, level = estimate(d, design.groups), design.level
    differs = holm(difference_ps(rows)) < level
    same = holm(equality_ps(rows, design.bound)) < level
    verdicts = verdicts_of(rows, differs, same, design.bound)
    passed = _control_passed(control, design)
    return InterimAnalysis(rows, np.where(passed, verdicts, INCONCLUSIVE), passed)


def _control_passed(control: ArrayLike, design: Design) -> NDArray[np.bool_]:
    """Return for each row, [..., rows], whether base against base stayed inside the margin."""
    inside = np.abs(estimate(control, design.groups).log_ratio) <= design.bound
    cells, group_count = len(design.groups), max(design.groups) + 1
    group_of_row = np.asarray([*design.groups, *range(group_count)])
    passed = np.empty_like(inside)
    for group in range(group_count):
        members, shared = group_of_row == group, inside[..., cells + group, None]
        if design.control == "group":
            passed[..., members] = inside[..., members].all(axis=-1, keepdims=True)
        else:
            passed[..., members] = inside[..., members] & shared
    return passed


def decide(
    d: ArrayLike, control: ArrayLike, design: Design, looks: Sequence[int] | None = None
) -> Decision:
    """Decide a session: look, go on while a row is inconclusive, and stop at the last look.

    A row once called slower or faster stays so, as that look was a test at its own level, unless
    more pairs bring its estimate back within the margin, or its control out of it: a cell that is
    reported as slower by 0.3 % is not slower. With fewer pairs than a look asks for, the session
    ends at the look before.

    Args:
        d: head against base, [..., cells, pairs].
        control: base against base, of the same shape.
        looks: after how many pairs the looks were in fact, where time ran out before a planned look
            and it came early: that asks no more of the level than the design's looks.

    Raises:
        ValueError: fewer pairs than the first look takes, or shapes that do not fit.
    """
    pairs, against = np.asarray(d, dtype=np.float64), np.asarray(control, dtype=np.float64)
    if pairs.shape != against.shape or pairs.shape[-2] != len(design.groups):
        raise ValueError(
            f"d has shape {pairs.shape} and the control {against.shape}; both must be "
            f"[..., {len(design.groups)} cells, pairs]"
        )
    counts = [n for n in (design.looks if looks is None else looks) if n <= pairs.shape[-1]]
    if not counts:
        raise ValueError(
            f"{pairs.shape[-1]} launch pairs; the first look takes {design.looks[0]}: measure more"
        )
    session: Decision | None = None
    for count in counts:
        latest = interim_analysis(pairs[..., :count], against[..., :count], design)
        session = _continued(session, latest, count, design.bound)
    assert session is not None
    return session


def _continued(
    before: Decision | None, latest: InterimAnalysis, count: int, bound: float
) -> Decision:
    """Return the sessions after one more look; those that had ended stay as they were."""
    if before is None:
        pairs = np.full(latest.verdicts.shape[:-1], count)
        return Decision(latest.verdicts, latest.rows, pairs, latest.control_passed)
    going_on = (before.verdicts == INCONCLUSIVE).any(axis=-1)
    row_on = going_on[..., None]
    confirmed = _confirmed(before, latest, bound)
    verdicts = np.where(row_on & ~confirmed, latest.verdicts, before.verdicts)
    rows = ModeratedRows(
        *(np.where(row_on, new, old) for new, old in zip(latest.rows, before.rows, strict=True))
    )
    passed = np.where(row_on, latest.control_passed, before.control_passed)
    return Decision(verdicts, rows, np.where(going_on, count, before.pairs), passed)


def _confirmed(before: Decision, latest: InterimAnalysis, bound: float) -> NDArray[np.bool_]:
    """Return whether the latest estimate still lies on the side of an earlier slower or faster."""
    beyond = (np.abs(latest.rows.log_ratio) > bound) & latest.control_passed
    side = np.where(beyond, np.sign(latest.rows.log_ratio), 0)
    return ((before.verdicts == SLOWER) & (side > 0)) | ((before.verdicts == FASTER) & (side < 0))


@lru_cache(maxsize=32)
def per_look_level(groups: tuple[int, ...], looks: tuple[int, ...], alpha: float) -> float:
    """Return the level of one look at which all looks alarm in `alpha` of unchanged sessions.

    Sessions of normal d, each cell with a spread of its own and the pairs with a common mode, go
    through this estimator at every look; the level is the α-quantile of the smallest adjusted p
    that a session ever shows. An alarm counts at any look, margin or not: it holds however a
    session stops.
    """
    rng = np.random.default_rng(20_040_401)
    lowest: list[Array] = []
    chunk = max(1, DRAWN_CELLS // (20 * max(len(groups), 16)))  # memory stays small, seconds few
    for _ in range(20):
        d = _unchanged(rng, chunk, groups, looks[-1])
        p_values = [holm(difference_ps(estimate(d[..., :count], groups))) for count in looks]
        lowest.append(np.min([p.min(axis=-1) for p in p_values], axis=0))
    return float(np.quantile(np.concatenate(lowest), alpha))


def _unchanged(
    rng: np.random.Generator, sessions: int, groups: tuple[int, ...], pairs: int
) -> Array:
    """Simulate d of unchanged sessions, [sessions, cells, pairs]."""
    cells = len(groups)
    spreads = np.exp(rng.normal(0.0, 0.4, (sessions, cells, 1)))
    common = rng.normal(0.0, 1.0, (sessions, max(groups) + 1, pairs))
    own = rng.normal(0.0, 1.0, (sessions, cells, pairs)) * spreads
    return own + common[:, list(groups), :]
