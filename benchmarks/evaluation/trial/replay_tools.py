"""Replay recorded traces through the other tools: their decisions, alarms and power.

The sessions of this suite are replayed by `replay`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, tools
from benchmarks.evaluation.trial.traces import LaunchSet, TraceError
from results.statistics.estimators import Array

PYPERF_VALUES, ASV_SAMPLES = 3, 30  # samples of each process


@dataclass
class OtherTools:
    """Draw comparisons as the other tools would measure them.

    ``processes`` maps a tool with many processes to the values of each cell, [processes, values].
    ``single`` holds for each cell the samples of every long process, for the tool that uses a
    single process. ``count`` is the number of processes on each side.
    """

    processes: Mapping[str, list[Array]]
    single: list[list[Array]]
    count: int

    @classmethod
    def from_sets(cls, sets: Sequence[LaunchSet], count: int) -> OtherTools:
        """Make it from recorded sets, with at most ``count`` processes on each side."""
        figures: dict[str, list[Array]] = {tools.PYPERF: [], tools.ASV: [], tools.BENCHSTAT: []}
        single = []
        for subject in plan.SUBJECTS:
            rows = [
                tools.after_warmup(one.rows[f"solo/{subject.id}/{w}"], one.meta.calls[subject.id])
                for one in sets
                for w in range(plan.WORKERS)
            ]
            samples = min(ASV_SAMPLES, min(len(row) for row in rows))
            figures[tools.PYPERF].append(_parts(rows, PYPERF_VALUES))
            figures[tools.ASV].append(_parts(rows, samples))
            figures[tools.BENCHSTAT].append(_parts(rows, 1))
            key = f"long/{subject.id}"
            single.append([one.rows[key].astype(float) for one in sets if key in one.rows])
        available = len(next(iter(figures.values()))[0])
        return cls(figures, single, min(count, available // 2))

    def draw(self, tool: str, count: int, seed: Sequence[int]) -> list[tuple[Array, Array]]:
        """Draw ``count`` comparisons of unchanged code for a tool with many processes.

        The cells of a comparison share their processes; no process is on both sides.

        Returns:
            For each cell base and head, [comparisons, values] in seconds per call.
        """
        rng = np.random.default_rng(seed)
        available = len(next(iter(self.processes.values()))[0])
        order = rng.permuted(np.tile(np.arange(available), (count, 1)), axis=-1)
        sides = order[:, : self.count], order[:, self.count : 2 * self.count]
        return [
            (values[sides[0]].reshape(count, -1), values[sides[1]].reshape(count, -1))
            for values in self.processes[tool]
        ]

    def medians(self, count: int, seed: Sequence[int], share: float = 1.0) -> Any:
        """Draw ``count`` comparisons of one process a side, and return the medians to be compared.

        Args:
            share: the part of each process's time that is used.

        Returns:
            For each cell base and head, [comparisons, 1].

        Raises:
            TraceError: a cell has fewer than two such processes.
        """
        if min(len(runs) for runs in self.single) < 2:
            raise TraceError("a cell was measured long in fewer than two launches; record more")
        rng, figures = np.random.default_rng(seed), []
        for runs in self.single:
            middle = np.array([np.median(run[: max(1, int(len(run) * share))]) for run in runs])
            pairs = [rng.permutation(len(middle))[:2] for _ in range(count)]
            base, head = middle[np.array(pairs)].T
            figures.append((base[:, None], head[:, None]))
        return figures

    def single_samples(self, seed: Sequence[int]) -> tuple[list[Array], list[Array]]:
        """Draw one comparison of two single processes; return base and head, [1, samples]."""
        if min(len(runs) for runs in self.single) < 2:
            raise TraceError("a cell was measured long in fewer than two launches; record more")
        rng = np.random.default_rng(seed)
        picked = [rng.permutation(len(runs))[:2] for runs in self.single]
        base, head = (
            [runs[pair[side]][None] for runs, pair in zip(self.single, picked, strict=True)]
            for side in (0, 1)
        )
        return base, head

    def scores(self, rule: tools.Rule, count: int, seed: Sequence[int], fraction: float) -> Array:
        """Return a rule's scores with head slower by ``fraction``: [comparisons, cells]."""
        if rule.tool == tools.PYTEST_BENCHMARK:
            drawn = self.medians(count, seed)
        else:
            drawn = self.draw(rule.tool, count, seed)
        return np.stack([rule.score(b, h * (1 + fraction)) for b, h in drawn], axis=-1)


