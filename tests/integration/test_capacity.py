"""Memory that is short, and a worker that died unseen: each launch is prepared before its turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.measurement import capacity
from benchmarks.harness.measurement.group import GroupMeasurement
from benchmarks.machine.host import Host
from tests.helpers.fake_framework import Measure


def host(folder: Path, available: int, peak: int) -> Host:
    (folder / "proc" / "7").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(f"MemAvailable:   {available} kB\n")
    (folder / "proc" / "7" / "status").write_text(f"Name:\tx\nVmHWM:\t   {peak} kB\n")
    return Host(folder)


@pytest.mark.parametrize(("others", "short"), [(0, False), (3, False), (4, False), (5, True)])
def test_it_is_crowded_where_the_others_would_not_fit(
    tmp_path: Path, others: int, short: bool
) -> None:
    assert capacity.exceeds_memory(7, others, host(tmp_path, 10_000, 2_000)) is short


def test_what_the_system_does_not_tell_is_room(tmp_path: Path) -> None:
    assert capacity.exceeds_memory(7, 99, Host(tmp_path)) is False
    assert capacity.exceeds_memory(os.getpid(), 0) is False


def test_where_memory_is_short_one_launch_at_a_time_holds_the_problem(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding: list[int] = []
    known = GroupMeasurement._time

    def time(self: GroupMeasurement, launch: Launch, index: int) -> None:
        known(self, launch, index)
        launches = measured.pool._launches["fake", "cpu", "float32"]
        holding.append(sum(self.preparation.is_prepared(one) and not one.dead for one in launches))

    monkeypatch.setattr(GroupMeasurement, "_time", time)
    monkeypatch.setattr(capacity, "exceeds_memory", lambda *_: True)
    found = measured("summed", launches=3)
    assert [len(launch) > 0 for launch in found["summed"]["samples"]] == [True] * 3
    assert holding == [1, 1, 1]
    assert measured("summed")["summed"]["outcome"] == "ok"  # and the next group has its workers


def test_a_worker_that_died_since_it_was_prepared_is_replaced_by_a_prepared_one(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = GroupMeasurement._time
    killed: list[int] = []

    def time(self: GroupMeasurement, launch: Launch, index: int) -> None:
        known(self, launch, index)
        if index == 0 and not killed:
            other = self.workers.all()[1]
            killed.append(other.pid)
            os.kill(other.pid, 9)
            other._process.wait()

    monkeypatch.setattr(GroupMeasurement, "_time", time)
    found = measured("summed")
    assert killed
    assert (found["summed"]["outcome"], found["summed"]["why"]) == ("ok", None)
    assert len(found["summed"]["samples"]) == 2
