"""Compare methods that find where a series changed, and only there; the table of docs/history.md.

Run by ``python -m benchmarks.evaluation.trial.change_points``.

Series of log times of sessions: noise of 3 %, independent or autocorrelated as sessions of one
machine are, unchanged or with one step. A method alarms where it finds any change in an unchanged
series; it has found a step where it names a run within two of it, of the right sign.
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
FROM_END = 6  # runs that a late step leaves

# log times [runs] → (first run of the new level, log step) of each change found
Method = Callable[[Array], Sequence[tuple[int, float]]]


class Case(NamedTuple):
    """``at`` is None where nothing changes."""

    phi: float
    length: int
    step: float
    at: int | None


def ours(values: Array) -> list[tuple[int, float]]:
    """`results.statistics.change_points`: a penalty for autocorrelated series."""
    return [(one.at, math.log(one.ratio)) for one in change_points.changes(values)]


def plain(values: Array) -> list[tuple[int, float]]:
    """ruptures' PELT with the usual penalty (BIC, 2 σ² log n), as if runs were independent."""
    import ruptures

    scale = 1.4826 * float(np.median(np.abs(np.diff(values)))) / math.sqrt(2)
    found = ruptures.KernelCPD(kernel="linear", min_size=change_points.SHORTEST)
    edges = found.fit((values / scale).reshape(-1, 1)).predict(pen=2 * math.log(len(values)))
    return _levels(values, edges[:-1])


def asv(values: Array) -> list[tuple[int, float]]:
    """asv's step detection, as its regression pages use it."""
    from asv.step_detect import detect_steps

    steps = detect_steps(np.exp(values).tolist(), None)
    return [
        (after[0], math.log(after[2] / before[2])) for before, after in itertools.pairwise(steps)
    ]


def otava(values: Array) -> list[tuple[int, float]]:
    """apache-otava's change points (E-divisive means with its t-test), its defaults."""
    from otava.analysis import compute_change_points

    found, _ = compute_change_points(np.exp(values).tolist())
    return _levels(values, [point.index for point in found])


def _levels(values: Array, edges: Sequence[int]) -> list[tuple[int, float]]:
    bounds = [0, *edges, len(values)]
    levels = [np.median(values[a:b]) for a, b in itertools.pairwise(bounds)]
    return [
        (edge, float(new - old)) for edge, old, new in zip(edges, levels, levels[1:], strict=False)
    ]


def methods() -> dict[str, Method]:
    """Those that are installed here."""
    found: dict[str, Method] = {"this suite": ours, "ruptures, BIC": plain}
    if importlib.util.find_spec("asv"):
        found["asv"] = asv
    if importlib.util.find_spec("otava"):
        found["apache-otava"] = otava
    return found


def cases() -> Iterator[Case]:
    """Unchanged first, then each step, in the middle and near the end."""
    for phi in AUTOCORRELATIONS:
        for length in LENGTHS:
            yield Case(phi, length, 0.0, None)
            for step in STEPS:
                yield Case(phi, length, step, length // 2)
                yield Case(phi, length, step, length - FROM_END)


def drawn(case: Case, count: int, seed: int = 5) -> Array:
    """Log times [series, runs], each of the same spread whatever its autocorrelation."""
    rng = np.random.default_rng([seed, int(100 * case.phi), case.length])
    values = np.empty((count, case.length))
    values[:, 0] = rng.normal(0.0, NOISE, count)
    own = NOISE * math.sqrt(1 - case.phi**2)
    for run in range(1, case.length):
        values[:, run] = case.phi * values[:, run - 1] + rng.normal(0.0, own, count)
    if case.at is not None:
        values[:, case.at :] += math.log1p(case.step)
    return values


def share(method: Method, case: Case, count: int = SERIES) -> float:
    """Of unchanged series those with an alarm, of the others those whose step was found."""
    hits = 0
    for values in drawn(case, count):
        found = method(values)
        if case.at is None:
            hits += bool(found)
        else:
            hits += any(abs(at - case.at) <= NEAR and step > 0 for at, step in found)
    return hits / count


def table(count: int = SERIES) -> Iterator[str]:
    """Markdown, a row a method and autocorrelation, the mean over lengths and places."""
    heads = "".join(f" +{100 * step:g} % found |" for step in STEPS)
    yield f"| method | autocorrelation | alarms in unchanged series |{heads}"
    yield f"|---|--:|--:|{'--:|' * len(STEPS)}"
    for name, method in methods().items():
        for phi in AUTOCORRELATIONS:
            shares = {c: share(method, c, count) for c in cases() if c.phi == phi}
            columns = [
                100 * float(np.mean([s for c, s in shares.items() if c.step == step]))
                for step in (0.0, *STEPS)
            ]
            told = " | ".join(f"{column:.1f} %" for column in columns)
            yield f"| {name} | {phi:g} | {told} |"


if __name__ == "__main__":
    for line in table(int(sys.argv[1]) if len(sys.argv) > 1 else SERIES):
        print(line, flush=True)
