"""The decision rules of the other tools, written from their sources, for many comparisons at once.

Each rule is a *score* of head against base and a threshold: the tool says "slower" where the score
is above it. Thresholds are the tools' own settings, so they can be moved until tools alarm equally
often. `benchmarks/evaluation/trial/real.py` holds each rule to the tool's own command.

Arrays are [comparisons, cells, values]; times in seconds per call.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.stats
from numpy.typing import NDArray

from results.statistics.estimators import Array

Score = Callable[[Array, Array], Array]


@dataclass(frozen=True)
class Rule:
    """One tool with one of its settings: ``threshold`` is what it has by default."""

    tool: str
    setting: str
    threshold: float
    score: Score

    def alarms(self, base: Array, head: Array, threshold: float | None = None) -> NDArray[np.bool_]:
        """Which cells the tool calls slower: [comparisons, cells]."""
        return self.score(base, head) > (self.threshold if threshold is None else threshold)


def percent_slower(base: Array, head: Array) -> Array:
    """pytest-benchmark 5.3.1, `PercentageRegressionCheck`: one process on each side.

    ``median:5%`` fails where current / compared × 100 − 100 > 5; never for a faster one.
    """
    return np.median(head, axis=-1) / np.median(base, axis=-1) * 100 - 100


def t_score(base: Array, head: Array) -> Array:
    """pyperf 2.10, `tscore`: Student's t of all values of all processes, as if independent.

    Positive where head is slower.
    """
    counts = base.shape[-1], head.shape[-1]
    pooled = (base.var(axis=-1, ddof=1) + head.var(axis=-1, ddof=1)) / 2
    error = np.sqrt(pooled * (1 / counts[0] + 1 / counts[1]))
    return (head.mean(axis=-1) - base.mean(axis=-1)) / error


# From so many degrees of freedom on pyperf's table is coarse; below it is Student's own quantile.
_CRITICAL = ((200, 1.960), (100, 1.984), (80, 1.990), (60, 2.000), (50, 2.009), (40, 2.021))


def critical_t(values: int) -> float:
    """From which on `is_significant` calls two samples of so many values each different (95 %)."""
    dof = 2 * values - 2
    coarse = next((critical for least, critical in _CRITICAL if dof >= least), None)
    return coarse or round(float(scipy.stats.t.ppf(0.975, min(dof, 30))), 3)


def significant_percent(base: Array, head: Array) -> Array:
    """How many percent slower, where the t-test says so; else 0 (``--min-speed``)."""
    significant = t_score(base, head) >= critical_t(base.shape[-1])
    slower = head.mean(axis=-1) / base.mean(axis=-1) * 100 - 100
    return np.where(significant, slower, 0.0)


def factor(base: Array, head: Array) -> Array:
    """asv 0.6.6, `_is_result_better`: head's median over base's, where a U test has p < 0.002.

    The p is that of the normal approximation without correction above 20 samples, else exact.
    """
    ratio = np.median(head, axis=-1) / np.median(base, axis=-1)
    exact = max(base.shape[-1], head.shape[-1]) <= 20
    return np.where(u_test(base, head, exact=exact) < 0.002, ratio, 1.0)


def u_test(base: Array, head: Array, *, exact: bool) -> Array:
    """The two-sided p of Mann and Whitney's U test along the last axis."""
    found = scipy.stats.mannwhitneyu(
        base, head, axis=-1, method="exact" if exact else "asymptotic", use_continuity=False
    )
    return np.asarray(found.pvalue)


def one_minus_p(base: Array, head: Array) -> Array:
    """benchstat-like: 1 − p of the exact U test over launches, where head's median is larger."""
    slower = np.median(head, axis=-1) > np.median(base, axis=-1)
    return np.where(slower, 1 - u_test(base, head, exact=True), 0.0)


def significant_median_percent(base: Array, head: Array) -> Array:
    """How many percent slower by medians, where that p is under 0.05; else 0."""
    slower = np.median(head, axis=-1) / np.median(base, axis=-1) * 100 - 100
    return np.where(u_test(base, head, exact=True) < 0.05, slower, 0.0)


PYTEST_BENCHMARK, PYPERF, ASV, BENCHSTAT = "pytest-benchmark", "pyperf", "asv", "benchstat-like"
TOOLS = (PYTEST_BENCHMARK, PYPERF, ASV, BENCHSTAT)


def rules(values: int) -> list[Rule]:
    """Every tool with each of its settings, its usual one first.

    Args:
        values: how many values pyperf has on each side.
    """
    return [
        Rule(PYTEST_BENCHMARK, "--benchmark-compare-fail=median:X%", 5.0, percent_slower),
        # ≥ in pyperf
        Rule(PYPERF, "critical t = X", math.nextafter(critical_t(values), 0), t_score),
        Rule(PYPERF, "--min-speed=X%", 0.0, significant_percent),
        Rule(ASV, "--factor=X", 1.1, factor),
        Rule(BENCHSTAT, "-alpha=1-X", 0.95, one_minus_p),
        Rule(BENCHSTAT, "least change X%", 0.0, significant_median_percent),
    ]


def matched_threshold(scores: Array, rate: float) -> float:
    """The smallest threshold at which no more than ``rate`` of the suites alarm.

    Args:
        scores: of unchanged comparisons, [suites, cells]; a suite alarms by its highest.
    """
    highest = np.sort(scores.max(axis=-1))[::-1]
    return float(highest[min(int(rate * len(highest)), len(highest) - 1)])


def after_warmup(row: NDArray[np.float32], calls: int, warmup: float = 0.1) -> Array:
    """What is left of a process's samples when the first ``warmup`` seconds are gone."""
    times = row.astype(np.float64)
    kept: Array = times[np.cumsum(times * calls) > warmup]
    return kept if len(kept) > 2 else times


def means_of_parts(row: Array, parts: int) -> Array:
    """The means of so many stretches of about equal length, one after the other: [parts]."""
    return np.array([part.mean() for part in np.array_split(row, parts)])
