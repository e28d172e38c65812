"""A subset run live, under load: real commands on real code, to hold the replay to.

Sessions of this suite over all cells, ending at the first look; each other tool on one torch and
one jax cell with a third of the processes that a decision has time for. Unchanged, then with a
head that spins 5 % of the cell's time in every call.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, real, recorder, replay, tools, traces, tuning
from benchmarks.evaluation.trial.plan import OURS, SUBJECTS, Subject
from benchmarks.evaluation.trial.subjects import Subjects
from benchmarks.evaluation.trial.traces import LaunchSet, Meta
from benchmarks.evaluation.trial.tuning import Constants
from benchmarks.harness.launches.launch import WorkerError
from results.statistics import launch_pairs
from results.statistics.verdict import SLOWER

FRACTION = 0.05
# One of each framework that neither dispatch nor a long call rules.
PAIR = tuple(s for s in SUBJECTS if (s.scenario, s.size) == ("conv_cascade", "small"))
PROCESSES, SECONDS = 3, 8.0
LOOKS = launch_pairs.LOOKS[:1]


def run(folder: Path, minutes: float) -> None:
    """Every tool, unchanged and slowed, until the time is up; what is done is not done again."""
    path = folder / "live.json"
    done: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    wanted = [(tool, f) for f in (0.0, FRACTION) for tool in (OURS, *tools.TOOLS)]
    end = time.monotonic() + minutes * 60
    with Subjects() as subjects:
        times = _seconds_of_cells(folder)
        for tool, fraction in wanted:
            key = f"{tool} {fraction:g}"
            if key in done or time.monotonic() > end:
                continue
            start = time.monotonic()
            try:
                done[key] = _one(tool, fraction, subjects, times, folder)
            except (WorkerError, real.CommandFailed, ImportError) as why:
                done[key] = {"missing": str(why)[-500:]}
            done[key]["seconds"] = time.monotonic() - start
            print(f"{key}: {done[key]}", flush=True)
            path.write_text(json.dumps(done, indent=1) + "\n")


def _seconds_of_cells(folder: Path) -> dict[str, float]:
    """A call's usual seconds, to spin a fraction of."""
    quiet = [one for one in traces.load_all(folder) if one.meta.condition == "quiet"]
    logs = tuning.quantile_logs(quiet, "wall", tuning.DEFAULT)
    middle = np.exp(np.median(logs, axis=(0, 1)))
    return {subject.id: float(m) for subject, m in zip(SUBJECTS, middle, strict=True)}


def _one(
    tool: str, fraction: float, subjects: Subjects, times: Mapping[str, float], folder: Path
) -> dict[str, Any]:
    spins = {name: seconds * fraction for name, seconds in times.items()}
    with recorder.neighbour("bursty", 1000 + int(fraction * 100)):
        if tool == OURS:
            return ours(subjects, spins, chosen_constants(folder))
        if tool == tools.BENCHSTAT:
            return _named(_benchstat(subjects, spins))
        with tempfile.TemporaryDirectory(prefix="cascade-bench-trial-") as kept:
            return _named(_COMMANDS[tool](Path(kept), _job(subjects, spins)))


def _named(slower: set[str]) -> dict[str, Any]:
    names = [subject.id for subject in PAIR]
    return {"cells": len(names), "slower": sorted(slower & set(names))}


def chosen_constants(folder: Path) -> dict[str, Constants]:
    """The constants of the replay; the usual ones where none has been made."""
    path = folder / "replay.json"
    if not path.exists():
        return dict.fromkeys(plan.METRICS, tuning.DEFAULT)
    found = json.loads(path.read_text())["constants"]
    return {metric: Constants(**found[metric]) for metric in plan.METRICS}


