"""Measure a part of the trial live, under load: real commands on real code, to check the replay.

This suite measures all cells, in sessions that end at the first look. Each other tool measures one
torch and one jax cell, with a third of the processes that a decision has time for. Everything is
measured once with unchanged code, and once with a head that spins for 5 % of the cell's time in
every call.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import (
    plan,
    real,
    recorder,
    replay,
    replay_tools,
    tools,
    traces,
    tuning,
)
from benchmarks.evaluation.trial.plan import OURS, SUBJECTS, Subject
from benchmarks.evaluation.trial.subjects import Subjects
from benchmarks.evaluation.trial.traces import LaunchSet, Meta
from benchmarks.evaluation.trial.tuning import Constants
from benchmarks.harness.launches.launch import WorkerError
from results.statistics import launch_pairs
from results.statistics.verdict import SLOWER

FRACTION = 0.05
# One cell of each framework, limited neither by dispatch nor by the length of a call.
PAIR = tuple(s for s in SUBJECTS if (s.scenario, s.size) == ("conv_cascade", "small"))
PROCESSES, SECONDS = 3, 8.0
LOOKS = launch_pairs.LOOKS[:1]


def run(folder: Path, minutes: float) -> None:
    """Measure every tool, unchanged and slowed, until the time is up, and save ``live.json``.

    Results that the file has already are not measured again.
    """
    path = folder / "live.json"
    done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    planned = [(tool, f) for f in (0.0, FRACTION) for tool in (OURS, *tools.TOOLS)]
    end = time.monotonic() + minutes * 60
    with Subjects() as subjects:
        times = _call_seconds(folder)
        for tool, fraction in planned:
            key = f"{tool} {fraction:g}"
            if key in done or time.monotonic() > end:
                continue
            start = time.monotonic()
            try:
                done[key] = _measure_tool(tool, fraction, subjects, times, folder)
            except (WorkerError, real.CommandFailed, ImportError) as error:
                done[key] = {"missing": str(error)[-500:]}
            done[key]["seconds"] = time.monotonic() - start
            print(f"{key}: {done[key]}", flush=True)
            path.write_text(json.dumps(done, indent=1) + "\n")


def _call_seconds(folder: Path) -> dict[str, float]:
    """Return the usual seconds of a call of each cell, from the quiet traces."""
    quiet = [one for one in traces.load_all(folder) if one.meta.condition == "quiet"]
    logs = tuning.quantile_logs(quiet, "wall", tuning.DEFAULT)
    middle = np.exp(np.median(logs, axis=(0, 1)))
    return {subject.id: float(m) for subject, m in zip(SUBJECTS, middle, strict=True)}


def _measure_tool(
    tool: str, fraction: float, subjects: Subjects, times: Mapping[str, float], folder: Path
) -> dict[str, Any]:
    """Return the cells that a tool calls slower when head spins for part of each call.

    Args:
        tool: this suite or one of `tools.TOOLS`.
        fraction: the part of the usual time of a call that head spins for; 0 for an unchanged head.
        subjects: the cells, with their files.
        times: cell → usual seconds of a call.
        folder: the folder of the trial, with the constants that the replay chose.

    Returns:
        ``cells``, how many were compared, and ``slower``, the ids of those called slower.
    """
    spins = {name: seconds * fraction for name, seconds in times.items()}
    with recorder.neighbour("bursty", 1000 + int(fraction * 100)):
        if tool == OURS:
            return ours(subjects, spins, load_constants(folder))
        if tool == tools.BENCHSTAT:
            return _slower_of_pair(_benchstat(subjects, spins))
        with tempfile.TemporaryDirectory(prefix="cascade-bench-trial-") as temporary:
            return _slower_of_pair(_COMMANDS[tool](Path(temporary), _job(subjects, spins)))


def _slower_of_pair(slower: set[str]) -> dict[str, Any]:
    """Return the number of cells in `PAIR`, and the sorted ids of those that are slower."""
    names = [subject.id for subject in PAIR]
    return {"cells": len(names), "slower": sorted(slower & set(names))}


def load_constants(folder: Path) -> dict[str, Constants]:
    """Return the constants that the replay chose, or the defaults if there was no replay."""
    path = folder / "replay.json"
    if not path.exists():
        return dict.fromkeys(plan.METRICS, tuning.DEFAULT)
    saved = json.loads(path.read_text())["constants"]
    return {metric: Constants(**saved[metric]) for metric in plan.METRICS}


def ours(
    subjects: Subjects, spins: Mapping[str, float], constants: Mapping[str, Constants]
) -> dict[str, Any]:
    """Measure a session of this suite to its first look; head spins in the cells of `PAIR`.

    Args:
        subjects: the cells, with their files.
        spins: cell → seconds to spin in each call.
        constants: metric → how to summarise a launch.

    Returns:
        ``cells`` (a number), ``slower`` (ids), whether the common shift of all cells is slower
        (``everything``), whether base against base stayed inside the margin (``control_held``),
        and the ``ratios`` of all rows.
    """
    d: dict[str, list[Any]] = {metric: [] for metric in plan.METRICS}
    control: dict[str, list[Any]] = {metric: [] for metric in plan.METRICS}
    for index in range(LOOKS[0]):
        pair = _launch_pair(subjects, spins, index)
        for metric in plan.METRICS:
            base, head, second_base = (_samples(pair, w, metric, constants) for w in range(3))
            quantile = constants[metric].quantile
            d[metric].append(launch_pairs.pair_ratios(base, head, quantile))
            control[metric].append(launch_pairs.pair_ratios(base, second_base, quantile))
    stacked = [{m: np.array(v).T[None] for m, v in part.items()} for part in (d, control)]
    session = replay.decide(stacked[0], stacked[1], plan.METRICS, LOOKS)
    verdicts = [replay.calls_slower(session, c, len(plan.METRICS))[0] for c in range(len(SUBJECTS))]
    return {
        "cells": len(SUBJECTS),
        "slower": [s.id for s, slow in zip(SUBJECTS, verdicts, strict=True) if slow],
        "everything": bool((session.verdicts[0, -len(plan.METRICS) :] == SLOWER).any()),
        "control_held": bool(session.control_passed.all()),
        "ratios": np.exp(session.rows.log_ratio[0]).tolist(),
    }


def _samples(
    pair: LaunchSet, worker: int, metric: str, constants: Mapping[str, Constants]
) -> list[traces.Row]:
    """Return a worker's samples of each cell, without those that the constants drop."""
    return [pair.turns(s.id, worker, metric, constants[metric].drop) for s in SUBJECTS]


