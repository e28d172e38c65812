"""Decide which cells of two versions of the same code differ, from pairs of launches.

Base and head are measured in one session, their launches (worker processes) in pairs, in turns. A
second launch of base beside each pair is the control, which must show no difference. Each cell of
each pair gives one number, d = log(quantile of head / quantile of base). What the d of all cells
share, the common mode, is subtracted from them and is a row of its own, "everything shifted by
x %": a framework that got slower as a whole is not hidden, and a neighbour's load does not pass for
a change of a cell.

The session is group sequential: it has interim analyses, or looks, while its budget lasts, the last
one where the budget ends. A row that a look decides is measured no more. Each look would be one
more chance of a false alarm; the levels of `look_levels` keep all looks together at α = 1 % of
unchanged sessions, whatever looks were taken.

Several metrics of the same cells (wall time, CPU time) are several groups of rows. Each group has a
common mode, a prior and a control of its own, and all rows are one family in Holm's procedure.

Every array may have further axes in front, for many sessions at once that are decided by the same
looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics.common_mode import Counts, estimate, row_counts
from results.statistics.estimators import Array
from results.statistics.look_levels import Levels, per_look_level, spent_levels
from results.statistics.moderation import ModeratedRows
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

# After how many launch pairs a session without a budget of time has an interim analysis.
LOOKS = (10, 16, 24)
QUANTILE = 25.0  # percent; see `estimators.lower_quartiles`
MARGIN = NOISY_MARGIN
CONTROLS = ("group", "row")

VerdictArray = NDArray[np.str_]


@dataclass(frozen=True)
class Design:
    """Describe how a session decides.

    Args:
        groups: the group of each cell row, numbered from 0; one number for one metric.
        looks: after how many launch pairs the session has an interim analysis, ascending.
        shares: of the session's whole time that had passed at each look; without them every look
            has the same level, for looks that were planned by numbers of pairs.
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
    shares: tuple[float, ...] = ()
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
        if self.shares and (
            len(self.shares) != len(self.looks)
            or list(self.shares) != sorted(self.shares)
            or not self.shares[0] > 0
        ):
            raise ValueError(
                f"shares are {self.shares}; they must be above 0 and ascend, one for each of the "
                f"{len(self.looks)} looks"
            )
        if self.control not in CONTROLS:
            raise ValueError(f"control {self.control!r} must be one of {', '.join(CONTROLS)}")
        if not (0 < self.margin < math.inf and 0 < self.alpha < 1):
            raise ValueError(
                f"margin {self.margin!r} must be above 0 and alpha {self.alpha!r} between 0 and 1"
            )

    @property
    def level(self) -> float:
        """Return the level that an adjusted p must be under at any look; without shares."""
        return per_look_level(self.groups, self.looks, self.alpha)

    @property
    def levels(self) -> Levels:
        """Return the levels that an adjusted p must be under at each look."""
        if self.shares:
            return spent_levels(self.groups, self.looks, self.shares, self.alpha)
        return Levels((self.level,) * len(self.looks), (self.level,) * len(self.looks))

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


def interim_analysis(
    d: ArrayLike,
    control: ArrayLike,
    design: Design,
    look: int = -1,
    counts: Counts | None = None,
    control_counts: Counts | None = None,
) -> InterimAnalysis:
    """Return the verdicts from these pairs alone.

    Where base against base leaves the margin, in any row of a group, the whole group is
    inconclusive, or that row alone (`Design.control`): the same disturbance would move head too.

    Args:
        d: head against base, [..., cells, pairs].
        control: base against base, of the same shape.
        look: which of the design's looks it is, as an index: each has a level of its own.
        counts: pairs of each cell, [cells]; None: all.
        control_counts: the same of the control.
    """
    rows, levels = estimate(d, design.groups, counts), design.levels
    differs = holm(difference_ps(rows)) < levels.difference[look]
    same = holm(equality_ps(rows, design.bound)) < levels.equality[look]
    verdicts = verdicts_of(rows, differs, same, design.bound)
    passed = _control_passed(control, design, control_counts)
    return InterimAnalysis(rows, np.where(passed, verdicts, INCONCLUSIVE), passed)


def _control_passed(control: ArrayLike, design: Design, counts: Counts | None) -> NDArray[np.bool_]:
    """Return for each row, [..., rows], whether base against base stayed inside the margin."""
    estimated = estimate(control, design.groups, counts)
    inside = np.abs(estimated.log_ratio) <= design.bound
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
    d: ArrayLike,
    control: ArrayLike,
    design: Design,
    looks: Sequence[int] | None = None,
    counts: Sequence[int] | None = None,
    control_counts: Sequence[int] | None = None,
) -> Decision:
    """Decide a session: look, go on while a row is inconclusive, and stop at the last look.

    A row once called slower or faster stays so, as that look was a test at its own level, unless
    more pairs bring its estimate back within the margin, or its control out of it: a cell that is
    reported as slower by 0.3 % is not slower. A cell that was measured no more keeps the verdict
    of the last look at which it had all pairs. With fewer pairs than a look asks for, the session
    ends at the look before.

    Args:
        d: head against base, [..., cells, pairs].
        control: base against base, of the same shape.
        looks: those of the design that the session got to; None: all.
        counts: pairs of each cell, [cells], the first ones; None: all. It is the same in all of
            many sessions.
        control_counts: the same of the control.

    Raises:
        ValueError: fewer pairs than the first look takes, or shapes that do not fit.
    """
    pairs, against = np.asarray(d, dtype=np.float64), np.asarray(control, dtype=np.float64)
    if pairs.shape != against.shape or pairs.shape[-2] != len(design.groups):
        raise ValueError(
            f"d has shape {pairs.shape} and the control {against.shape}; both must be "
            f"[..., {len(design.groups)} cells, pairs]"
        )
    taken = [n for n in (design.looks if looks is None else looks) if n <= pairs.shape[-1]]
    if not taken:
        raise ValueError(
            f"{pairs.shape[-1]} launch pairs; the first look takes {design.looks[0]}: measure more"
        )
    most = np.full(len(design.groups), pairs.shape[-1], dtype=np.int64)
    cells = most if counts is None else np.asarray(counts, dtype=np.int64)
    of_control = cells if control_counts is None else np.asarray(control_counts, dtype=np.int64)
    session: Decision | None = None
    for look, count in enumerate(taken):
        latest = interim_analysis(
            pairs[..., :count],
            against[..., :count],
            design,
            look if design.shares else -1,  # without shares all looks have one level
            np.minimum(cells, count),
            np.minimum(of_control, count),
        )
        measured = row_counts(design.groups, cells) >= count
        session = _continued(session, latest, count, design.bound, measured)
    assert session is not None
    return session


def _continued(
    before: Decision | None,
    latest: InterimAnalysis,
    count: int,
    bound: float,
    measured: NDArray[np.bool_],
) -> Decision:
    """Return the sessions after one more look; those that had ended stay as they were.

    Args:
        before: the sessions after the looks before.
        latest: this look.
        count: launch pairs by now.
        bound: the margin as a log ratio.
        measured: which rows had all pairs until now, [rows]; the others stay as they were.
    """
    if before is None:
        pairs = np.full(latest.verdicts.shape[:-1], count)
        return Decision(latest.verdicts, latest.rows, pairs, latest.control_passed)
    going_on = (before.verdicts == INCONCLUSIVE).any(axis=-1)
    row_on = going_on[..., None] & measured
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
