"""Records the traces: sets of fresh launches, quiet and under load in turn, until time is up.

In each set three workers of each framework, all of the same code, are started; each cell is then
measured in turns by the three, as this suite compares two versions, and alone in each of them, as
the other tools do. What is on disk is not recorded again: stopped, it goes on where it was.
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

from benchmarks.evaluation.trial import plan, traces, tuning
from benchmarks.evaluation.trial.plan import Subject
from benchmarks.evaluation.trial.subjects import Subjects
from benchmarks.evaluation.trial.traces import LaunchSet, Meta
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.paths import ROOT

ATTEMPTS = 3  # at a set in which a worker failed
LEAST_TURNS = 4


def record(folder: Path, minutes: float) -> None:
    """Record until ``minutes`` of recording are on disk, those of earlier calls included."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = traces.load_all(folder)
    spent = sum(one.meta.seconds["total"] for one in kept)
    index = max((one.meta.index for one in kept), default=-1) + 1
    if spent >= minutes * 60:
        print(f"{len(kept)} sets, {spent / 60:.1f} min: nothing left to record")
        return
    with Subjects() as subjects:
        _time_lone_starts(folder, subjects)
        # whole pairs of conditions; and the last set may not run over the time there is
        while spent + _longest(kept) <= minutes * 60 or index % 2 or len(kept) < 4:
            half, turn = _stage(kept, spent, index, minutes)
            one = _attempted(subjects, Meta(index, plan.condition_of(index), half, turn))
            traces.save(one, plan.traces_at(folder, index))
            kept.append(one)
            spent, index = spent + one.meta.seconds["total"], index + 1
            print(
                f"set {index} ({one.meta.condition}, {half}): {one.meta.seconds['total']:.0f} s, "
                f"{spent / 60:.1f} of {minutes:g} min",
                flush=True,
            )


def _longest(kept: list[LaunchSet]) -> float:
    return 2 * max((one.meta.seconds["total"] for one in kept), default=0.0)


def _stage(kept: list[LaunchSet], spent: float, index: int, minutes: float) -> tuple[str, float]:
    """Which half a set belongs to, and the length of its turns.

    The tuning half comes first and tries each length; the report half has the best of them. Where
    a recording is made longer later, the halves grow side by side. Both conditions of a pair of
    sets are alike.
    """
    if index % len(plan.CONDITIONS) and kept:
        return kept[-1].meta.half, kept[-1].meta.turn
    halves = {half: [one for one in kept if one.meta.half == half] for half in plan.HALVES}
    tuned_on, reported = halves["tuning"], halves["report"]
    first = not reported and spent + _longest(kept) < minutes * 30
    if not tuned_on or first or len(tuned_on) < len(reported):
        return "tuning", plan.TURNS[(len(tuned_on) // len(plan.CONDITIONS)) % len(plan.TURNS)]
    return "report", reported[0].meta.turn if reported else tuning.best_turn(tuned_on)


def _attempted(subjects: Subjects, meta: Meta) -> LaunchSet:
    for attempt in range(ATTEMPTS):
        try:
            return record_set(subjects, meta)
        except WorkerError as error:
            print(f"set {meta.index + 1}, attempt {attempt + 1}: {error}", flush=True)
            last = error
    raise last


def record_set(subjects: Subjects, meta: Meta) -> LaunchSet:
    """One set of fresh launches, all its cells, in its condition."""
    found = LaunchSet(Meta(meta.index, meta.condition, meta.half, meta.turn))
    rng = np.random.default_rng([plan.SEED, meta.index])
    long = plan.long_subjects(meta.index)
    began = time.perf_counter()
    with neighbour(meta.condition, meta.index), fresh_workers(subjects, found) as workers:
        for subject in subjects.subjects:
            three = workers[subject.framework]
            with spending(found, "prepare"):
                found.meta.calls[subject.id] = subjects.prepare(three, subject)
            with spending(found, "turns"):
                take_turns(found, subject, three, rng)
            with spending(found, "solo"):
                for i, worker in enumerate(three):
                    alone = _alone(found, subject, worker, plan.SOLO_SECONDS)
                    found.rows[f"solo/{subject.id}/{i}"] = alone
            if subject in long:
                with spending(found, "long"):
                    alone = _alone(found, subject, three[0], plan.LONG_SECONDS)
                    found.rows[f"long/{subject.id}"] = alone
    found.meta.seconds["total"] = time.perf_counter() - began
    return found


def take_turns(
    found: LaunchSet, subject: Subject, workers: list[Launch], rng: np.random.Generator
) -> None:
    """The workers in turns, in random order within a round, until each has had its time."""
    taken: list[list[dict[str, list[float]]]] = [[] for _ in workers]
    end = time.perf_counter() + plan.CELL_SECONDS * len(workers)
    while len(taken[0]) < LEAST_TURNS or time.perf_counter() < end:
        for i in rng.permutation(len(workers)):
            taken[i].append(_turn(found, subject, workers[i], found.meta.turn))
    for i, turns in enumerate(taken):
        key = f"turns/{subject.id}/{i}"
        for metric in plan.METRICS:
            found.rows[f"{key}/{metric}"] = np.concatenate([turn[metric] for turn in turns])
        found.rows[f"{key}/lengths"] = np.array([len(turn["wall"]) for turn in turns])


def _alone(found: LaunchSet, subject: Subject, worker: Launch, seconds: float) -> traces.Row:
    return np.array(_turn(found, subject, worker, seconds)["wall"], dtype=np.float32)


def _turn(
    found: LaunchSet, subject: Subject, worker: Launch, seconds: float
) -> dict[str, list[float]]:
    calls = found.meta.calls[subject.id]
    taken: dict[str, list[float]] = worker.ask(
        "turn", name=subject.strategy, calls=calls, seconds=seconds
    )
    return taken


@contextlib.contextmanager
def fresh_workers(subjects: Subjects, found: LaunchSet) -> Iterator[dict[str, list[Launch]]]:
    """Fresh workers of each framework that is needed, all starting at once."""
    frameworks = dict.fromkeys(subject.framework for subject in subjects.subjects)
    workers: dict[str, list[Launch]] = {f: [] for f in frameworks}
    try:
        with spending(found, "start"):
            for framework, started in workers.items():
                for i in range(plan.WORKERS):
                    core = plan.CORES[i % len(plan.CORES)]  # of their own to start on, not to run
                    started.append(subjects.launch(framework, core=core))
            for worker in [one for started in workers.values() for one in started]:
                worker.ready()
        yield workers
    finally:
        for worker in [one for started in workers.values() for one in started]:
            worker.kill()


@contextlib.contextmanager
def spending(found: LaunchSet, what: str) -> Iterator[None]:
    """Add the seconds inside to what the set took for that."""
    start = time.perf_counter()
    yield
    seconds = found.meta.seconds
    seconds[what] = seconds.get(what, 0.0) + time.perf_counter() - start


@contextlib.contextmanager
def neighbour(condition: str, seed: int) -> Iterator[None]:
    """The second process, where the condition has one."""
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
    """What a process of its own for each cell costs the other tools: seconds until it is warm.

    The second of two starts counts: by then JAX finds its programs in the cache.
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
