"""Compare methods of finding changes in a series of sessions; print the table of docs/history.md.

Run by ``python -m benchmarks.evaluation.trial.change_points``.

The series are log times with noise of 3 %, independent or autocorrelated as sessions of one machine
are, and unchanged or with one step. A change found in an unchanged series is a false alarm. A step
counts as found if the method names a run within two of it, with the right sign.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from results.statistics import change_points
from results.statistics.estimators import Array

NOISE = 0.03
AUTOCORRELATIONS = (0.0, 0.3, 0.6)
LENGTHS = (20, 60, 150)
STEPS = (0.05, 0.10, 0.20)
SERIES = 400
NEAR = 2  # runs
FROM_END = 6  # runs after a late step

# log times [runs] → (first run of the new level, log step) of each change found
Method = Callable[[Array], Sequence[tuple[int, float]]]


class Case(NamedTuple):
    """Describe the series of one case.

    ``phi`` is the autocorrelation, ``length`` the number of runs, ``step`` the relative change from
    run ``at`` on; ``at`` is None for an unchanged series.
    """

    phi: float
    length: int
    step: float
    at: int | None


def ours(values: Array) -> list[tuple[int, float]]:
    """Find changes by this suite's method, whose penalty allows for autocorrelation."""
    return [(one.at, math.log(one.ratio)) for one in change_points.changes(values)]


def ruptures_bic(values: Array) -> list[tuple[int, float]]:
    """Find changes by ruptures' PELT with the usual penalty (BIC, 2 σ² log n).

    The penalty takes the runs as independent.
    """
    import ruptures

    scale = 1.4826 * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2)
    detector = ruptures.KernelCPD(kernel="linear", min_size=change_points.SHORTEST)
    edges = detector.fit((values / scale).reshape(-1, 1)).predict(pen=2 * math.log(len(values)))
    return _levels(values, edges[:-1])


def asv(values: Array) -> list[tuple[int, float]]:
    """Find changes by asv's step detection, as its regression pages do."""
    from asv.step_detect import detect_steps

    steps = detect_steps(np.exp(values).tolist(), None)
    return [
        (after[0], math.log(after[2] / before[2])) for before, after in itertools.pairwise(steps)
    ]


def otava(values: Array) -> list[tuple[int, float]]:
    """Find changes by apache-otava (E-divisive means with its t-test) with its defaults."""
    from otava.analysis import compute_change_points

    points, _ = compute_change_points(np.exp(values).tolist())
    return _levels(values, [point.index for point in points])


def _levels(values: Array, edges: Sequence[int]) -> list[tuple[int, float]]:
    """Return (edge, difference between the median levels after and before it) for each edge.

    ``values`` are log times by run, ``edges`` the first runs of new levels.
    """
    bounds = [0, *edges, len(values)]
    levels = [np.median(values[a:b]) for a, b in itertools.pairwise(bounds)]
    return [
        (edge, float(new - old)) for edge, old, new in zip(edges, levels, levels[1:], strict=False)
    ]


def methods() -> dict[str, Method]:
    """Return name → method, for each method whose package is installed here."""
    installed: dict[str, Method] = {"this suite": ours, "ruptures, BIC": ruptures_bic}
    if importlib.util.find_spec("asv"):
        installed["asv"] = asv
    if importlib.util.find_spec("otava"):
        installed["apache-otava"] = otava
    return installed


def cases() -> Iterator[Case]:
    """Yield the cases: unchanged first, then each step, in the middle and near the end."""
    for phi in AUTOCORRELATIONS:
        for length in LENGTHS:
            yield Case(phi, length, 0.0, None)
            for step in STEPS:
                yield Case(phi, length, step, length // 2)
                yield Case(phi, length, step, length - FROM_END)


def draw_series(case: Case, count: int, seed: int = 5) -> Array:
    """Draw log times [series, runs] whose spread is `NOISE` whatever their autocorrelation."""
    rng = np.random.default_rng([seed, int(100 * case.phi), case.length])
    values = np.empty((count, case.length))
    values[:, 0] = rng.normal(0.0, NOISE, count)
    own = NOISE * math.sqrt(1 - case.phi**2)
    for run in range(1, case.length):
        values[:, run] = case.phi * values[:, run - 1] + rng.normal(0.0, own, count)
    if case.at is not None:
        values[:, case.at :] += math.log1p(case.step)
    return values


def hit_rate(method: Method, case: Case, count: int = SERIES) -> float:
    """Return the share of unchanged series with an alarm, or of the others whose step was found."""
    hits = 0
    for values in draw_series(case, count):
        changes = method(values)
        if case.at is None:
            hits += bool(changes)
        else:
            hits += any(abs(at - case.at) <= NEAR and step > 0 for at, step in changes)
    return hits / count


def table(count: int = SERIES) -> Iterator[str]:
    """Yield the lines of the table in Markdown: a row for each method and autocorrelation.

    Each figure is the mean over the lengths, and over the places of the step.
    """
    heads = "".join(f" +{100 * step:g} % found |" for step in STEPS)
    yield f"| method | autocorrelation | alarms in unchanged series |{heads}"
    yield f"|---|--:|--:|{'--:|' * len(STEPS)}"
    for name, method in methods().items():
        for phi in AUTOCORRELATIONS:
            shares = {c: hit_rate(method, c, count) for c in cases() if c.phi == phi}
            columns = [
                100 * float(np.mean([s for c, s in shares.items() if c.step == step]))
                for step in (0.0, *STEPS)
            ]
            percents = " | ".join(f"{column:.1f} %" for column in columns)
            yield f"| {name} | {phi:g} | {percents} |"


if __name__ == "__main__":
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else SERIES):
        print(line, flush=True)