def ours(
    subjects: Subjects, spins: Mapping[str, float], constants: Mapping[str, Constants]
) -> dict[str, Any]:
    """A session of this suite to its first look; head spins in the cells of `PAIR`."""
    d: dict[str, list[Any]] = {metric: [] for metric in plan.METRICS}
    control: dict[str, list[Any]] = {metric: [] for metric in plan.METRICS}
    for index in range(LOOKS[0]):
        pair = _launch_pair(subjects, spins, index)
        for metric in plan.METRICS:
            base, head, again = (_samples(pair, w, metric, constants) for w in range(3))
            quantile = constants[metric].quantile
            d[metric].append(launch_pairs.pair_ratios(base, head, quantile))
            control[metric].append(launch_pairs.pair_ratios(base, again, quantile))
    stacked = [{m: np.array(v).T[None] for m, v in part.items()} for part in (d, control)]
    session = replay.decided(stacked[0], stacked[1], plan.METRICS, LOOKS)
    said = [replay.calls_slower(session, c, len(plan.METRICS))[0] for c in range(len(SUBJECTS))]
    return {
        "cells": len(SUBJECTS),
        "slower": [s.id for s, slow in zip(SUBJECTS, said, strict=True) if slow],
        "everything": bool((session.verdicts[0, -len(plan.METRICS) :] == SLOWER).any()),
        "control_held": bool(session.control_held.all()),
        "ratios": np.exp(session.rows.log_ratio[0]).tolist(),
    }


def _samples(
    pair: LaunchSet, worker: int, metric: str, constants: Mapping[str, Constants]
) -> list[traces.Row]:
    return [pair.turns(s.id, worker, metric, constants[metric].drop) for s in SUBJECTS]


def _launch_pair(subjects: Subjects, spins: Mapping[str, float], index: int) -> LaunchSet:
    """Base, head and base again, fresh; who is started first goes round."""
    pair = LaunchSet(Meta(index, "bursty", "live", plan.TURNS[0]))
    rng = np.random.default_rng([plan.SEED, 99, index])
    with recorder.fresh_workers(subjects, pair) as workers:
        for subject in subjects.subjects:
            three = np.roll(np.array(workers[subject.framework], dtype=object), index).tolist()
            pair.meta.calls[subject.id] = subjects.prepare(three, subject)
            if subject in PAIR and spins[subject.id]:
                three[1].ask("slow", name=subject.strategy, seconds=spins[subject.id])
            recorder.take_turns(pair, subject, three, rng)
    return pair


def _benchstat(subjects: Subjects, spins: Mapping[str, float]) -> set[str]:
    """One mean a launch, launches of the two sides in turn, then the U test."""
    count = 2 * PROCESSES - 1  # the fewest of which a U test can ever say p < 0.05 with some room
    slower = set()
    for subject in PAIR:
        values = [[_lone_value(subjects, subject, s) for s in (0.0, spins[subject.id])]
                  for _ in range(count)]  # fmt: skip
        base, head = np.array(values).T[:, None]
        if tools.one_minus_p(base, head)[0] > 0.95:
            slower.add(subject.id)
    return slower


def _lone_value(subjects: Subjects, subject: Subject, spin: float) -> float:
    worker = subjects.launch(subject.framework)
    try:
        calls = subjects.prepare([worker], subject)
        if spin:
            worker.ask("slow", name=subject.strategy, seconds=spin)
        seconds = plan.SOLO_SECONDS
        taken = worker.ask("turn", name=subject.strategy, calls=calls, seconds=seconds)["wall"]
        return float(np.mean(tools.after_warmup(np.array(taken, dtype=np.float32), calls)))
    finally:
        worker.kill()


def _job(subjects: Subjects, spins: Mapping[str, float]) -> dict[str, Any]:
    """What the other tools' processes need to open the real cells themselves."""
    entries = {}
    for subject in PAIR:
        files = subjects.files[subject.problem]
        entries[subject.id] = {
            "framework": subject.framework,
            "phase": subject.phase,
            "strategy": subject.strategy,
            "facts": files.facts,
            "weights": files.weights,
            "data": files.data,
            "cache": subjects.cache,
            "spin": spins[subject.id],
        }
    return {"live": entries, "rounds": PROCESSES, "repeat": replay.ASV_SAMPLES}


def _with_pytest(folder: Path, job: Mapping[str, Any]) -> set[str]:
    long = [f"--benchmark-max-time={SECONDS}", "--benchmark-min-time=0.001"]
    return real.pytest_benchmark(folder, job, long)


def _with_pyperf(folder: Path, job: Mapping[str, Any]) -> set[str]:
    return real.pyperf_run(folder, job, PROCESSES)


_COMMANDS: dict[str, Callable[[Path, Mapping[str, Any]], set[str]]] = {
    tools.PYTEST_BENCHMARK: _with_pytest,
    tools.PYPERF: _with_pyperf,
    tools.ASV: real.asv_continuous,
}
