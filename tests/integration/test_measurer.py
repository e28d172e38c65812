"""Two threads that measure at the same time, each with workers of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.harness.launches.pool import Pool, pool_of_this_thread
from benchmarks.harness.measurement.group import measure_group_anywhere
from benchmarks.harness.measurement.measurer import Measurer
from tests.helpers.fake_framework import JOB, fake_framework

SUMMED: Any = JOB | {"strategies": ["slow"], "launches": 1}


def pids(pool: Pool) -> set[int]:
    """Return the worker processes that a pool keeps."""
    return {launch.pid for launches in pool._launches.values() for launch in launches}


def test_two_measurers_of_one_process_share_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_framework(monkeypatch):
        one, other = Measurer(), Measurer()
        assert one.pool is not None
        assert other.pool is not None
        try:
            begun = [measurer.measure_group(SUMMED) for measurer in (one, other)]
            results = [future.result(120.0) for future in begun]
            assert [result["cells"]["slow"]["outcome"] for result in results] == ["ok", "ok"]
            assert pids(one.pool)
            assert pids(other.pool)
            assert not pids(one.pool) & pids(other.pool)
        finally:
            one.close()
            other.close()


def test_jobs_of_another_executor_use_the_workers_of_their_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two jobs that follow each other on a thread share its workers; another thread's do not."""

    def measured() -> tuple[str, set[int]]:
        result = measure_group_anywhere(SUMMED)
        return result["cells"]["slow"]["outcome"], pids(pool_of_this_thread())

    with (
        fake_framework(monkeypatch),
        ThreadPoolExecutor(1) as one,
        ThreadPoolExecutor(1) as other,
    ):
        begun = [executor.submit(measured) for executor in (one, other, one)]
        (first, mine), (second, theirs), (third, again) = (f.result(120.0) for f in begun)
        for executor in (one, other):
            executor.submit(lambda: pool_of_this_thread().close()).result(60.0)
    assert (first, second, third) == ("ok", "ok", "ok")
    assert mine
    assert mine == again
    assert not mine & theirs


def test_measurer_with_an_executor_of_somebody_else_keeps_no_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fake_framework(monkeypatch), ThreadPoolExecutor(1) as executor:
        measurer = Measurer(executor)
        assert measurer.pool is None
        result = measurer.measure_group(SUMMED).result(120.0)
        executor.submit(lambda: pool_of_this_thread().close()).result(60.0)
    assert result["cells"]["slow"]["outcome"] == "ok"
