"""Replays decisions on the recorded traces: this suite's and the other tools', at equal wall time.

Sessions are drawn from the sets of one half with replacement. In every launch pair the three
workers are given their roles (base, head, base again) at random: as all ran the same code, the
truth is then exactly a ratio of 1. A slowdown is a factor on head's times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation.trial import plan, tools, tuning
from benchmarks.evaluation.trial.traces import LaunchSet, TraceError
from benchmarks.evaluation.trial.tuning import Constants
from results.statistics import launch_pairs, verdict
from results.statistics.estimators import Array
from results.statistics.launch_pairs import Design, Session
from results.statistics.verdict import FASTER, SLOWER

CELLS = len(plan.SUBJECTS)
# What the verdict is made of, and what a control that leaves the margin makes inconclusive.
VARIANTS = {
    "wall and CPU": (plan.METRICS, "group"),
    "wall": (("wall",), "group"),
    "CPU": (("cpu",), "group"),
    "wall and CPU, control by row": (plan.METRICS, "row"),
}
PYPERF_VALUES, ASV_SAMPLES = 3, 30


def chosen(sets: Sequence[LaunchSet], half: str, condition: str) -> list[LaunchSet]:
    """The sets of one half under one condition."""
    return [one for one in sets if (one.meta.half, one.meta.condition) == (half, condition)]


# This suite


@dataclass
class Ours:
    """This suite's sessions, drawn from some sets: ``logs[metric]`` is [sets, workers, cells]."""

    logs: Mapping[str, Array]
    pairs: int

    @classmethod
    def of(cls, sets: Sequence[LaunchSet], constants: Mapping[str, Constants], pairs: int) -> Ours:
        return cls({m: tuning.quantile_logs(sets, m, constants[m]) for m in plan.METRICS}, pairs)

    def draw(self, count: int, seed: Sequence[int]) -> tuple[dict[str, Array], dict[str, Array]]:
        """d and control of ``count`` unchanged sessions: metric → [sessions, cells, pairs]."""
        rng = np.random.default_rng(seed)
        sets, workers, _ = next(iter(self.logs.values())).shape
        which = rng.integers(sets, size=(count, self.pairs))
        roles = rng.permuted(np.tile(np.arange(workers), (count, self.pairs, 1)), axis=-1)
        d, control = {}, {}
        for metric, logs in self.logs.items():
            base, head, again = (logs[which, roles[..., i]] for i in range(3))
            d[metric] = np.swapaxes(head - base, -1, -2)
            control[metric] = np.swapaxes(again - base, -1, -2)
        return d, control


def as_normal(ours: Ours, seed: Sequence[int]) -> Ours:
    """Launches of normal noise as wide as these: alarms that they do not make are the tails'."""
    rng = np.random.default_rng(seed)
    drawn = {}
    for metric, logs in ours.logs.items():
        wide = (logs - logs.mean(axis=1, keepdims=True)).std(axis=(0, 1)) * np.sqrt(1.5)
        drawn[metric] = rng.normal(0.0, 1.0, (400, *logs.shape[1:])) * wide
    return Ours(drawn, ours.pairs)


def design(metrics: Sequence[str], looks: tuple[int, ...], control: str = "group") -> Design:
    """A group of rows for each metric."""
    groups = tuple(i for i in range(len(metrics)) for _ in range(CELLS))
    return Design(groups, looks, control=control)


def decided(
    d: Mapping[str, Array],
    control: Mapping[str, Array],
    metrics: Sequence[str],
    looks: tuple[int, ...],
    by: str = "group",
) -> Session:
    """The sessions' verdicts from these metrics, controlled by group or by row."""
    joined = [np.concatenate([part[m] for m in metrics], axis=-2) for part in (d, control)]
    return launch_pairs.decide(joined[0], joined[1], design(metrics, looks, by))


def slowed(d: Mapping[str, Array], cells: Sequence[int], fraction: float) -> dict[str, Array]:
    """Head slower by that fraction in these cells, in every metric."""
    found = {metric: values.copy() for metric, values in d.items()}
    for values in found.values():
        values[:, cells] += np.log1p(fraction)
    return found


def calls_slower(session: Session, cell: int, metrics: int) -> NDArray[np.bool_]:
    """Whether a session calls that cell slower, in any metric: [sessions]."""
    rows = [cell + CELLS * i for i in range(metrics)]
    found: NDArray[np.bool_] = (session.verdicts[..., rows] == SLOWER).any(axis=-1)
    return found


