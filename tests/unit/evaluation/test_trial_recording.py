"""Test the trial's recorder: the sets it records, their time, and its workers."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest

from benchmarks.evaluation.trial import __main__, load, plan, recorder, replay, traces
from benchmarks.evaluation.trial.subjects import Subjects, WrongGradients
from benchmarks.evaluation.trial.traces import LaunchSet, Meta
from benchmarks.evaluation.trial.worker import Slowed
from benchmarks.harness.launches.launch import WorkerCrashed
from benchmarks.harness.worker import clock
from tests.helpers.factories import traces as made_traces
from tests.helpers.fake_framework import FAKES

# Recording


def test_each_cell_is_measured_long_as_often_as_the_others() -> None:
    for condition in plan.CONDITIONS:
        indices = [i for i in range(16) if plan.condition_of(i) == condition]
        named = [s for i in indices for s in plan.long_subjects(i)]
        assert {named.count(subject) for subject in plan.SUBJECTS} == {2}


def test_bursts_follow_from_the_seed_and_keep_their_range() -> None:
    bursts = list(itertools.islice(load.bursts(5), 400))
    assert bursts == list(itertools.islice(load.bursts(5), 400))
    assert bursts != list(itertools.islice(load.bursts(6), 400))
    lengths = [seconds for _, seconds in bursts]
    assert plan.BURST[0] <= min(lengths) < 0.3
    assert 2.5 < max(lengths) <= plan.BURST[1]
    assert [on for on, _ in bursts[:4]] in ([True, False] * 2, [False, True] * 2)


class NoSubjects:
    """Replace the trial's cells where nothing is measured."""

    def __enter__(self) -> NoSubjects:
        return self

    def __exit__(self, *_: object) -> None: ...


@pytest.fixture
def recorded_metas(monkeypatch: pytest.MonkeyPatch) -> list[Meta]:
    """Replace the recording of a set by a synthetic set of 40 s; the third call fails."""
    metas: list[Meta] = []

    def record_set(_: Any, meta: Meta) -> LaunchSet:
        metas.append(meta)
        if len(metas) == 3:
            raise WorkerCrashed("the worker ended")
        one = made_traces.launch_set(meta.index, meta.half, np.random.default_rng(meta.index))
        one.meta.turn = meta.turn
        return one

    monkeypatch.setattr(recorder, "record_set", record_set)
    monkeypatch.setattr(recorder, "Subjects", NoSubjects)
    monkeypatch.setattr(recorder, "_time_lone_starts", lambda *_: None)
    return metas


def test_recording_keeps_to_its_time_and_halves(tmp_path: Path, recorded_metas: list[Meta]) -> None:
    recorder.record(tmp_path, 12.0)
    sets = traces.load_all(tmp_path)
    assert sum(one.meta.seconds["total"] for one in sets) <= 12 * 60
    assert len(recorded_metas) == len(sets) + 1  # one crashed, and was tried again
    counts = [
        len(replay.select_sets(sets, half, c)) for half in plan.HALVES for c in plan.CONDITIONS
    ]
    assert max(counts) - min(counts) <= 1
    assert {one.meta.turn for one in sets if one.meta.half == "tuning"} == set(plan.TURNS)
    assert len({one.meta.turn for one in sets if one.meta.half == "report"}) == 1


def test_recording_goes_on_where_it_was(tmp_path: Path, recorded_metas: list[Meta]) -> None:
    recorder.record(tmp_path, 6.0)
    first = len(traces.load_all(tmp_path))
    before = len(recorded_metas)
    recorder.record(tmp_path, 6.0)
    assert len(recorded_metas) == before
    recorder.record(tmp_path, 10.0)
    sets = traces.load_all(tmp_path)
    assert [one.meta.index for one in sets] == list(range(len(sets)))
    assert len(sets) > first
    counts = [
        len(replay.select_sets(sets, half, c)) for half in plan.HALVES for c in plan.CONDITIONS
    ]
    assert max(counts) - min(counts) <= 1  # a longer recording feeds both halves
    assert len({one.meta.turn for one in sets if one.meta.half == "report"}) == 1


