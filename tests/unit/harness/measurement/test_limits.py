"""The limit of a cell is the sum of what its operations must take, and failures cost no time."""

from __future__ import annotations

import os
from typing import Any

import pytest

from benchmarks.harness.launches import check_cache
from benchmarks.harness.launches.worker_errors import WorkerCrashed
from benchmarks.harness.measurement import limits

MACHINE: Any = {
    "reading": [[1000.0, 1e-6], [4000.0, 8e-6]],
    "writing": [[1000.0, 2e-6]],
    "turning": [[1000.0, 5e-5]],
    "dispatch": {"forward": 1e-7, "pass": 3e-6},
    "slow": 1e-8,
}
ALONE = {"op": "mm"}


def operation(**changes: Any) -> Any:
    """Return an operation that reads 1000 bytes and writes as many, with changes."""
    standard = {"name": "add", "count": 1, "flops": 0, "read": 1000, "written": 1000}
    return standard | {"dispatch": "forward", "work": None} | changes


class Worker:
    """Stand for a worker: it answers one request, or fails."""

    def __init__(self, seconds: list[float] | None) -> None:
        self.seconds, self.asked = seconds, list[Any]()

    def wait_until_ready(self) -> None: ...

    def ask(self, op: str, timeout: float, **arguments: Any) -> Any:
        self.asked.append((op, timeout, arguments))
        if self.seconds is None:
            raise WorkerCrashed("it died", cell=None)
        return {"machine": MACHINE, "seconds": self.seconds}


def seconds_of(*operations: Any) -> float:
    """Return the limit of these operations, where an ``mm`` alone takes 7 µs."""
    rates = limits.Rates(MACHINE, {limits._key(operation(work=ALONE)): 7e-6})
    return float(limits.limit_of(operations, rates)["seconds"])


@pytest.mark.parametrize(
    ("changes", "each"),
    [
        ({}, 1e-6 + 2e-6 + 1e-7),
        ({"read": 0, "written": 0}, 1e-7),  # a view costs its call
        ({"read": 0, "written": 0, "dispatch": "pass"}, 3e-6),
        ({"slow": 200}, 3e-6 + 1e-7),  # 2 µs of exponentials: less than the memory needs
        ({"slow": 900}, 9e-6 + 1e-7),  # 9 µs: more
        ({"read": 1500, "turned": 500}, 2.5e-5 + 1e-6 + 2e-6 + 1e-7),
        ({"work": ALONE}, 7e-6 + 1e-7),  # what was measured alone holds
    ],
)
def test_an_operation_takes_the_longest_of_its_parts_and_its_call(
    changes: dict[str, Any], each: float
) -> None:
    assert seconds_of(operation(**changes)) == pytest.approx(each)
    assert seconds_of(operation(count=3, **changes), operation()) == pytest.approx(
        3 * each + 3.1e-6
    )


@pytest.mark.parametrize(
    ("size", "seconds"),
    [(0, 0.0), (500, 5e-7), (1000, 1e-6), (2000, 8**0.5 * 1e-6), (4000, 8e-6), (8000, 1.6e-5)],
)
def test_between_measured_sizes_the_logarithm_is_interpolated(size: int, seconds: float) -> None:
    assert limits.traffic_seconds(MACHINE["reading"], size) == pytest.approx(seconds)
    assert limits.traffic_seconds([], size) == 0.0


def test_the_few_longest_operations_are_named_with_all_that_they_move() -> None:
    rates = limits.Rates(MACHINE, {})
    counted = [operation(name=f"n{i}", count=i, flops=10) for i in (1, 4, 2, 3)]
    found = limits.limit_of(counted, rates)
    assert [part["name"] for part in found["operations"]] == ["n4", "n3", "n2"]
    assert found["operations"][0]["flops"] == 40
    assert found["operations"][0]["bytes"] == 4 * 2000
    assert found["bytes"] == 10 * 2000


def test_each_operation_is_asked_for_once_and_a_cell_gets_its_own() -> None:
    worker: Any = Worker([7e-6])
    cells = {"summed": [operation(work=ALONE)], "apart": [operation(work=ALONE, count=2)]}
    found = limits.of_cells(worker, "float32", cells, 20.0)
    cache = check_cache.folder(os.environ.get("XLA_FLAGS", ""))
    asked = {"dtype": "float32", "works": [ALONE], "cache": str(cache) if cache else None}
    assert worker.asked == [("rates", 20.0, asked)]
    assert found["summed"]["limit"]["seconds"] == pytest.approx(7.1e-6)
    assert found["apart"]["limit"]["seconds"] == pytest.approx(14.2e-6)


def test_a_worker_that_dies_costs_the_limits_and_nothing_else() -> None:
    worker: Any = Worker(None)
    found = limits.of_cells(worker, "float32", {"summed": [operation()]}, 20.0)
    assert found["summed"]["limit"] is None
    assert "could not be measured: it died" in found["summed"]["limit_why"]
