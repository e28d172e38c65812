"""Find where the level of a cell's times changes for good, in a noisy, autocorrelated series.

Sessions of one machine resemble those just before them, and a method that takes them for
independent reports drift as changes (docs/history.md has the table). So the segments of least
squares are penalised by the long-run variance of an autocorrelated series, not by that of
independent ones (Lavielle & Moulines 2000, "Least-squares estimation of an unknown number of shifts
in a time series", J. Time Series Analysis 21). The autocorrelation is not estimated: from some tens
of runs its estimate may lie anywhere, and where it is small, drift is called a change. The optimal
segments are computed exactly, with ruptures (Truong, Oudre & Vayatis 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from results.statistics.estimators import Array

LEAST = 8  # runs: with fewer, a change cannot be distinguished from drift
SHORTEST = 3  # runs of a segment: one or two outliers are no change
MARGIN = 0.03  # a smaller change of the level is not reported
AUTOCORRELATION = 0.6  # of sessions in a row, at most
# By how much a change must lower the squared error, in variances of a session: of unchanged series
# of 8 to 150 runs with this autocorrelation, 1 in 100 has such a change (simulated).
PENALTY = 45.0


@dataclass(frozen=True)
class Change:
    """A change of the level of a series.

    Attributes:
        at: the index of the first run of the new level.
        ratio: the new level over the old one.
    """

    at: int
    ratio: float


def level_of(seconds: ArrayLike, reference_seconds: ArrayLike) -> Array:
    """Return the log times [runs] with the drift of the machine subtracted.

    The drift is that of a reference program that never changes, measured in every run. Where a run
    lacks the reference, the plain log times are returned, since a gap would look like a change.
    The reference's own median stays in, so that the level is still that of the times.

    Args:
        seconds: the cell's times, [runs].
        reference_seconds: the times of the machine reference in the same runs, nan where a run
            lacks it.
    """
    logs = np.log(np.asarray(seconds, dtype=np.float64))
    reference = np.asarray(reference_seconds, dtype=np.float64)
    if not np.isfinite(reference).all():
        return logs
    drift = np.log(reference)
    return logs - (drift - np.median(drift))


def changes(level: ArrayLike) -> list[Change]:
    """Return the changes of level of a series, oldest first.

    There are none in under `LEAST` runs, nor in a constant series.

    Args:
        level: log times, [runs], as `level_of` returns them.
    """
    values = np.asarray(level, dtype=np.float64)
    if len(values) < LEAST:
        return []
    scale = robust_sd(values)
    return _beyond_margin(values, _segments(values / scale)) if scale else []


def robust_sd(values: Array) -> float:
    """Return a robust standard deviation of single sessions, from a series [runs] of log times.

    It comes from the median of successive differences, in which a few changes of level do not show.
    Differences of sessions with `AUTOCORRELATION` are smaller than those of independent ones; that
    is corrected for.
    """
    difference = 1.4826 * float(np.median(np.abs(np.diff(values))))
    return difference / math.sqrt(2 * (1 - AUTOCORRELATION))


def _segments(values: Array) -> list[int]:
    """Return the indices at which new segments begin, by exact search.

    The segments minimize their squared error plus a penalty for each segment.

    Args:
        values: [runs], in standard deviations of a session.
    """
    import ruptures

    algorithm = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(values.reshape(-1, 1))
    edges: list[int] = algorithm.predict(pen=PENALTY)
    return edges[:-1]


def _beyond_margin(values: Array, edges: list[int]) -> list[Change]:
    """Return the changes of level that are larger than `MARGIN`.

    Args:
        values: the level, [runs], in logarithms.
        edges: the indices at which new segments begin.
    """
    changes = []
    bounds = [0, *edges, len(values)]
    for before, at, after in zip(bounds, bounds[1:], bounds[2:], strict=False):
        step = float(np.median(values[at:after]) - np.median(values[before:at]))
        if abs(step) > math.log1p(MARGIN):
            changes.append(Change(at, math.exp(step)))
    return changes
