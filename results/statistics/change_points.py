"""Where a cell's times over the runs change for good, in a noisy, autocorrelated series.

Sessions of one machine resemble those just before them, and a method that takes them for
independent finds changes in what is only drift (docs/history.md has the table). So the segments of
least squares are penalised by the long-run variance of an autocorrelated series, not by that of
independent ones (Lavielle & Moulines 2000, "Least-squares estimation of an unknown number of shifts
in a time series", J. Time Series Analysis 21). The autocorrelation is not estimated: from some tens
of runs it comes out anywhere, and where it comes out small, drift is called a change. Segments are
found exactly, with ruptures (Truong, Oudre & Vayatis 2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from results.statistics.estimators import Array

LEAST = 8  # runs: in fewer nothing can be told from drift
SHORTEST = 3  # runs of a segment: one or two that are off are no change
MARGIN = 0.03  # a smaller change of the level is none to a reader
AUTOCORRELATION = 0.6  # of sessions in a row, at most
# What a change must lower the squared error by, in variances of a session: of unchanged series of
# 8 to 150 runs and this autocorrelation, 1 in 100 has one that does (simulated).
PENALTY = 45.0


@dataclass(frozen=True)
class Change:
    """``at`` is the first run of the new level, an index; ``ratio`` the new level over the old."""

    at: int
    ratio: float


def level_of(seconds: ArrayLike, frozen: ArrayLike) -> Array:
    """Log times with the machine's drift taken out, as the frozen reference shows it.

    Only where every run has one: a gap would be a change. The reference's own median stays in, so
    that the level is still that of the times.
    """
    logs = np.log(np.asarray(seconds, dtype=np.float64))
    reference = np.asarray(frozen, dtype=np.float64)
    if not np.isfinite(reference).all():
        return logs
    drift = np.log(reference)
    return logs - (drift - np.median(drift))


def changes(level: ArrayLike) -> list[Change]:
    """The changes of a level [runs], in logarithms, oldest first; none in under `LEAST` runs."""
    values = np.asarray(level, dtype=np.float64)
    if len(values) < LEAST:
        return []
    scale = spread(values)
    return _kept(values, _segments(values / scale)) if scale else []


def spread(values: Array) -> float:
    """The standard deviation of a session, robust: from the median of differences, in which a few
    changes of level do not show, and as they are for `AUTOCORRELATION`."""
    difference = 1.4826 * float(np.median(np.abs(np.diff(values))))
    return difference / math.sqrt(2 * (1 - AUTOCORRELATION))


def _segments(values: Array) -> list[int]:
    """Where new segments begin: optimal for the squared error with a penalty a segment."""
    import ruptures

    found = ruptures.KernelCPD(kernel="linear", min_size=SHORTEST).fit(values.reshape(-1, 1))
    edges: list[int] = found.predict(pen=PENALTY)
    return edges[:-1]


def _kept(values: Array, edges: list[int]) -> list[Change]:
    """Those whose levels differ by more than `MARGIN`."""
    found = []
    bounds = [0, *edges, len(values)]
    for before, at, after in zip(bounds, bounds[1:], bounds[2:], strict=False):
        step = float(np.median(values[at:after]) - np.median(values[before:at]))
        if abs(step) > math.log1p(MARGIN):
            found.append(Change(at, math.exp(step)))
    return found
