"""Split the gap between measured and predicted among operations, and show the split."""

from __future__ import annotations

import json
from typing import Any

import pytest

from results.estimates.explanation import IDLE, explain
from results.terminal import explanation_table


def side(strategy: str, flops: float | None, idle: float, **operations: float) -> dict[str, Any]:
    """Return one side of a profile; times are in seconds of a call."""
    listed = [{"name": n, "count": 2.0, "seconds": s} for n, s in operations.items()]
    whole = idle + sum(operations.values())
    traced = {"calls": 10, "seconds": whole, "idle": idle, "operations": listed}
    known = {"strategy": strategy, "seconds": whole / 2, "flops": flops, "traced": traced}
    return {**known, "trace": f"/x/{strategy}.json.gz"}


def profile(flops: float | None = 150.0) -> dict[str, Any]:
    return {
        "cell": {"framework": "torch"},
        "name": "torch linear_cascade small eager gradient separate_retained",
        "strategy": side("separate_retained", flops, 2e-3, mm=6e-3, copy=1e-3),
        "baseline": side("summed", 100.0, 1e-3, mm=4e-3, add=5e-4),
    }


def test_what_is_beyond_the_prediction_adds_up_to_the_gap() -> None:
    found = explain(profile())
    beyond = {row.name: row.beyond for row in found.rows}
    assert found.predicted == pytest.approx(1.5)
    assert beyond == pytest.approx({"copy": 1e-3, "add": -7.5e-4, IDLE: 5e-4, "mm": 0.0})
    assert sum(beyond.values()) == pytest.approx(found.gap)
    assert found.gap == pytest.approx(9e-3 - 1.5 * 5.5e-3)
    assert [row.name for row in found.rows] == ["copy", "add", IDLE, "mm"]  # the largest first


def test_without_flops_the_difference_to_the_baseline_is_split() -> None:
    found = explain(profile(flops=None))
    assert found.predicted is None
    assert found.gap == pytest.approx(3.5e-3)
    shown = " ".join(explanation_table.text(profile(flops=None)).split())
    assert "a call takes 3.50 ms more; FLOPs cannot be counted here" in shown


def test_the_table_has_both_sides_the_gap_and_the_traces() -> None:
    shown = explanation_table.text(profile())
    lines = {line.split("  ")[0]: line.split() for line in shown.splitlines()}
    assert lines["copy"][1:] == ["2/0", "1.00", "ms", "–", "+1.00", "ms"]
    assert lines["the whole call"][-6:] == ["9.00", "ms", "5.50", "ms", "+750", "µs"]
    assert "ratio to the baseline by counted FLOPs 1.50, measured 1.64" in shown
    assert "trace: /x/summed.json.gz" in shown


def test_many_operations_fit_and_are_summed_up_in_a_row() -> None:
    document = profile()
    long = {f"convolution_backward {'64×128×14×14, ' * 4}{i}": 1e-4 * i for i in range(1, 30)}
    document["strategy"] = side("separate_retained", 150.0, 2e-3, **long)
    shown = explanation_table.text(document)
    assert max(map(len, shown.splitlines())) <= 100
    assert "17 more: --all" in shown
    every = explanation_table.text(document, everything=True)
    assert "more: --all" not in every
    assert every.count("convolution_backward") == 29


def test_json_holds_the_profile_and_its_explanation() -> None:
    shown = json.loads(json.dumps(explanation_table.document_json(profile()), allow_nan=False))
    assert shown["explanation"]["rows"][0]["name"] == "copy"
    assert shown["strategy"]["traced"]["idle"] == 2e-3