def our_alarms(ours: Ours, variant: str, looks: tuple[int, ...], seed: Sequence[int]) -> Any:
    """Unchanged sessions: who was told slower or faster, and how the sessions ended."""
    metrics, by = VARIANTS[variant]
    d, control = ours.draw(plan.TRIALS, seed)
    session = decided(d, control, metrics, looks, by)
    either = np.isin(session.verdicts, (SLOWER, FASTER))
    slower = session.verdicts == SLOWER
    cells = len(metrics) * CELLS
    named = np.stack([calls_slower(session, c, len(metrics)) for c in range(CELLS)], axis=-1)
    return {
        "suites": len(either),
        "suite_alarms": int(either.any(axis=-1).sum()),
        "suite_slower": int(slower.any(axis=-1).sum()),
        "comparisons": named.size,
        "slower": int(named.sum()),
        "common_alarms": int(either[:, cells:].any(axis=-1).sum()),
        "equal": float(np.mean(session.verdicts[:, :cells] == "equal")),
        "pairs": float(session.pairs.mean()),
        "control_left": float(np.mean(~session.control_held.all(axis=-1))),
    }


def our_power(ours: Ours, variant: str, looks: tuple[int, ...], seed: Sequence[int]) -> Any:
    """Slowdown → how often one slowed cell is found, per cell, and the shift of everything."""
    (metrics, by), count = VARIANTS[variant], plan.TRIALS // 4
    found = {}
    for fraction in plan.SLOWDOWNS:
        cells = []
        for cell in range(CELLS):
            d, control = ours.draw(count, [*seed, cell])
            session = decided(slowed(d, [cell], fraction), control, metrics, looks, by)
            cells.append(int(calls_slower(session, cell, len(metrics)).sum()))
        d, control = ours.draw(count, [*seed, CELLS])
        session = decided(slowed(d, range(CELLS), fraction), control, metrics, looks, by)
        common = session.verdicts[:, len(metrics) * CELLS :] == SLOWER
        found[str(fraction)] = {
            "of": count,
            "cells": cells,
            "everything": int(common.any(axis=-1).sum()),
        }
    return found


def our_coverage(ours: Ours, looks: tuple[int, ...], seed: Sequence[int]) -> Any:
    """Metric → pairs → share of sessions whose 95 % interval holds a ratio of 1: per row."""
    found: dict[str, Any] = {}
    d, _ = ours.draw(plan.TRIALS, seed)
    for metric in plan.METRICS:
        found[metric] = {}
        for pairs in looks:
            rows = launch_pairs.estimate(d[metric][..., :pairs], (0,) * CELLS)
            covered = np.abs(rows.log_ratio) <= verdict.half_widths(rows)
            found[metric][str(pairs)] = covered.mean(axis=0).tolist()
    return found


def disjoint(sets: Sequence[LaunchSet], constants: Mapping[str, Constants], looks: Any) -> Any:
    """Unchanged sessions that share no launch and are not shuffled, at the first look alone."""
    size, ours = looks[0], Ours.of(sets, constants, looks[0])
    alarms, count = 0, len(sets) // size
    for start in range(0, count * size, size):
        cut = {m: logs[start : start + size] for m, logs in ours.logs.items()}
        d = {m: (x[:, 1] - x[:, 0]).T[None] for m, x in cut.items()}
        control = {m: (x[:, 2] - x[:, 0]).T[None] for m, x in cut.items()}
        said = decided(d, control, plan.METRICS, (size,)).verdicts
        alarms += int(np.isin(said, (SLOWER, FASTER)).any())
    return {"suites": count, "suite_alarms": alarms}


# The other tools


