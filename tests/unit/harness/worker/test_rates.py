"""A worker measures each operation once, and lives on where one cannot be run alone."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.worker import rates
from benchmarks.harness.worker.rates import Rates

MADE: list[tuple[Any, str]] = []
MEASURED: list[Any] = []


class Calibration:
    """Stand for a framework's: an operation takes as many seconds as its name says."""

    def __init__(self, device: Any, dtype: str, cache: str | None) -> None:
        MADE.append((device, dtype))

    def machine(self) -> dict[str, Any]:
        return {"reading": [], "writing": [], "dispatch": {}}

    def measure(self, work: Any) -> float:
        MEASURED.append(work)
        return float(work["op"])


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Rates:
    """Return a worker of a framework that has nothing but a calibration."""
    module: Any = ModuleType("impl_bare.calibration")
    module.Calibration = Calibration
    monkeypatch.setitem(sys.modules, "impl_bare", ModuleType("impl_bare"))
    monkeypatch.setitem(sys.modules, "impl_bare.calibration", module)
    MADE.clear()
    MEASURED.clear()
    session: Any = SimpleNamespace(device="cpu")
    return Rates("bare", session, SimpleNamespace(), lambda message: None)  # type: ignore[arg-type]


def test_what_was_measured_is_not_measured_again(worker: Rates) -> None:
    works = [{"op": "1.5"}, {"op": "2"}]
    assert worker.do_rates("float32", works)["seconds"] == [1.5, 2.0]
    assert worker.do_rates("float32", [works[1], {"op": "3"}])["seconds"] == [2.0, 3.0]
    assert [*works, *works, {"op": "3"}, {"op": "3"}] == MEASURED  # each twice, in turns
    assert MADE == [("cpu", "float32")]


def test_another_dtype_is_measured_anew(worker: Rates) -> None:
    worker.do_rates("float32", [{"op": "1"}])
    worker.do_rates("float64", [{"op": "1"}])
    assert MADE == [("cpu", "float32"), ("cpu", "float64")]
    assert len(MEASURED) == 4


def test_what_a_neighbour_slowed_is_measured_until_it_falls_no_more(
    worker: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "PAUSE", 0.0)
    taken = {"a": [12.0, 5.0, 1.0, 1.0], "b": [2.0, 1.9]}

    def measure(own: Calibration, work: Any) -> float:
        return taken[work["op"]].pop(0)

    monkeypatch.setattr(Calibration, "measure", measure)
    assert worker.do_rates("float32", [{"op": "a"}, {"op": "b"}])["seconds"] == [1.0, 1.9]
    assert taken == {"a": [], "b": []}


def test_an_operation_that_cannot_run_alone_has_no_time_and_costs_no_other(worker: Rates) -> None:
    found = worker.do_rates("float32", [{"op": "no number"}, {"op": "2"}])
    assert found["seconds"] == [None, 2.0]
