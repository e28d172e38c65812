"""Implement the decision rules of the other tools, for many comparisons at once.

Each rule is a *score* of head against base and a threshold: the tool calls a cell slower if its
score is above the threshold. The thresholds are the tools' own settings, so they can be moved until
all tools alarm equally often. The rules are written from the tools' sources;
`benchmarks.evaluation.trial.agreement` compares each with the tool's own command.

Arrays are [comparisons, cells, values], times in seconds per call.
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
    """Describe one tool with one of its settings; ``threshold`` is the setting's default."""

    tool: str
    setting: str
    threshold: float
    score: Score

    def alarms(self, base: Array, head: Array, threshold: float | None = None) -> NDArray[np.bool_]:
        """Return which cells the tool calls slower: [comparisons, cells]."""
        return self.score(base, head) > (self.threshold if threshold is None else threshold)


def percent_slower(base: Array, head: Array) -> Array:
    """Return how many percent slower head's median is (pytest-benchmark 5.3.1).

    From `PercentageRegressionCheck`, with one process on each side. ``median:5%`` fails where
    current / compared × 100 − 100 > 5, never for a faster cell.
    """
    return np.median(head, axis=-1) / np.median(base, axis=-1) * 100 - 100


def t_score(base: Array, head: Array) -> Array:
    """Return Student's t of all values, taken as independent (pyperf 2.10, `tscore`).

    It is positive where head is slower.
    """
    counts = base.shape[-1], head.shape[-1]
    pooled = (base.var(axis=-1, ddof=1) + head.var(axis=-1, ddof=1)) / 2
    error = np.sqrt(pooled * (1 / counts[0] + 1 / counts[1]))
    return (head.mean(axis=-1) - base.mean(axis=-1)) / error


# (least degrees of freedom, critical t): from 40 on pyperf's table has only these entries; below
# that it has Student's quantile for each number.
_CRITICAL = ((200, 1.960), (100, 1.984), (80, 1.990), (60, 2.000), (50, 2.009), (40, 2.021))


def critical_t(values: int) -> float:
    """Return the t from which pyperf calls two samples of this size different (95 %).

    ``values`` is the size of each sample. The rule is that of pyperf's `is_significant`.
    """
    dof = 2 * values - 2
    coarse = next((critical for least, critical in _CRITICAL if dof >= least), None)
    return coarse or round(float(scipy.stats.t.ppf(0.975, min(dof, 30))), 3)


def significant_percent(base: Array, head: Array) -> Array:
    """Return how many percent slower head is if the t-test says so, else 0 (``--min-speed``)."""
    significant = t_score(base, head) >= critical_t(base.shape[-1])
    slower = head.mean(axis=-1) / base.mean(axis=-1) * 100 - 100
    return np.where(significant, slower, 0.0)


def significant_factor(base: Array, head: Array) -> Array:
    """Return head's median over base's if a U test has p < 0.002, else 1 (asv 0.6.6).

    From `_is_result_better`. Above 20 samples p is that of the normal approximation without
    correction, else it is exact.
    """
    ratio = np.median(head, axis=-1) / np.median(base, axis=-1)
    exact = max(base.shape[-1], head.shape[-1]) <= 20
    return np.where(u_test(base, head, exact=exact) < 0.002, ratio, 1.0)


def u_test(base: Array, head: Array, *, exact: bool) -> Array:
    """Return the two-sided p of Mann and Whitney's U test along the last axis."""
    test = scipy.stats.mannwhitneyu(
        base, head, axis=-1, method="exact" if exact else "asymptotic", use_continuity=False
    )
    return np.asarray(test.pvalue)


def one_minus_p(base: Array, head: Array) -> Array:
    """Return 1 − p of the exact U test over launches if head's median is larger, else 0.

    This decides as benchstat does.
    """
    slower = np.median(head, axis=-1) > np.median(base, axis=-1)
    return np.where(slower, 1 - u_test(base, head, exact=True), 0.0)


def significant_median_percent(base: Array, head: Array) -> Array:
    """Return how many percent slower head's median is if the U test has p < 0.05, else 0."""
    slower = np.median(head, axis=-1) / np.median(base, axis=-1) * 100 - 100
    return np.where(u_test(base, head, exact=True) < 0.05, slower, 0.0)


PYTEST_BENCHMARK, PYPERF, ASV, BENCHSTAT = "pytest-benchmark", "pyperf", "asv", "benchstat-like"
TOOLS = (PYTEST_BENCHMARK, PYPERF, ASV, BENCHSTAT)


def rules(values: int) -> list[Rule]:
    """Return every tool with each of its settings, the usual one first.

    Args:
        values: how many values pyperf has on each side.
    """
    return [
        Rule(PYTEST_BENCHMARK, "--benchmark-compare-fail=median:X%", 5.0, percent_slower),
        # pyperf alarms at the critical value itself, a `Rule` only above its threshold
        Rule(PYPERF, "critical t = X", math.nextafter(critical_t(values), 0), t_score),
        Rule(PYPERF, "--min-speed=X%", 0.0, significant_percent),
        Rule(ASV, "--factor=X", 1.1, significant_factor),
        Rule(BENCHSTAT, "-alpha=1-X", 0.95, one_minus_p),
        Rule(BENCHSTAT, "least change X%", 0.0, significant_median_percent),
    ]


def matched_threshold(scores: Array, rate: float) -> float:
    """Return the smallest threshold at which at most ``rate`` of the suites alarm.

    Args:
        scores: of unchanged comparisons, [suites, cells]; the highest score of a suite decides.
    """
    highest = np.sort(scores.max(axis=-1))[::-1]
    return float(highest[min(int(rate * len(highest)), len(highest) - 1)])


def after_warmup(row: NDArray[np.float32], calls: int, warmup: float = 0.1) -> Array:
    """Return a process's samples after the first ``warmup`` seconds, or all if under 3 are left.

    Args:
        row: seconds per call of each sample.
        calls: the number of calls in a sample.
        warmup: in seconds.
    """
    times = row.astype(np.float64)
    warm: Array = times[np.cumsum(times * calls) > warmup]
    return warm if len(warm) > 2 else times


def means_of_parts(row: Array, parts: int) -> Array:
    """Cut a process's samples into parts of about equal length; return their means: [parts]."""
    return np.array([part.mean() for part in np.array_split(row, parts)])
