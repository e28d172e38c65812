"""Test records of cells: figures as measured, null with its reason, no time for a failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session.recording import (
    describe_scenarios,
    record_failure,
    record_measurement,
)
from benchmarks.harness.session.replay import Replay, replay
from benchmarks.machine import environment
from benchmarks.machine.host import Host
from results.records.record import FIGURES, LIMIT_FIGURES, finish

CELL = Cell(
    "backward", "linear_cascade", "-", "seed", "torch", "eager", "batched", "backward", "cpu"
)
ERROR = {
    "relative": 1e-7,
    "tensor": "net1.linear.weight",
    "parameters": {"net1.linear.weight": 1e-7, "net2.linear.weight": 2.5e-8},
}
FIGURES_OF_CELL: dict[str, Any] = {
    "flops": 220.0,
    "first_call_seconds": 0.5,
    "residual_bytes": 64,
    "equivalence": "pass",
    "gradient_error": ERROR,
}


def result(**changes: Any) -> dict[str, Any]:
    figures = FIGURES_OF_CELL | changes.pop("figures", {})
    standard: dict[str, Any] = {
        "outcome": "ok",
        "why": None,
        "figures": figures,
        "samples": [[1.0, 2.0, 3.0, 4.0, 5.0], [2.0, 4.0, 6.0, 8.0, 10.0]],
        "peak_seconds": [],
        "steady": [],
    }
    return standard | changes


def test_figures_are_the_ones_measured_and_the_prediction_is_cell_over_baseline() -> None:
    record: Any = finish(record_measurement(CELL, result(), 110.0))
    known = {"flops": 220.0, "first_call_seconds": 0.5, "residual_bytes": 64}
    assert {name: record[name] for name in known} == known
    assert record["predicted_ratio"] == 2.0
    assert (record["outcome"], record["baseline"]) == ("ok", "summed")
    assert (record["equivalence"], record["gradient_error"]) == ("pass", ERROR)


def test_figure_that_could_not_be_had_is_null_with_its_reason_and_never_0() -> None:
    figures = {"flops": 0, "residual_bytes": None, "gradient_error": None}
    record: Any = finish(record_measurement(CELL, result(figures=figures), 110.0))
    reasons = {
        "flops": "the counter saw no operation",
        "predicted_ratio": "no FLOPs counted",
        "residual_bytes": "torch.func hides",
        "gradient_error": "the optimizer keeps no gradient",
        "trace_seconds": "eager torch neither",
        "peak_share": "not dominated by matrix products",
        "optimizer_state_bytes": "no optimizer in this phase",
        "seconds": "not timed in this run",
    }
    for name, reason in reasons.items():
        assert record[name] is None, name
        assert record["missing"][name].startswith(reason), name


def test_errors_of_the_parameters_are_kept_with_three_digits() -> None:
    parameters = {"net1.w": 1.23456e-7, "net2.w": 0.0}
    figures = {
        "gradient_error": {"relative": 1.23456e-7, "tensor": "net1.w", "parameters": parameters}
    }
    error = record_measurement(CELL, result(figures=figures), 110.0)["gradient_error"]
    assert error == {
        "relative": 1.23456e-7,
        "tensor": "net1.w",
        "parameters": {"net1.w": 1.23e-7, "net2.w": 0.0},
    }


def test_cell_that_failed_has_no_figure_but_what_is_wrong_with_its_gradients() -> None:
    wrong = {"outcome": "wrong_gradients", "why": "net1.linear.bias: not finite"}
    wrong_result = result(figures={"equivalence": wrong["why"]}, peak_seconds=[1.0, 1.0], **wrong)
    record: Any = finish(record_measurement(CELL, wrong_result, 110.0))
    assert record["outcome"] == "wrong_gradients"
    assert (record["equivalence"], record["gradient_error"]) == (wrong["why"], ERROR)
    left = [name for name in FIGURES if record[name] is not None]
    assert sorted(left) == ["equivalence", "gradient_error"]
    assert record["missing"]["seconds"] == wrong["why"]


def test_share_of_the_peak_is_the_products_over_each_launchs_lower_quartile() -> None:
    """Take quartiles of 2 and 4 s, and products of 1 and 3 s: shares of 50 % and 75 %."""
    record = record_measurement(CELL, result(peak_seconds=[1.0, 3.0]), 110.0)
    assert record["peak_share"] == pytest.approx(0.625)


LIMIT = {
    "seconds": 1.0,
    "bytes": 4096,
    "operations": [{"name": "mm", "count": 2, "seconds": 0.9, "flops": 220, "bytes": 4000}],
}


def test_share_of_the_limit_is_the_limit_over_each_launchs_lower_quartile() -> None:
    """Take quartiles of 2 and 4 s, and a limit of 1 s: shares of 50 % and 25 %."""
    record: Any = finish(record_measurement(CELL, result(figures={"limit": LIMIT}), 110.0, 0.8))
    assert record["limit_share"] == pytest.approx(0.375)
    assert (record["limit_seconds"], record["limit_ratio"]) == (1.0, pytest.approx(1.25))
    assert (record["bytes"], record["operations"]) == (4096, LIMIT["operations"])
    assert record["predicted_ratio"] == 2.0  # that of FLOPs stands beside it


def test_limit_that_every_launch_has_passed_is_none() -> None:
    """Take quartiles of 2 and 4 s: a limit of 3 s may hold, one of 5 s does not."""
    for seconds, holds in ((3.0, True), (5.0, False)):
        measured = result(figures={"limit": {**LIMIT, "seconds": seconds}})
        record: Any = finish(record_measurement(CELL, measured, 110.0, 0.8))
        assert (record["limit_seconds"] is not None) == holds
        assert (record["limit_ratio"] is not None) == holds
        assert (record["operations"] is not None) == holds
        assert record["bytes"] == LIMIT["bytes"]
        if not holds:
            assert record["missing"]["limit_share"].startswith("every launch was faster")


@pytest.mark.parametrize(
    ("framework", "mode", "figures", "reason"),
    [
        ("torch", "compile", {}, "Inductor does not tell"),
        ("jax", "eager", {}, "no whole program for XLA"),
        ("torch", "eager", {}, "its operations were not counted"),
        ("torch", "eager", {"limit": None, "limit_why": "the worker died"}, "the worker died"),
    ],
)
def test_a_cell_without_a_limit_says_why(
    framework: str, mode: str, figures: dict[str, Any], reason: str
) -> None:
    cell = replace(CELL, framework=framework, mode=mode, strategy="separate_retained")
    record: Any = finish(record_measurement(cell, result(figures=figures), 110.0, 0.8))
    for name in LIMIT_FIGURES:
        assert record[name] is None, name
        assert record["missing"][name].startswith(reason), name


class Fixture:
    """Stand for pytest-benchmark's fixture, as far as it is used."""

    enabled = True

    def __init__(self, series: Replay) -> None:
        self.series = series
        self.times: list[float] = []
        self.extra_info: dict[str, Any] = {}

    def pedantic(self, target: Any, rounds: int = 1, iterations: int = 1) -> None:
        for _ in range(rounds):
            start = self.series.now()
            for _ in range(iterations):
                target()
            self.times.append(self.series.now() - start)


