"""For how long real workers worked: in a group, in an errand, and where a request failed."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from benchmarks.harness.launches.launch import Launch, WorkerFailed
from benchmarks.harness.launches.pool import Pool
from tests.helpers.fake_framework import Measure

NAP = 0.02  # seconds of a call of the fake strategy `slow`


@pytest.mark.serial
def test_group_tells_how_long_its_workers_worked(measured: Measure) -> None:
    """In each launch at least one call is made, three warm up and four are timed."""
    start = time.monotonic()
    measured("slow")
    wall, worked = time.monotonic() - start, measured.about["worker_seconds"]
    assert 2 * 8 * NAP <= worked < wall
    measured("summed")  # a report is of its own group only
    assert measured.about["worker_seconds"] < worked


@pytest.mark.serial
def test_time_of_the_gate_is_none_of_a_workers(measured: Measure) -> None:
    """The gate reads the gradients, which takes this strategy two seconds in each launch."""
    measured("slow_to_read")
    about = measured.about
    assert about["spent"]["preparing"] > 4.0
    assert 0.0 < about["worker_seconds"] < 2.0  # of one gate; its own work takes a tenth of that


def worked_in(pool: Pool, launch: Launch, strategy: str, out: Path) -> None:
    """Have the worker call the strategy once."""
    pool.files("linear_cascade", "-", "seed").open_in(launch)
    cell = {"kind": "backward", "name": strategy, "phase": "gradient"}
    launch.ask("gradients", 20.0, **cell, out=str(out))


def test_worker_that_was_replaced_or_had_one_errand_counts(
    measured: Measure, tmp_path: Path
) -> None:
    (one,) = measured.pool.launches("fake", "cpu", "float32", 1)
    worked_in(measured.pool, one, "slow", tmp_path / "one.npz")
    measured.pool.replace(one)
    with measured.pool.separate_worker("fake", "cpu", "float32", {}) as other:
        worked_in(measured.pool, other, "slow", tmp_path / "other.npz")
    assert measured.pool.worker_seconds() >= 2 * NAP
    assert measured.pool.worker_seconds() == 0.0


def test_work_that_failed_counts(measured: Measure, tmp_path: Path) -> None:
    (one,) = measured.pool.launches("fake", "cpu", "float32", 1)
    with pytest.raises(WorkerFailed, match="no room"):
        worked_in(measured.pool, one, "slow_and_greedy", tmp_path / "none.npz")
    assert measured.pool.worker_seconds() >= NAP