def alarms_by_seconds(others: OtherTools, seed: Sequence[int]) -> dict[str, float]:
    """Return the share of unchanged cells that ``median:5%`` fails (pytest-benchmark).

    The keys are the seconds of each process that are used.
    """
    figures = {}
    for share in (0.2, 0.5, 1.0):
        drawn = others.medians(plan.TRIALS, seed, share)
        failed = [tools.percent_slower(base, head) > 5 for base, head in drawn]
        figures[f"{share * plan.LONG_SECONDS:g}"] = float(np.mean(failed))
    return figures


def _parts(rows: Sequence[Array], parts: int) -> Array:
    """Return the means of each row's consecutive parts: [rows, parts]."""
    return np.array([tools.means_of_parts(row, parts) for row in rows])


def tool_figures(
    tuning_half: OtherTools, report_half: OtherTools, rate: float, seed: Sequence[int]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return each tool's alarms and power, with its usual settings and at this suite's alarm rate.

    To match the rate, the threshold of each setting is moved on the tuning half until the tool
    alarms in no more than ``rate`` of the suites. ``promise`` is the share of cells slower by 5 %
    that the setting then finds there.

    Returns:
        The figures by tool, and the reason for each tool that has none.
    """
    figures: dict[str, Any] = {tool: {"settings": {}} for tool in tools.TOOLS}
    missing: dict[str, str] = {}
    for rule in tools.rules(report_half.count * PYPERF_VALUES):
        entry = figures[rule.tool]
        try:
            usual, moved = _setting_figures(rule, tuning_half, report_half, rate, seed)
        except TraceError as why:
            missing[rule.tool] = str(why)
            continue
        entry["settings"][rule.setting] = moved
        if "alarms" not in entry:  # the tool's usual setting comes first
            entry.update(usual)
    return {tool: entry for tool, entry in figures.items() if entry["settings"]}, missing


def _setting_figures(
    rule: tools.Rule,
    tuning_half: OtherTools,
    report_half: OtherTools,
    rate: float,
    seed: Sequence[int],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the figures of one setting with its usual threshold, and with the moved one.

    The arguments are those of `tool_figures`. Both results have ``threshold``, ``alarms`` and
    ``power``; the second has ``promise`` too.
    """
    before = tuning_half.scores(rule, plan.TRIALS, [*seed, 1], 0.0)
    threshold = tools.matched_threshold(before, rate)
    promise = tuning_half.scores(rule, plan.TRIALS, [*seed, 2], 0.05) > threshold
    unchanged = report_half.scores(rule, plan.TRIALS, [*seed, 3], 0.0)
    changed = {f: report_half.scores(rule, plan.TRIALS, [*seed, 4], f) for f in plan.SLOWDOWNS}
    usual, moved = (
        {"threshold": limit, "alarms": _alarms(unchanged, limit), "power": _power(changed, limit)}
        for limit in (rule.threshold, threshold)
    )
    return usual, moved | {"promise": float(promise.mean())}


def _alarms(scores: Array, threshold: float) -> dict[str, int]:
    """Return counts of all suites and comparisons, and of those with a score above the threshold.

    ``scores`` are of unchanged code, [suites, cells].
    """
    slower = scores > threshold
    return {
        "suites": len(slower),
        "suite_slower": int(slower.any(axis=-1).sum()),
        "comparisons": slower.size,
        "slower": int(slower.sum()),
    }


def _power(scores: Mapping[float, Array], threshold: float) -> dict[str, Any]:
    """Return for each slowdown how many comparisons of each cell score above the threshold.

    ``scores`` maps a slowdown to [comparisons, cells]; ``of`` is the number of comparisons.
    """
    return {
        str(fraction): {"of": len(one), "cells": (one > threshold).sum(axis=0).tolist()}
        for fraction, one in scores.items()
    }
