"""For how long workers worked: each second once, whoever worked in it, and none of the gate's."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import pool
from benchmarks.harness.launches.launch import Launch, WorkerFailed
from benchmarks.harness.protocol import busy_time

NAP = 0.02  # seconds of a call of the fake strategy `slow`


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0.0),
        ([(1.0, 3.0)], 2.0),
        ([(1.0, 3.0), (5.0, 6.0)], 3.0),
        ([(5.0, 6.0), (1.0, 3.0)], 3.0),  # told out of order
        ([(1.0, 3.0), (2.0, 4.0)], 3.0),  # two workers at once
        ([(1.0, 9.0), (2.0, 3.0), (4.0, 5.0)], 8.0),  # one inside the other
        ([(1.0, 9.0), (2.0, 3.0), (8.0, 10.0)], 9.0),
        ([(1.0, 2.0), (2.0, 3.0)], 2.0),
    ],
)
def test_second_in_which_several_worked_counts_once(
    spans: list[tuple[float, float]], seconds: float
) -> None:
    assert busy_time.seconds(spans) == seconds


def nap_and_fail() -> None:
    time.sleep(NAP)
    raise RuntimeError


def test_work_is_noted_however_it_ends_and_told_once() -> None:
    notes = busy_time.BusyTimer()
    with pytest.raises(RuntimeError), notes.working(), notes.working():
        nap_and_fail()
    inner, outer = notes.told()
    assert outer[0] <= inner[0] < inner[1] <= outer[1]
    assert busy_time.seconds([inner, outer]) == outer[1] - outer[0] >= NAP
    assert notes.told() == []


@pytest.mark.serial
def test_group_tells_how_long_its_workers_worked(measured: Any) -> None:
    """In each launch at least one call is made, three warm up and four are timed."""
    start = time.monotonic()
    found = measured("slow")
    wall = time.monotonic() - start
    assert 2 * 8 * NAP <= found[""]["worker_seconds"] < wall
    again = measured("summed")  # an answer tells of its own group only
    assert again[""]["worker_seconds"] < found[""]["worker_seconds"]


@pytest.mark.serial
def test_time_of_the_gate_is_none_of_a_workers(measured: Any) -> None:
    """It reads the gradients, which takes this strategy half a second in each launch."""
    about = measured("slow_to_read")[""]
    assert about["spent"]["preparing"] > 1.0
    assert 0.0 < about["worker_seconds"] < 1.0


def worked_in(launch: Launch, strategy: str, out: Path) -> None:
    """Have the worker call the strategy once."""
    pool.POOL.files("linear_cascade", "-", "seed").open_in(launch)
    cell = {"kind": "backward", "name": strategy, "phase": "gradient"}
    launch.ask("gradients", 20.0, **cell, out=str(out))


@pytest.mark.usefixtures("measured")
def test_worker_that_was_replaced_or_had_one_errand_counts(tmp_path: Path) -> None:
    (one,) = pool.POOL.launches("fake", "cpu", "float32", 1)
    worked_in(one, "slow", tmp_path / "one.npz")
    pool.POOL.replace(one)
    with pool.POOL.apart("fake", "cpu", "float32", {}) as other:
        worked_in(other, "slow", tmp_path / "other.npz")
    assert pool.POOL.worker_seconds() >= 2 * NAP
    assert pool.POOL.worker_seconds() == 0.0


@pytest.mark.usefixtures("measured")
def test_work_that_failed_counts(tmp_path: Path) -> None:
    (one,) = pool.POOL.launches("fake", "cpu", "float32", 1)
    with pytest.raises(WorkerFailed, match="no room"):
        worked_in(one, "slow_and_greedy", tmp_path / "none.npz")
    assert pool.POOL.worker_seconds() >= NAP
