"""Estimate the change of every cell from its launch pairs, and the change that all cells share.

Each cell of each launch pair gives one number, d = log(time of head / time of base). The common
mode of a pair, the median of the d of its cells, is subtracted from them and is a row of its own.

A cell that was decided is measured no more, so that cells differ in how many pairs they have:
``counts`` says for each how many, from the first pair on. Without it all cells have all pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from results.statistics.estimators import Array
from results.statistics.moderation import ModeratedRows, moderate_alone, moderate_sessions

# With fewer cells nothing is subtracted: it would be half of what a lone changed cell shows.
CELLS_FOR_COMMON = 3

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

    A group of fewer than `CELLS_FOR_COMMON` cells stays as it is, as does a pair in which fewer of
    a group were measured. The common mode is the median, but of an even number of cells it is the
    one of the two in the middle that is nearer to no change, not their mean: with two of four cells
    slower, half of their change would else count as common.

    What is subtracted from a cell is the median of the *other* cells, where that is nearer to no
    change than the median of all. A slower cell moves the median of all its way: where it is
    slower by the standard deviation of a pair, a quarter of its change would be lost among five.

    Args:
        d: [..., cells, pairs]; what a cell has beyond its count is not looked at.
        counts: pairs of each cell, [cells]; None: all.

    Returns:
        The cells' own d [..., cells, pairs], and the common modes [..., groups, pairs], nan in
        pairs that a cell of the group lacks.
    """
    whole = np.asarray(d, dtype=np.float64)
    own, common = whole.copy(), []
    pairs = _counts(whole, counts)
    for group in range(max(groups) + 1):
        members = members_of(groups, group)
        full = int(pairs[members].min())
        shared = np.full((*whole.shape[:-2], whole.shape[-1]), np.nan)
        shared[..., :full] = _middle(whole[..., members, :full])
        common.append(shared)
        for start, end in pairwise([0, *np.unique(pairs[members])]):
            present = members[pairs[members] >= end]
            if len(present) >= CELLS_FOR_COMMON:
                own[..., present, start:end] -= _shared_by_each(whole[..., present, start:end])
    return own, np.stack(common, axis=-2)


def _counts(d: Array, counts: ArrayLike | None) -> Counts:
    """Return how many pairs each cell has: those given, or all."""
    if counts is None:
        return np.full(d.shape[-2], d.shape[-1], dtype=np.int64)
    return np.asarray(counts, dtype=np.int64)


def _middle(d: Array) -> Array:
    """Return the median over the cells [..., cells, pairs], of two the one nearer to 0."""
    ordered = np.sort(d, axis=-2)
    count = ordered.shape[-2]
    low, high = ordered[..., (count - 1) // 2, :], ordered[..., count // 2, :]
    return _nearer(low, high)


def _shared_by_each(d: Array) -> Array:
    """Return for each cell what it shares with the others, [..., cells, pairs].

    That is the median of the others or the median of all, whichever is nearer to 0.
    """
    ordered = np.sort(d, axis=-2)
    count = ordered.shape[-2]
    low, high = ((count - 2) // 2, (count - 1) // 2)
    others = _nearer(*(_without_each(d, ordered, place) for place in (low, high)))
    whole = _nearer(ordered[..., (count - 1) // 2, :], ordered[..., count // 2, :])
    return _nearer(others, whole[..., None, :])


def _without_each(d: Array, ordered: Array, place: int) -> Array:
    """Return for each cell what stands at a place among the others, [..., cells, pairs].

    A cell at or below that place among all moves it one up.

    Args:
        d: [..., cells, pairs].
        ordered: the same, sorted by cell.
        place: from 0, among the cells that are left.
    """
    at, above = ordered[..., place, None, :], ordered[..., place + 1, None, :]
    return np.where(d <= at, above, at)


def _nearer(one: Array, other: Array) -> Array:
    """Return, element by element, the one nearer to 0."""
    return np.where(np.abs(one) <= np.abs(other), one, other)


def estimate(d: ArrayLike, groups: Sequence[int], counts: ArrayLike | None = None) -> ModeratedRows:
    """Return the mean d of each row with its standard error: [..., rows].

    Rows are the cells, moderated with their group's prior, then the common modes without one.

    Args:
        d: [..., cells, pairs].
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