@pytest.mark.parametrize("option", ["--minutes=0", "--live-minutes=nan"])
def test_impossible_times_are_refused(
    option: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert __main__.main(["record", option, f"--traces={tmp_path}"]) == 2
    assert "must be a number above 0" in capsys.readouterr().err


# The head that is slower, and turns


class Nothing:
    """A program that does no work."""

    resets = 0

    def prepare(self) -> None: ...
    def run(self, carry: None) -> None: ...
    def wait(self, result: None) -> None: ...
    def reset(self) -> None:
        self.resets += 1


@pytest.mark.serial
def test_slowed_program_takes_that_much_longer_in_both_metrics() -> None:
    seconds = 0.02  # longer than the turn of another process on this core
    wall, cpu = clock.turn(Slowed(Nothing(), seconds), 3, 0.3)
    assert min(wall) >= seconds
    # it spins by the wall clock, so of a core that it shares it gets a part; asleep it gets none
    assert 0.25 * seconds < median(cpu)
    assert min(cpu) <= min(wall) + 0.001
    assert min(clock.turn(Nothing(), 3, 0.01)[0]) < 0.001


def test_turn_takes_one_sample_at_least_and_starts_each_afresh() -> None:
    program = Nothing()
    wall, cpu = clock.turn(program, 2, 0.0)
    assert len(wall) == len(cpu) == program.resets == 1


# Real workers, of the fake framework


@pytest.fixture
def fake_subjects(monkeypatch: pytest.MonkeyPatch) -> Iterator[Subjects]:
    """Yield one cell of the fake framework in the trial's own workers."""
    path = os.pathsep.join(p for p in (str(FAKES), os.environ.get("PYTHONPATH")) if p)
    monkeypatch.setenv("PYTHONPATH", path)
    subject = plan.Subject("linear_cascade", "-", "seed", "gradient", "summed", "fake")
    changes = {"FRAMEWORKS": ("fake",), "SUBJECTS": (subject,), "CELL_SECONDS": 0.02,
               "SOLO_SECONDS": 0.02, "LONG_SECONDS": 0.05}  # fmt: skip
    for name, value in changes.items():
        monkeypatch.setattr(plan, name, value)
    with Subjects([subject]) as subjects:
        yield subjects


def test_set_of_launches_holds_what_every_tool_takes(fake_subjects: Subjects) -> None:
    launch_set = recorder.record_set(fake_subjects, Meta(0, "bursty", "tuning", 0.002))
    name = plan.SUBJECTS[0].id
    assert set(launch_set.meta.seconds) == {"start", "prepare", "turns", "solo", "long", "total"}
    for worker in range(plan.WORKERS):
        wall = launch_set.turns(name, worker, "wall")
        assert len(wall) == len(launch_set.turns(name, worker, "cpu")) > 0
        assert launch_set.rows[f"turns/{name}/{worker}/lengths"].sum() == len(wall)
        assert (wall > 0).all()
        assert len(launch_set.rows[f"solo/{name}/{worker}"]) > 0
    assert len(launch_set.rows[f"long/{name}"]) > 0


@pytest.mark.serial
def test_worker_measures_on_the_core_of_the_trial_and_can_be_slowed(
    fake_subjects: Subjects,
) -> None:
    subject = plan.SUBJECTS[0]
    worker = fake_subjects.launch("fake", core=plan.CORES[0])
    try:
        calls = fake_subjects.prepare([worker], subject)
        assert os.sched_getaffinity(worker.pid) == {plan.CORE}
        worker.ask("slow", name=subject.strategy, seconds=0.004)
        samples = worker.ask("turn", name=subject.strategy, calls=calls, seconds=0.05)["wall"]
        assert min(samples) >= 0.004
    finally:
        worker.kill()


def test_wrong_gradients_are_not_timed(fake_subjects: Subjects) -> None:
    wrong = replace(plan.SUBJECTS[0], strategy="scaled")
    worker = fake_subjects.launch("fake")
    try:
        with pytest.raises(WrongGradients, match="fake-linear_cascade-seed-scaled-gradient"):
            fake_subjects.prepare([worker], wrong)
    finally:
        worker.kill()
