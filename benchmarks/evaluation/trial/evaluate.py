"""Compute every figure of the trial: constants from one half of the traces, rates on the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, rates, replay, replay_tools, traces, tuning
from benchmarks.evaluation.trial.replay import OurSessions
from benchmarks.evaluation.trial.replay_tools import OtherTools
from benchmarks.evaluation.trial.traces import LaunchSet, TraceError
from benchmarks.evaluation.trial.tuning import Constants
from results.statistics import launch_pairs


def evaluate(folder: Path) -> dict[str, Any]:
    """Return all figures of the report, ready to be saved as JSON.

    Raises:
        TraceError: a half has too few sets of a condition, or the traces cannot be read.
    """
    sets = traces.load_all(folder)
    _check(sets, folder)
    tuning_sets = [one for one in sets if one.meta.half == "tuning"]
    grids = {metric: tuning.spread_by_constants(tuning_sets, metric) for metric in plan.METRICS}
    constants = {metric: tuning.least_spread(grid) for metric, grid in grids.items()}
    count = affordable_processes(json.loads((folder / "starts.json").read_text()))
    return {
        "sets": _count_sets(sets),
        "constants": {m: chosen._asdict() for m, chosen in constants.items()},
        "grid": {m: [[*c, sd] for c, sd in grid.items()] for m, grid in grids.items()},
        "turns": [[turn, sd] for turn, sd in tuning.spread_by_turn(tuning_sets).items()],
        "turn": sets[-1].meta.turn,
        "processes": count,
        "conditions": {
            condition: _condition_figures(sets, condition, constants, count)
            for condition in plan.CONDITIONS
        },
    }


def _check(sets: Sequence[LaunchSet], folder: Path) -> None:
    """Raise `TraceError` unless every half has two sets of every condition."""
    for half in plan.HALVES:
        for condition in plan.CONDITIONS:
            if len(replay.select_sets(sets, half, condition)) < 2:
                raise TraceError(
                    f"{folder} holds fewer than 2 sets of the {half} half under {condition}; "
                    "record for longer: python -m benchmarks.evaluation.trial record"
                )


def _count_sets(sets: Sequence[LaunchSet]) -> dict[str, dict[str, int]]:
    """Return the number of sets by half and condition."""
    return {
        h: {c: len(replay.select_sets(sets, h, c)) for c in plan.CONDITIONS} for h in plan.HALVES
    }


def affordable_processes(starts: Mapping[str, float]) -> int:
    """Return how many processes a side and cell fit into half of one decision's time.

    Args:
        starts: cell → seconds until a process of its own is warm.
    """
    each = float(np.mean(list(starts.values()))) + plan.SOLO_SECONDS
    return max(2, int(plan.DECISION_SECONDS / 2 / each))


def pair_seconds(sets: Sequence[LaunchSet]) -> float:
    """Return the mean seconds of a launch pair of this suite, its control included."""
    seconds = [sum(one.meta.seconds[p] for p in ("start", "prepare", "turns")) for one in sets]
    return float(np.mean(seconds))


def affordable_looks(seconds: float) -> tuple[int, ...]:
    """Return the looks (in launch pairs) that a whole comparison has time for; at least one.

    ``seconds`` is the time of one launch pair.
    """
    fitting = [look for look in launch_pairs.LOOKS if look * seconds <= plan.SUITE_SECONDS]
    return tuple(fitting) or launch_pairs.LOOKS[:1]


def _condition_figures(
    sets: Sequence[LaunchSet], condition: str, constants: Mapping[str, Constants], count: int
) -> dict[str, Any]:
    """Return the figures of this suite and of the other tools under one condition.

    Args:
        sets: all sets of launches.
        condition: ``quiet`` or ``bursty``.
        constants: metric → how to summarise a launch.
        count: processes of the other tools on each side.

    Returns:
        Seconds of a launch pair, looks, level of a test, alarms and power by variant, coverage of
        the intervals, and the figures of `_tool_figures`.
    """
    seed = [plan.SEED, plan.CONDITIONS.index(condition)]
    halves = {half: replay.select_sets(sets, half, condition) for half in plan.HALVES}
    seconds = pair_seconds(halves["report"])
    looks = affordable_looks(seconds)
    ours = {
        half: OurSessions.from_sets(members, constants, looks[-1])
        for half, members in halves.items()
    }
    before = replay.our_alarms(ours["tuning"], rates.MAIN, looks, [*seed, 0])
    rate = before["suite_slower"] / before["suites"]
    print(f"{condition}: {seconds:.1f} s a launch pair, looks after {looks}", flush=True)
    figures: dict[str, Any] = {
        "pair_seconds": seconds,
        "looks": looks,
        "level": replay.session_design(plan.METRICS, looks).level,
        "rate_in_tuning": rate,
        "normal_alarms": replay.our_alarms(
            replay.as_normal(ours["report"], [*seed, 6]), rates.MAIN, looks, [*seed, 7]
        )["suite_alarms"],
        "ours": {
            variant: {
                "alarms": replay.our_alarms(ours["report"], variant, looks, [*seed, 1]),
                "power": replay.our_power(ours["report"], variant, looks, [*seed, 2]),
            }
            for variant in replay.VARIANTS
        },
        "coverage": replay.our_coverage(ours["report"], looks, [*seed, 3]),
        "disjoint": replay.disjoint(halves["report"], constants, looks),
    }
    return figures | _tool_figures(halves, count, rate, seed)


def _tool_figures(
    halves: Mapping[str, Sequence[LaunchSet]], count: int, rate: float, seed: Sequence[int]
) -> dict[str, Any]:
    """Return the figures of the other tools under one condition.

    Args:
        halves: half → its sets of launches.
        count: the most processes on each side.
        rate: the share of suites in which this suite alarms, which the tools' thresholds match.
        seed: of the draws.
    """
    tuning_half, report_half = (OtherTools.from_sets(halves[half], count) for half in plan.HALVES)
    smaller = min(tuning_half.count, report_half.count)  # a threshold is only valid for one count
    tuning_half.count = report_half.count = smaller
    figures: dict[str, Any] = {"processes": smaller, "missing": {}}
    figures["tools"], figures["missing"] = replay_tools.tool_figures(
        tuning_half, report_half, rate, [*seed, 4]
    )
    try:
        figures["by_seconds"] = replay_tools.alarms_by_seconds(report_half, [*seed, 5])
    except TraceError as error:
        figures["by_seconds"], figures["missing"]["by_seconds"] = None, str(error)
    return figures


def main(folder: Path) -> None:
    """Evaluate the traces in a folder and write ``replay.json`` beside them."""
    figures = evaluate(folder)
    (folder / "replay.json").write_text(json.dumps(figures, indent=1) + "\n")