@dataclass
class Others:
    """What the other tools would have taken: tool → values, processes first."""

    processes: Mapping[str, list[Array]]  # tool → of each cell [processes, values]
    single: list[list[Array]]  # of each cell, the samples of each long process
    count: int  # processes on each side

    @classmethod
    def of(cls, sets: Sequence[LaunchSet], count: int) -> Others:
        found: dict[str, list[Array]] = {tools.PYPERF: [], tools.ASV: [], tools.BENCHSTAT: []}
        single = []
        for subject in plan.SUBJECTS:
            rows = [
                tools.after_warmup(one.rows[f"solo/{subject.id}/{w}"], one.meta.calls[subject.id])
                for one in sets
                for w in range(plan.WORKERS)
            ]
            samples = min(ASV_SAMPLES, min(len(row) for row in rows))
            found[tools.PYPERF].append(_parts(rows, PYPERF_VALUES))
            found[tools.ASV].append(_parts(rows, samples))
            found[tools.BENCHSTAT].append(_parts(rows, 1))
            key = f"long/{subject.id}"
            single.append([one.rows[key].astype(float) for one in sets if key in one.rows])
        there = len(next(iter(found.values()))[0])
        return cls(found, single, min(count, there // 2))

    def draw(self, tool: str, count: int, seed: Sequence[int]) -> list[tuple[Array, Array]]:
        """Of each cell, base and head of ``count`` comparisons: [comparisons, values].

        The same processes for all cells of a comparison, none of them on both sides.
        """
        rng = np.random.default_rng(seed)
        there = len(next(iter(self.processes.values()))[0])
        order = rng.permuted(np.tile(np.arange(there), (count, 1)), axis=-1)
        sides = order[:, : self.count], order[:, self.count : 2 * self.count]
        return [
            (values[sides[0]].reshape(count, -1), values[sides[1]].reshape(count, -1))
            for values in self.processes[tool]
        ]

    def medians(self, count: int, seed: Sequence[int], share: float = 1.0) -> Any:
        """The same for the tool with a single process a side: the medians it would compare.

        Args:
            share: of each process's time that is used.

        Raises:
            TraceError: a cell has fewer than two such processes.
        """
        if min(len(runs) for runs in self.single) < 2:
            raise TraceError("a cell was measured long in fewer than two launches; record more")
        rng, found = np.random.default_rng(seed), []
        for runs in self.single:
            middle = np.array([np.median(run[: max(1, int(len(run) * share))]) for run in runs])
            pairs = [rng.permutation(len(middle))[:2] for _ in range(count)]
            base, head = middle[np.array(pairs)].T
            found.append((base[:, None], head[:, None]))
        return found

    def single_samples(self, seed: Sequence[int]) -> tuple[list[Array], list[Array]]:
        """One comparison of two single processes a cell, whole: base and head, [1, samples]."""
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
        """The rule's score of each cell with head slower by ``fraction``: [comparisons, cells]."""
        if rule.tool == tools.PYTEST_BENCHMARK:
            drawn = self.medians(count, seed)
        else:
            drawn = self.draw(rule.tool, count, seed)
        return np.stack([rule.score(b, h * (1 + fraction)) for b, h in drawn], axis=-1)


def alarms_by_seconds(others: Others, seed: Sequence[int]) -> dict[str, float]:
    """Seconds a cell in one process → share of unchanged cells that ``median:5%`` fails."""
    found = {}
    for share in (0.2, 0.5, 1.0):
        drawn = others.medians(plan.TRIALS, seed, share)
        said = [tools.percent_slower(base, head) > 5 for base, head in drawn]
        found[f"{share * plan.LONG_SECONDS:g}"] = float(np.mean(said))
    return found


def _parts(rows: Sequence[Array], parts: int) -> Array:
    return np.array([tools.means_of_parts(row, parts) for row in rows])


def tool_figures(
    tuned_on: Others, reported: Others, rate: float, seed: Sequence[int]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Tool → its alarms and power as it is, and at the alarm rate of this suite; and what is not.

    Each setting of a tool is moved on the tuning half until the tool alarms in no more than
    ``rate`` of the suites; ``promise`` is what it then finds of +5 % there.
    """
    found: dict[str, Any] = {tool: {"settings": {}} for tool in tools.TOOLS}
    missing: dict[str, str] = {}
    for rule in tools.rules(reported.count * PYPERF_VALUES):
        entry = found[rule.tool]
        try:
            usual, moved = _setting(rule, tuned_on, reported, rate, seed)
        except TraceError as why:
            missing[rule.tool] = str(why)
            continue
        entry["settings"][rule.setting] = moved
        if "alarms" not in entry:  # the tool's usual setting comes first
            entry.update(usual)
    return {tool: entry for tool, entry in found.items() if entry["settings"]}, missing


def _setting(
    rule: tools.Rule, tuned_on: Others, reported: Others, rate: float, seed: Sequence[int]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A setting's figures as it is, and moved to the alarm rate."""
    before = tuned_on.scores(rule, plan.TRIALS, [*seed, 1], 0.0)
    threshold = tools.matched_threshold(before, rate)
    promise = tuned_on.scores(rule, plan.TRIALS, [*seed, 2], 0.05) > threshold
    unchanged = reported.scores(rule, plan.TRIALS, [*seed, 3], 0.0)
    changed = {f: reported.scores(rule, plan.TRIALS, [*seed, 4], f) for f in plan.SLOWDOWNS}
    usual, moved = (
        {"threshold": limit, "alarms": _alarms(unchanged, limit), "power": _power(changed, limit)}
        for limit in (rule.threshold, threshold)
    )
    return usual, moved | {"promise": float(promise.mean())}


def _alarms(scores: Array, threshold: float) -> dict[str, int]:
    said = scores > threshold
    return {
        "suites": len(said),
        "suite_slower": int(said.any(axis=-1).sum()),
        "comparisons": said.size,
        "slower": int(said.sum()),
    }


def _power(scores: Mapping[float, Array], threshold: float) -> dict[str, Any]:
    return {
        str(fraction): {"of": len(one), "cells": (one > threshold).sum(axis=0).tolist()}
        for fraction, one in scores.items()
    }
