"""Test that two threads can measure at the same time, each with workers of its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.harness.launches.pool import Pool, pool_of_this_thread
from benchmarks.harness.measurement.group import measure_group_anywhere
from benchmarks.harness.measurement.measurer import Measurer
from tests.helpers.fake_framework import JOB, fake_framework

SLOW: Any = JOB | {"strategies": ["slow"], "launches": 1}


def pids(pool: Pool) -> set[int]:
    """Return the process numbers of a pool's workers."""
    return {launch.pid for launch in pool.workers()}


def test_two_measurers_of_one_process_share_no_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_framework(monkeypatch):
        one, other = Measurer(), Measurer()
        assert one.pool is not None
        assert other.pool is not None
        try:
            futures = [measurer.measure_group(SLOW) for measurer in (one, other)]
            results = [future.result(120.0) for future in futures]
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
    """Run two jobs on one thread and one on another: only the first two share workers."""

    def measured() -> tuple[str, set[int]]:
        result = measure_group_anywhere(SLOW)
        return result["cells"]["slow"]["outcome"], pids(pool_of_this_thread())

    with (
        fake_framework(monkeypatch),
        ThreadPoolExecutor(1) as one,
        ThreadPoolExecutor(1) as other,
    ):
        futures = [executor.submit(measured) for executor in (one, other, one)]
        results = [future.result(120.0) for future in futures]
        for executor in (one, other):
            executor.submit(lambda: pool_of_this_thread().close()).result(60.0)
    outcomes, workers = zip(*results, strict=True)
    assert outcomes == ("ok", "ok", "ok")
    assert workers[0]
    assert workers[0] == workers[2]
    assert not workers[0] & workers[1]


def test_measurer_with_an_executor_of_somebody_else_keeps_no_pool(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with fake_framework(monkeypatch), ThreadPoolExecutor(1) as executor:
        measurer = Measurer(executor)
        assert measurer.pool is None
        result = measurer.measure_group(SLOW).result(120.0)
        executor.submit(lambda: pool_of_this_thread().close()).result(60.0)
    assert result["cells"]["slow"]["outcome"] == "ok"
