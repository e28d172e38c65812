"""Test groups that do not fit into memory in all launches at once, and workers that die unseen."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.measurement import capacity
from benchmarks.machine.host import Host
from tests.helpers.fake_framework import Measure
from tests.helpers.fake_sessions import wait_for


def host(folder: Path, available: int, peak: int) -> Host:
    """Return a made-up machine with kB of available memory, and of process 7's peak."""
    (folder / "proc" / "7").mkdir(parents=True)
    (folder / "proc" / "meminfo").write_text(f"MemAvailable:   {available} kB\n")
    (folder / "proc" / "7" / "status").write_text(f"Name:\tx\nVmHWM:\t   {peak} kB\n")
    return Host(folder)


@pytest.mark.parametrize(("others", "short"), [(0, False), (3, False), (4, False), (5, True)])
def test_memory_is_exceeded_where_the_other_launches_would_not_fit(
    tmp_path: Path, others: int, short: bool
) -> None:
    assert capacity.exceeds_memory(7, others, host(tmp_path, 10_000, 2_000)) is short


def test_unknown_memory_counts_as_enough(tmp_path: Path) -> None:
    assert capacity.exceeds_memory(7, 99, Host(tmp_path)) is False
    assert capacity.exceeds_memory(os.getpid(), 0) is False


@pytest.mark.parametrize(
    ("total", "held", "too_much"),
    [
        (24, [2, 2, 2], []),  # a quarter of the machine
        (24, [2, 2, 2, 1], [0, 1, 2]),  # one of a GiB may stay
        (6, [1, 1], []),
        (6, [1, 2], [1]),
    ],
)
def test_idle_workers_hold_too_much_beyond_a_quarter_of_the_machine(
    tmp_path: Path, total: int, held: list[int], too_much: list[int]
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "meminfo").write_text(f"MemTotal: {total * 2**20} kB\n")
    for pid, size in enumerate(held):
        (tmp_path / "proc" / str(pid)).mkdir()
        (tmp_path / "proc" / str(pid) / "status").write_text(f"VmRSS: {size * 2**20} kB\n")
    assert capacity.holding_too_much(range(len(held)), Host(tmp_path)) == too_much


def test_where_the_memory_of_the_machine_is_unknown_no_worker_holds_too_much(
    tmp_path: Path,
) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "status").write_text(f"VmRSS: {64 * 2**20} kB\n")
    assert capacity.holding_too_much([7], Host(tmp_path)) == []


@pytest.mark.parametrize("too_much", [False, True])
def test_workers_that_hold_too_much_after_a_group_are_fresh_for_the_next_one(
    measured: Measure, monkeypatch: pytest.MonkeyPatch, too_much: bool
) -> None:
    idle: list[list[int]] = []

    def hold(pids: list[int]) -> list[int]:
        idle.append(pids)
        return pids if too_much else []

    monkeypatch.setattr(capacity, "holding_too_much", hold)
    for _ in range(2):
        assert measured("summed", launches=2)["summed"]["outcome"] == "ok"
    assert len(idle) == 2, "asked once after each group"
    first, second = map(set, idle)
    assert len(first) == len(second) >= 2
    assert first.isdisjoint(second) if too_much else first == second


def test_where_memory_is_short_one_launch_at_a_time_holds_the_problem(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[Launch] = []
    holding: list[int] = []  # at each timing, how many live workers hold the problem
    ask, send = Launch.ask, Launch.send

    def watch_send(launch: Launch, op: str, **arguments: Any) -> None:
        send(launch, op, **arguments)
        if op == "prepare":
            prepared.append(launch)

    def watch_ask(launch: Launch, op: str, *rest: Any, **arguments: Any) -> Any:
        result = ask(launch, op, *rest, **arguments)
        if op == "time":
            holding.append(sum(not one.dead for one in prepared))
        return result

    monkeypatch.setattr(Launch, "send", watch_send)
    monkeypatch.setattr(Launch, "ask", watch_ask)
    monkeypatch.setattr(capacity, "exceeds_memory", lambda *_: True)
    outcomes = measured("summed", launches=3)
    assert [len(launch) > 0 for launch in outcomes["summed"]["samples"]] == [True] * 3
    assert holding == [1, 1, 1]
    assert measured("summed")["summed"]["outcome"] == "ok"  # and the next group has its workers


def test_a_worker_that_died_since_it_was_prepared_is_replaced_by_a_prepared_one(
    measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    ask = Launch.ask

    def kill_the_second(launch: Launch, op: str, *rest: Any, **arguments: Any) -> Any:
        result = ask(launch, op, *rest, **arguments)
        if op == "time" and not killed:
            _, second = measured.pool.launches("fake", "cpu", "float32", 2)
            killed.append(second.pid)
            os.kill(second.pid, signal.SIGKILL)
            wait_for(lambda: second.dead)
        return result

    monkeypatch.setattr(Launch, "ask", kill_the_second)
    outcomes = measured("summed")
    assert killed
    assert (outcomes["summed"]["outcome"], outcomes["summed"]["why"]) == ("ok", None)
    assert len(outcomes["summed"]["samples"]) == 2