def test_native_tables_get_each_sample_once_and_in_order() -> None:
    series = Replay([1.0, 4.0, 2.0])
    fixture = Fixture(series)
    record = record_measurement(CELL, result(), 110.0)
    replay((record, series), fixture)
    assert fixture.times == [1.0, 4.0, 2.0]
    short = {"relative": 1e-7, "tensor": "net1.linear.weight"}
    assert fixture.extra_info == record | {"gradient_error": short}


@pytest.mark.parametrize("outcome", ["wrong_gradients", "timeout", "crashed", "out_of_memory"])
def test_cell_that_failed_fails_its_test_with_its_reason_and_command(outcome: str) -> None:
    record = record_failure(CELL, outcome, "the worker ended")
    # a skip that got through would skip this very test
    endings = (pytest.fail.Exception, pytest.skip.Exception)
    with pytest.raises(endings, match=f"{outcome}: the worker ended\npytest bench") as raised:
        replay((record, Replay([1.0])), Fixture(Replay([1.0])))
    assert raised.type is pytest.fail.Exception


def test_machine_is_known_by_what_is_stable_and_by_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = environment.describe()["id"]
    monkeypatch.setattr("os.getloadavg", lambda: (99.0, 99.0, 99.0))
    host = Host()

    def call(command: Sequence[str]) -> str | None:
        return "0" * 40 if command[0] == "git" else host.call(command)

    another_commit = environment.describe(replace(host, call=call))
    assert another_commit["commit"] == "0" * 40
    assert another_commit["id"] == first
    monkeypatch.setattr(environment, "installed", lambda package: "0.0.1")
    assert environment.describe()["id"] != first


def test_a_run_says_what_its_scenarios_are() -> None:
    described = describe_scenarios([CELL, CELL])
    assert list(described) == [CELL.scenario]
    assert described[CELL.scenario]["summary"] == CELL.spec.summary
    assert described[CELL.scenario]["sizes"]["seed"] == dict(CELL.spec.sizes["seed"])
