"""Estimate the change of every cell from its launch pairs, and the change that all cells share.

A cell is one thing that is timed, such as a strategy on a network; a launch pair is one launch
(worker process) of base and one of head. Each cell of each pair gives one number, d = log(time of
head / time of base). A group is the cells that share a common mode: those of one framework and one
metric. The common mode is subtracted from the d of its cells, and has a row of its own.

A cell that was decided is measured no more, so that cells differ in how many pairs they have:
``counts`` says for each how many, from the first pair on. Without it every cell has all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics.estimators import Array
from results.statistics.moderation import (
    ModeratedRows,
    locations_at,
    moderate_alone,
    moderate_sessions,
)

# With fewer cells nothing is subtracted: it would be half of what a lone changed cell shows.
CELLS_FOR_COMMON = 3
# How often changes and fluctuations are estimated in turns; a third time makes no difference.
ROUNDS = 2

Counts = NDArray[np.int64]


def members_of(groups: Sequence[int], group: int) -> NDArray[np.int64]:
    """Return the indices of the cells of a group."""
    return np.flatnonzero(np.asarray(groups) == group)


def row_counts(groups: Sequence[int], counts: ArrayLike) -> Counts:
    """Return the number of launch pairs behind each row of an estimate, [cells + groups].

    The rows are the cells, then the common mode of each group, which has as many pairs as that of
    its cells with the fewest.

    Args:
        groups: the group of each cell, an index from 0, [cells].
        counts: pairs of each cell, [cells].
    """
    cells = np.asarray(counts, dtype=np.int64)
    shared = [cells[members_of(groups, group)].min() for group in range(max(groups) + 1)]
    return np.concatenate([cells, np.asarray(shared, dtype=np.int64)])


def take_out_common(
    d: ArrayLike, groups: Sequence[int], counts: ArrayLike | None = None
) -> tuple[Array, Array]:
    """Subtract the common mode of each group from its cells.

    It is the change that the cells of the group have in common, over all pairs, and the fluctuation
    that they have in common in a pair; a cell is not part of what is subtracted from it.

    A group of fewer than `CELLS_FOR_COMMON` cells stays as it is, as does a pair in which fewer of
    a group were measured.

    Args:
        d: [..., cells, pairs]; what a cell has beyond its count is ignored.
        groups: the group of each cell, an index from 0, [cells].
        counts: pairs of each cell, [cells]; None: all.

    Returns:
        The cells' own d [..., cells, pairs], and the common modes [..., groups, pairs], nan in
        pairs that a cell of the group lacks.
    """
    whole = np.asarray(d, dtype=np.float64)
    own, common = np.empty_like(whole), []
    pairs = _counts(whole, counts)
    for group in range(max(groups) + 1):
        members = members_of(groups, group)
        own[..., members, :], shared = _take_out_of_group(whole[..., members, :], pairs[members])
        common.append(shared)
    return own, np.stack(common, axis=-2)


def _counts(d: Array, counts: ArrayLike | None) -> Counts:
    """Return how many pairs each cell has: those given, or all."""
    if counts is None:
        return np.full(d.shape[-2], d.shape[-1], dtype=np.int64)
    return np.asarray(counts, dtype=np.int64)


def _take_out_of_group(d: Array, counts: Counts) -> tuple[Array, Array]:
    """Return what `take_out_common` does, of one group: [..., cells, pairs] and [..., pairs].

    What is subtracted from a cell uses no pair after its last one, so that later pairs cannot alter
    the verdict of a cell that is measured no more. Only pairs that at least `CELLS_FOR_COMMON`
    cells have are used.
    """
    own, common = d.copy(), np.full((*d.shape[:-2], d.shape[-1]), np.nan)
    is_large = len(counts) >= CELLS_FOR_COMMON
    enough = np.sort(counts)[-CELLS_FOR_COMMON] if is_large else counts.min()
    for count in np.unique(counts):
        end, last = min(count, enough), counts == count
        by_all, by_others = _common_modes(d[..., :end], counts)
        if count == counts.min():
            common[..., :end] = by_all
        if is_large:
            own[..., last, :end] -= by_others[..., last, :]
    return own, common


def _common_modes(d: Array, counts: Counts) -> tuple[Array, Array]:
    """Return the common mode of one group by all its cells, and by the others of each cell.

    It is the sum of a common change, which is the same in every pair, and the fluctuation of each
    pair. A cell's own change is the location of its d over all pairs, which is known far better
    than a single d is. So the common change is the median of the cells' changes, not of each pair's
    d: in one pair noise puts a slower cell in the middle, and with two of five cells slower by the
    standard deviation of a pair, half of that would count as common. The fluctuation of a pair is
    the median of its d less the cells' changes.

    What is subtracted from a cell is the fluctuation by the *other* cells and the common change by
    the others or by all, whichever is nearer to 0: a slower cell pulls the median of all toward
    itself. Of an even number of changes the median is the one in the middle nearer to 0.

    Args:
        d: [..., cells, pairs].
        counts: pairs of each cell, [cells]; clipped to the number of pairs in d.

    Returns:
        By all cells, [..., pairs], and by the others of each cell, [..., cells, pairs]. The latter
        is valid only for groups of `CELLS_FOR_COMMON` cells or more, and for cells with all pairs.
    """
    counts = np.minimum(counts, d.shape[-1])
    by_all = _fluctuations(d, np.zeros(d.shape[:-1]), counts)[0]
    for _ in range(ROUNDS):
        changes = locations_at(d - by_all[..., None, :], counts).estimate
        by_all, by_others = _fluctuations(d, changes, counts)
    of_all = _median_nearer_zero(changes[..., None])
    if len(counts) < CELLS_FOR_COMMON:
        return by_all + of_all, by_others
    without_each = _median_nearer_zero_without_each(changes[..., None])
    of_others = _nearer_zero(without_each, of_all[..., None, :])
    return by_all + of_all, by_others + of_others


def _fluctuations(d: Array, changes: Array, counts: Counts) -> tuple[Array, Array]:
    """Return each pair's median of d less the cells' changes, centred to mean 0 over the pairs.

    Args:
        d: [..., cells, pairs].
        changes: of each cell, [..., cells].
        counts: pairs of each cell, [cells].

    Returns:
        By all cells, [..., pairs], and by the others of each cell, [..., cells, pairs]; the latter
        is valid only for cells that have all pairs.
    """
    rest = d - changes[..., None]
    by_all, by_others = np.empty_like(d[..., 0, :]), np.zeros_like(d)
    for start, end in pairwise([0, *np.unique(counts)]):
        present = np.flatnonzero(counts >= end)
        by_all[..., start:end] = np.median(rest[..., present, start:end], axis=-2)
        if len(present) > 1:
            medians = _medians_without_each(rest[..., present, start:end])
            by_others[..., present, start:end] = medians
    return tuple(one - one.mean(axis=-1, keepdims=True) for one in (by_all, by_others))


def _medians_without_each(values: Array) -> Array:
    """Return for each cell the median of the others, [..., cells, pairs]."""
    return np.mean(_middle_values_without_each(values), axis=0)


def _median_nearer_zero_without_each(values: Array) -> Array:
    """Return for each cell the `_median_nearer_zero` of the others, [..., cells, pairs]."""
    return _nearer_zero(*_middle_values_without_each(values))


def _middle_values_without_each(values: Array) -> tuple[Array, Array]:
    """Return the lower and the upper middle value of the others, one value of an odd number.

    Without a cell whose value is at most the one of a rank, that rank is the next value's.

    Args:
        values: [..., cells, pairs], of two cells at least.

    Returns:
        Both for each cell, [..., cells, pairs].
    """
    ordered, others = np.sort(values, axis=-2), values.shape[-2] - 1
    places = ((others - 1) // 2, others // 2)
    pairs = [(ordered[..., p, None, :], ordered[..., p + 1, None, :]) for p in places]
    low, high = (np.where(values <= at, above, at) for at, above in pairs)
    return low, high


def _median_nearer_zero(values: Array) -> Array:
    """Return the median over the cells of [..., cells, pairs], of two the one nearer to 0.

    The mean of the two would not do: with two of four cells slower, half of their change would
    count as common.
    """
    ordered = np.sort(values, axis=-2)
    count = ordered.shape[-2]
    return _nearer_zero(ordered[..., (count - 1) // 2, :], ordered[..., count // 2, :])


def _nearer_zero(one: Array, other: Array) -> Array:
    """Return, element by element, the one nearer to 0."""
    return np.where(np.abs(one) <= np.abs(other), one, other)


def estimate(d: ArrayLike, groups: Sequence[int], counts: ArrayLike | None = None) -> ModeratedRows:
    """Return the location of each row's d with its standard error, [..., cells + groups].

    Rows are the cells, their variances moderated with their group's prior, then the common modes,
    without a prior.

    Args:
        d: [..., cells, pairs].
        groups: the group of each cell, an index from 0, [cells].
        counts: pairs of each cell, [cells]; None: all.
    """
    own, common = take_out_common(d, groups, counts)
    of_cells = _counts(own, counts)
    shared_counts = row_counts(groups, of_cells)[len(groups) :]
    parts = [np.empty(own.shape[:-1]) for _ in ModeratedRows._fields]
    for group in range(max(groups) + 1):
        members = members_of(groups, group)
        rows = moderate_sessions(own[..., members, :], of_cells[members])
        for part, values in zip(parts, rows, strict=True):
            part[..., members] = values
    shared = moderate_alone(common, shared_counts)
    joined = [np.concatenate(pair, axis=-1) for pair in zip(parts, shared, strict=True)]
    return ModeratedRows(*joined)