def _launch_pair(subjects: Subjects, spins: Mapping[str, float], index: int) -> LaunchSet:
    """Measure base, head and the control in fresh workers; return their samples.

    Worker 0 of the result is base, 1 head, 2 the control. ``index`` is the number of the pair: it
    rotates which role starts first.
    """
    pair = LaunchSet(Meta(index, "bursty", "live", plan.TURNS[0]))
    rng = np.random.default_rng([plan.SEED, 99, index])
    with recorder.fresh_workers(subjects, pair) as workers:
        for subject in subjects.subjects:
            rotated = np.roll(np.array(workers[subject.framework], dtype=object), index).tolist()
            pair.meta.calls[subject.id] = subjects.prepare(rotated, subject)
            if subject in PAIR and spins[subject.id]:
                rotated[1].ask("slow", name=subject.strategy, seconds=spins[subject.id])
            recorder.take_turns(pair, subject, rotated, rng)
    return pair


def _benchstat(subjects: Subjects, spins: Mapping[str, float]) -> set[str]:
    """Return the ids of the cells that a U test over launches calls slower.

    Each launch gives one mean, and launches of both sides alternate.
    """
    count = 2 * PROCESSES - 1  # few, but enough for a U test to reach p < 0.05 with some room
    slower = set()
    for subject in PAIR:
        values = [[_lone_value(subjects, subject, s) for s in (0.0, spins[subject.id])]
                  for _ in range(count)]  # fmt: skip
        base, head = np.array(values).T[:, None]
        if tools.one_minus_p(base, head)[0] > 0.95:
            slower.add(subject.id)
    return slower


def _lone_value(subjects: Subjects, subject: Subject, spin: float) -> float:
    """Return the mean seconds of a call in a fresh worker that spins ``spin`` s in each."""
    worker = subjects.launch(subject.framework)
    try:
        calls = subjects.prepare([worker], subject)
        if spin:
            worker.ask("slow", name=subject.strategy, seconds=spin)
        seconds = plan.SOLO_SECONDS
        samples = worker.ask("turn", name=subject.strategy, calls=calls, seconds=seconds)["wall"]
        return float(np.mean(tools.after_warmup(np.array(samples, dtype=np.float32), calls)))
    finally:
        worker.kill()


def _job(subjects: Subjects, spins: Mapping[str, float]) -> dict[str, Any]:
    """Return the job by which the other tools' processes open the cells of `PAIR`; see `cell`."""
    entries = {}
    for subject in PAIR:
        files = subjects.files[subject.problem]
        entries[subject.id] = {
            "framework": subject.framework,
            "phase": subject.phase,
            "strategy": subject.strategy,
            "facts": files.problem_spec,
            "weights": files.weights,
            "data": files.data,
            "cache": subjects.cache,
            "spin": spins[subject.id],
        }
    return {"live": entries, "rounds": PROCESSES, "repeat": replay_tools.ASV_SAMPLES}


def _with_pytest(folder: Path, job: Mapping[str, Any]) -> set[str]:
    """Return the ids of the cells that pytest-benchmark calls slower."""
    long = [f"--benchmark-max-time={SECONDS}", "--benchmark-min-time=0.001"]
    return real.pytest_benchmark(folder, job, long)


def _with_pyperf(folder: Path, job: Mapping[str, Any]) -> set[str]:
    """Return the ids of the cells that pyperf calls slower."""
    return real.pyperf_run(folder, job, PROCESSES)


_COMMANDS: dict[str, Callable[[Path, Mapping[str, Any]], set[str]]] = {
    tools.PYTEST_BENCHMARK: _with_pytest,
    tools.PYPERF: _with_pyperf,
    tools.ASV: real.asv_continuous,
}
