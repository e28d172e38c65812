"""Record the traces: sets of fresh launches, quiet and under load in turn, until time is up.

Each set starts three workers of each framework, all of the same code. They measure each cell in
turns, as this suite compares two versions, and each of them measures it alone, as the other tools
do. Sets on disk are not recorded again, so a stopped recording can be continued.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.evaluation.trial import machines, plan, traces, tuning
from benchmarks.evaluation.trial.plan import Subject
from benchmarks.evaluation.trial.subjects import Subjects
from benchmarks.evaluation.trial.traces import LaunchSet, Meta
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.paths import ROOT

ATTEMPTS = 3  # to record a set in which a worker fails
LEAST_TURNS = 4


def record(folder: Path, minutes: float) -> None:
    """Record until the sets on disk, those of earlier calls included, have taken ``minutes``.

    Raises:
        TraceError: the folder holds traces of another machine.
    """
    machines.identify(folder)
    sets = traces.load_all(folder)
    spent = sum(one.meta.seconds["total"] for one in sets)
    index = max((one.meta.index for one in sets), default=-1) + 1
    if spent >= minutes * 60:
        print(f"{len(sets)} sets, {spent / 60:.1f} min: nothing left to record")
        return
    with Subjects() as subjects:
        _time_lone_starts(folder, subjects)
        # both conditions equally often; and the last set must end within the time
        while spent + _longest(sets) <= minutes * 60 or index % 2 or len(sets) < 4:
            half, turn = _stage(sets, spent, index, minutes)
            one = _record_with_retries(subjects, Meta(index, plan.condition_of(index), half, turn))
            traces.save(one, plan.traces_at(folder, index))
            sets.append(one)
            spent, index = spent + one.meta.seconds["total"], index + 1
            print(
                f"set {index} ({one.meta.condition}, {half}): {one.meta.seconds['total']:.0f} s, "
                f"{spent / 60:.1f} of {minutes:g} min",
                flush=True,
            )


def _longest(sets: list[LaunchSet]) -> float:
    """Return the seconds to reserve for the next two sets: twice the longest set so far."""
    return 2 * max((one.meta.seconds["total"] for one in sets), default=0.0)


def _stage(sets: list[LaunchSet], spent: float, index: int, minutes: float) -> tuple[str, float]:
    """Return the half that the next set belongs to, and the length of its turns.

    The tuning half comes first and tries each length; the report half has the best of them. If a
    finished recording is made longer later, both halves grow. Both conditions of a pair of sets
    have the same half and length.
    """
    if index % len(plan.CONDITIONS) and sets:
        return sets[-1].meta.half, sets[-1].meta.turn
    halves = {half: [one for one in sets if one.meta.half == half] for half in plan.HALVES}
    tuning_sets, report_sets = halves["tuning"], halves["report"]
    first = not report_sets and spent + _longest(sets) < minutes * 30
    if not tuning_sets or first or len(tuning_sets) < len(report_sets):
        return "tuning", plan.TURNS[(len(tuning_sets) // len(plan.CONDITIONS)) % len(plan.TURNS)]
    return "report", report_sets[0].meta.turn if report_sets else tuning.least_spread_turn(
        tuning_sets
    )


def _record_with_retries(subjects: Subjects, meta: Meta) -> LaunchSet:
    """Record a set and return it; record it again if a worker fails, `ATTEMPTS` in all."""
    for attempt in range(ATTEMPTS):
        try:
            return record_set(subjects, meta)
        except WorkerError as error:
            print(f"set {meta.index + 1}, attempt {attempt + 1}: {error}", flush=True)
            last = error
    raise last


def record_set(subjects: Subjects, meta: Meta) -> LaunchSet:
    """Record one set of fresh launches: all cells, under the condition in ``meta``.

    ``meta`` describes the set to record. The set that is returned has a copy of it, with times and
    calls.
    """
    launch_set = LaunchSet(Meta(meta.index, meta.condition, meta.half, meta.turn))
    rng = np.random.default_rng([plan.SEED, meta.index])
    long = plan.long_subjects(meta.index)
    began = time.perf_counter()
    with neighbour(meta.condition, meta.index), fresh_workers(subjects, launch_set) as workers:
        for subject in subjects.subjects:
            group = workers[subject.framework]
            with spending(launch_set, "prepare"):
                launch_set.meta.calls[subject.id] = subjects.prepare(group, subject)
            with spending(launch_set, "turns"):
                take_turns(launch_set, subject, group, rng)
            with spending(launch_set, "solo"):
                for i, worker in enumerate(group):
                    alone = _alone(launch_set, subject, worker, plan.SOLO_SECONDS)
                    launch_set.rows[f"solo/{subject.id}/{i}"] = alone
            if subject in long:
                with spending(launch_set, "long"):
                    alone = _alone(launch_set, subject, group[0], plan.LONG_SECONDS)
                    launch_set.rows[f"long/{subject.id}"] = alone
    launch_set.meta.seconds["total"] = time.perf_counter() - began
    return launch_set


def take_turns(
    launch_set: LaunchSet, subject: Subject, workers: list[Launch], rng: np.random.Generator
) -> None:
    """Let the workers measure in turns, in random order within a round, and store the samples.

    Every worker gets `plan.CELL_SECONDS`, and at least `LEAST_TURNS` turns.
    """
    samples: list[list[dict[str, list[float]]]] = [[] for _ in workers]
    end = time.perf_counter() + plan.CELL_SECONDS * len(workers)
    while len(samples[0]) < LEAST_TURNS or time.perf_counter() < end:
        for i in rng.permutation(len(workers)):
            samples[i].append(_turn(launch_set, subject, workers[i], launch_set.meta.turn))
    for i, turns in enumerate(samples):
        key = f"turns/{subject.id}/{i}"
        for metric in plan.METRICS:
            launch_set.rows[f"{key}/{metric}"] = np.concatenate([turn[metric] for turn in turns])
        launch_set.rows[f"{key}/lengths"] = np.array([len(turn["wall"]) for turn in turns])


def _alone(launch_set: LaunchSet, subject: Subject, worker: Launch, seconds: float) -> traces.Row:
    """Return the samples of a worker that measures the cell alone for some seconds."""
    return np.array(_turn(launch_set, subject, worker, seconds)["wall"], dtype=np.float32)


def _turn(
    launch_set: LaunchSet, subject: Subject, worker: Launch, seconds: float
) -> dict[str, list[float]]:
    """Let a worker measure for some seconds; return metric → samples in seconds per call."""
    calls = launch_set.meta.calls[subject.id]
    samples: dict[str, list[float]] = worker.ask(
        "turn", name=subject.strategy, calls=calls, seconds=seconds
    )
    return samples


@contextlib.contextmanager
def fresh_workers(subjects: Subjects, launch_set: LaunchSet) -> Iterator[dict[str, list[Launch]]]:
    """Start workers of each framework that is needed, and yield framework → workers.

    They start all at once; when the context ends they are killed.
    """
    frameworks = dict.fromkeys(subject.framework for subject in subjects.subjects)
    workers: dict[str, list[Launch]] = {f: [] for f in frameworks}
    try:
        with spending(launch_set, "start"):
            for framework, started in workers.items():
                for i in range(plan.WORKERS):
                    core = plan.CORES[
                        i % len(plan.CORES)
                    ]  # each starts on another core; all measure on one
                    started.append(subjects.launch(framework, core=core))
            for worker in [one for started in workers.values() for one in started]:
                worker.wait_until_ready()
        yield workers
    finally:
        for worker in [one for started in workers.values() for one in started]:
            worker.kill()


@contextlib.contextmanager
def spending(launch_set: LaunchSet, activity: str) -> Iterator[None]:
    """Add the seconds spent inside to the set's time for this activity."""
    start = time.perf_counter()
    yield
    seconds = launch_set.meta.seconds
    seconds[activity] = seconds.get(activity, 0.0) + time.perf_counter() - start


@contextlib.contextmanager
def neighbour(condition: str, seed: int) -> Iterator[None]:
    """Run the second process during the context, if the condition has one."""
    if condition == "quiet":
        yield
        return
    command = [sys.executable, "-m", "benchmarks.evaluation.trial.load", str(seed)]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _time_lone_starts(folder: Path, subjects: Subjects) -> None:
    """Save how long a process of its own for each cell takes until it is warm, in seconds.

    The other tools pay this for every process. The second of two starts counts: by then JAX finds
    its programs in the cache.
    """
    path = folder / "starts.json"
    if path.exists():
        return
    seconds = {}
    for subject in subjects.subjects:
        for _ in range(2):
            start = time.perf_counter()
            worker = subjects.launch(subject.framework)
            try:
                subjects.prepare([worker], subject)
            finally:
                worker.kill()
            seconds[subject.id] = time.perf_counter() - start
    path.write_text(json.dumps(seconds, indent=2) + "\n")
