"""Every figure of the trial from its traces: constants from one half, rates on the other."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, rates, replay, traces, tuning
from benchmarks.evaluation.trial.replay import Others, Ours
from benchmarks.evaluation.trial.traces import LaunchSet, TraceError
from benchmarks.evaluation.trial.tuning import Constants
from results.statistics import launch_pairs


def evaluate(folder: Path) -> dict[str, Any]:
    """Everything the report tells of, as JSON.

    Raises:
        TraceError: a half lacks sets of a condition, or the traces cannot be read.
    """
    sets = traces.load_all(folder)
    _check(sets, folder)
    tuned_on = [one for one in sets if one.meta.half == "tuning"]
    grids = {metric: tuning.grid(tuned_on, metric) for metric in plan.METRICS}
    constants = {metric: tuning.best(found) for metric, found in grids.items()}
    count = processes(json.loads((folder / "starts.json").read_text()))
    return {
        "sets": _counted(sets),
        "constants": {m: found._asdict() for m, found in constants.items()},
        "grid": {m: [[*c, sd] for c, sd in found.items()] for m, found in grids.items()},
        "turns": [[turn, sd] for turn, sd in tuning.by_turn(tuned_on).items()],
        "turn": sets[-1].meta.turn,
        "processes": count,
        "conditions": {
            condition: _condition(sets, condition, constants, count)
            for condition in plan.CONDITIONS
        },
    }


def _check(sets: Sequence[LaunchSet], folder: Path) -> None:
    for half in plan.HALVES:
        for condition in plan.CONDITIONS:
            if len(replay.chosen(sets, half, condition)) < 2:
                raise TraceError(
                    f"{folder} holds fewer than 2 sets of the {half} half under {condition}; "
                    "record for longer: python -m benchmarks.evaluation.trial record"
                )


def _counted(sets: Sequence[LaunchSet]) -> dict[str, dict[str, int]]:
    return {h: {c: len(replay.chosen(sets, h, c)) for c in plan.CONDITIONS} for h in plan.HALVES}


def processes(starts: Mapping[str, float]) -> int:
    """Processes a version and cell that fit into half a decision, for tools that use many."""
    each = float(np.mean(list(starts.values()))) + plan.SOLO_SECONDS
    return max(2, int(plan.DECISION_SECONDS / 2 / each))


def pair_seconds(sets: Sequence[LaunchSet]) -> float:
    """What one launch pair of this suite takes, its control included."""
    took = [sum(one.meta.seconds[p] for p in ("start", "prepare", "turns")) for one in sets]
    return float(np.mean(took))


def affordable(seconds: float) -> tuple[int, ...]:
    """The looks that fit into the time of a whole-suite comparison; the first in any case."""
    fitting = [look for look in launch_pairs.LOOKS if look * seconds <= plan.SUITE_SECONDS]
    return tuple(fitting) or launch_pairs.LOOKS[:1]


def _condition(
    sets: Sequence[LaunchSet], condition: str, constants: Mapping[str, Constants], count: int
) -> dict[str, Any]:
    seed = [plan.SEED, plan.CONDITIONS.index(condition)]
    halves = {half: replay.chosen(sets, half, condition) for half in plan.HALVES}
    seconds = pair_seconds(halves["report"])
    looks = affordable(seconds)
    ours = {half: Ours.of(found, constants, looks[-1]) for half, found in halves.items()}
    before = replay.our_alarms(ours["tuning"], rates.MAIN, looks, [*seed, 0])
    rate = before["suite_slower"] / before["suites"]
    print(f"{condition}: {seconds:.1f} s a launch pair, looks after {looks}", flush=True)
    found: dict[str, Any] = {
        "pair_seconds": seconds,
        "looks": looks,
        "level": replay.design(plan.METRICS, looks).level,
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
    return found | _others(halves, count, rate, seed)


def _others(
    halves: Mapping[str, Sequence[LaunchSet]], count: int, rate: float, seed: Sequence[int]
) -> dict[str, Any]:
    tuned_on, reported = (Others.of(halves[half], count) for half in plan.HALVES)
    smaller = min(tuned_on.count, reported.count)  # thresholds only mean the same at one size
    tuned_on.count = reported.count = smaller
    found: dict[str, Any] = {"processes": smaller, "missing": {}}
    found["tools"], found["missing"] = replay.tool_figures(tuned_on, reported, rate, [*seed, 4])
    try:
        found["by_seconds"] = replay.alarms_by_seconds(reported, [*seed, 5])
    except TraceError as why:
        found["by_seconds"], found["missing"]["by_seconds"] = None, str(why)
    return found


def main(folder: Path) -> None:
    """Write ``replay.json`` beside the traces."""
    found = evaluate(folder)
    (folder / "replay.json").write_text(json.dumps(found, indent=1) + "\n")
