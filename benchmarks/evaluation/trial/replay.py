"""Replay decisions of this suite and of the other tools on recorded traces, at equal wall time.

Sessions are drawn with replacement from the sets of launches of one half. In every launch pair the
three workers get their roles (base, head, control) at random. All three ran the same code, so the
true ratio is exactly 1. A slowdown is a factor on head's times.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.evaluation.trial import plan, tuning
from benchmarks.evaluation.trial.traces import LaunchSet
from benchmarks.evaluation.trial.tuning import Constants
from results.statistics import common_mode, launch_pairs, verdict
from results.statistics.estimators import Array
from results.statistics.launch_pairs import Decision, Design
from results.statistics.verdict import FASTER, SLOWER

CELLS = len(plan.SUBJECTS)
# The metrics that decide, and the rows that a control outside the margin makes inconclusive: all
# rows of its group, or its own row alone.
VARIANTS = {
    "wall and CPU": (plan.METRICS, "group"),
    "wall": (("wall",), "group"),
    "CPU": (("cpu",), "group"),
    "wall and CPU, control by row": (plan.METRICS, "row"),
}


def select_sets(sets: Sequence[LaunchSet], half: str, condition: str) -> list[LaunchSet]:
    """Return the sets of one half that were recorded under one condition."""
    return [one for one in sets if (one.meta.half, one.meta.condition) == (half, condition)]


# How this suite decides


@dataclass
class OurSessions:
    """Draw sessions of this suite from recorded launches.

    ``logs`` maps a metric to log times [sets, workers, cells]; ``pairs`` is the number of launch
    pairs in a session.
    """

    logs: Mapping[str, Array]
    pairs: int

    @classmethod
    def from_sets(
        cls, sets: Sequence[LaunchSet], constants: Mapping[str, Constants], pairs: int
    ) -> OurSessions:
        """Make it from recorded sets.

        Args:
            sets: the sets of launches to draw from.
            constants: metric → how to summarise a launch's samples as one time.
            pairs: launch pairs in a session.
        """
        return cls({m: tuning.quantile_logs(sets, m, constants[m]) for m in plan.METRICS}, pairs)

    def draw(self, count: int, seed: Sequence[int]) -> tuple[dict[str, Array], dict[str, Array]]:
        """Draw ``count`` unchanged sessions.

        Returns:
            Log ratios of head to base, and of the control to base: metric → [sessions, cells,
            pairs].
        """
        rng = np.random.default_rng(seed)
        sets, workers, _ = next(iter(self.logs.values())).shape
        indices = rng.integers(sets, size=(count, self.pairs))
        roles = rng.permuted(np.tile(np.arange(workers), (count, self.pairs, 1)), axis=-1)
        d, control = {}, {}
        for metric, logs in self.logs.items():
            base, head, control_logs = (logs[indices, roles[..., i]] for i in range(3))
            d[metric] = np.swapaxes(head - base, -1, -2)
            control[metric] = np.swapaxes(control_logs - base, -1, -2)
        return d, control


def as_normal(ours: OurSessions, seed: Sequence[int]) -> OurSessions:
    """Return sessions in which normal noise of the same spread replaces the launches.

    Alarms that these sessions do not raise come from the tails of the real distribution.
    """
    rng = np.random.default_rng(seed)
    drawn = {}
    for metric, logs in ours.logs.items():
        wide = (logs - logs.mean(axis=1, keepdims=True)).std(axis=(0, 1)) * np.sqrt(1.5)
        drawn[metric] = rng.normal(0.0, 1.0, (400, *logs.shape[1:])) * wide
    return OurSessions(drawn, ours.pairs)


def session_design(
    metrics: Sequence[str], looks: tuple[int, ...], control: str = "group"
) -> Design:
    """Return the design of a session, in which each metric is one group of rows.

    Args:
        metrics: the metrics that decide.
        looks: launch pairs after which the session is tested.
        control: whether a control outside the margin concerns its ``group`` of rows or its ``row``.
    """
    groups = tuple(i for i in range(len(metrics)) for _ in range(CELLS))
    return Design(groups, looks, control=control)


def decide(
    d: Mapping[str, Array],
    control: Mapping[str, Array],
    metrics: Sequence[str],
    looks: tuple[int, ...],
    by: str = "group",
) -> Decision:
    """Return the decision of each session by these metrics: verdicts, ratios, pairs taken.

    Args:
        d: log ratios of head to base: metric → [sessions, cells, pairs].
        control: the same of the control to base.
        metrics: which of the metrics decide.
        looks: launch pairs after which the sessions are tested.
        by: whether a control outside the margin concerns its ``group`` of rows or its ``row``.
    """
    joined = [np.concatenate([part[m] for m in metrics], axis=-2) for part in (d, control)]
    return launch_pairs.decide(joined[0], joined[1], session_design(metrics, looks, by))


def slow_down(d: Mapping[str, Array], cells: Sequence[int], fraction: float) -> dict[str, Array]:
    """Return the log ratios ``d`` with head slower by this fraction in these cells.

    ``d`` maps a metric to [sessions, cells, pairs]; ``cells`` are indices.
    """
    figures = {metric: values.copy() for metric, values in d.items()}
    for values in figures.values():
        values[:, cells] += np.log1p(fraction)
    return figures


def calls_slower(session: Decision, cell: int, metrics: int) -> NDArray[np.bool_]:
    """Return whether each session calls the cell slower in any metric: [sessions].

    ``cell`` is the index of the cell, ``metrics`` the number of metrics that decide.
    """
    rows = [cell + CELLS * i for i in range(metrics)]
    figures: NDArray[np.bool_] = (session.verdicts[..., rows] == SLOWER).any(axis=-1)
    return figures


def our_alarms(ours: OurSessions, variant: str, looks: tuple[int, ...], seed: Sequence[int]) -> Any:
    """Return counts of the verdicts of unchanged sessions, each of which is a false alarm.

    Args:
        ours: the sessions to draw from.
        variant: a key of `VARIANTS`.
        looks: launch pairs after which a session is tested.
        seed: of the draws.

    Returns:
        ``suites`` drawn; with any verdict slower or faster, ``suite_alarms``; with any slower,
        ``suite_slower``; single ``comparisons``, and ``slower`` ones; suites with an alarm of the
        shift that all cells share, ``common_alarms``; the share of rows called ``equal``; the mean
        number of launch ``pairs``; the share of suites whose control left the margin,
        ``control_left``.
    """
    metrics, by = VARIANTS[variant]
    d, control = ours.draw(plan.TRIALS, seed)
    session = decide(d, control, metrics, looks, by)
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
        "control_left": float(np.mean(~session.control_passed.all(axis=-1))),
    }


def our_power(ours: OurSessions, variant: str, looks: tuple[int, ...], seed: Sequence[int]) -> Any:
    """Return for each slowdown how often this suite finds it.

    The arguments are those of `our_alarms`. Of ``of`` sessions each, ``cells`` has for each cell in
    how many it was found when it alone was slowed, and ``everything`` in how many the common shift
    was found when all cells were.
    """
    (metrics, by), count = VARIANTS[variant], plan.TRIALS // 4
    figures = {}
    for fraction in plan.SLOWDOWNS:
        cells = []
        for cell in range(CELLS):
            d, control = ours.draw(count, [*seed, cell])
            session = decide(slow_down(d, [cell], fraction), control, metrics, looks, by)
            cells.append(int(calls_slower(session, cell, len(metrics)).sum()))
        d, control = ours.draw(count, [*seed, CELLS])
        session = decide(slow_down(d, range(CELLS), fraction), control, metrics, looks, by)
        common = session.verdicts[:, len(metrics) * CELLS :] == SLOWER
        figures[str(fraction)] = {
            "of": count,
            "cells": cells,
            "everything": int(common.any(axis=-1).sum()),
        }
    return figures


def our_coverage(ours: OurSessions, looks: tuple[int, ...], seed: Sequence[int]) -> Any:
    """Return the share of unchanged sessions whose 95 % interval contains a ratio of 1.

    Returns:
        metric → launch pairs → the share of each row.
    """
    figures: dict[str, Any] = {}
    d, _ = ours.draw(plan.TRIALS, seed)
    for metric in plan.METRICS:
        figures[metric] = {}
        for pairs in looks:
            rows = common_mode.estimate(d[metric][..., :pairs], (0,) * CELLS)
            covered = np.abs(rows.log_ratio) <= verdict.half_widths(rows)
            figures[metric][str(pairs)] = covered.mean(axis=0).tolist()
    return figures


def disjoint(sets: Sequence[LaunchSet], constants: Mapping[str, Constants], looks: Any) -> Any:
    """Count alarms of unchanged sessions that share no launch, with the roles as recorded.

    There are few of these, so each ends at its first look. Returned are the number of sessions,
    ``suites``, and of those with an alarm, ``suite_alarms``.
    """
    size, ours = looks[0], OurSessions.from_sets(sets, constants, looks[0])
    alarms, count = 0, len(sets) // size
    for start in range(0, count * size, size):
        cut = {m: logs[start : start + size] for m, logs in ours.logs.items()}
        d = {m: (x[:, 1] - x[:, 0]).T[None] for m, x in cut.items()}
        control = {m: (x[:, 2] - x[:, 0]).T[None] for m, x in cut.items()}
        verdicts = decide(d, control, plan.METRICS, (size,)).verdicts
        alarms += int(np.isin(verdicts, (SLOWER, FASTER)).any())
    return {"suites": count, "suite_alarms": alarms}
