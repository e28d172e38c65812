"""Test what becomes of a cell's record and samples: predictions, and cells that fail later."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session.measurements import Measurements
from results.records.record import sample_key

STRATEGIES = ("boundary_split", "summed", "separate_retained")
FLOPS = {"boundary_split": 110.0, "summed": 100.0, "separate_retained": 160.0}


def cell_of(strategy: str) -> Cell:
    return Cell(
        "backward", "linear_cascade", "-", "seed", "torch", "eager", strategy, "backward", "cpu"
    )


def group_result(*strategies: str, **changes: Any) -> Any:
    """Return the result of a group in which every cell went well, with changes to all of them."""
    outcome = {
        "outcome": "ok",
        "why": None,
        "samples": [[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 5.0]],
        "peak_seconds": [],
        "steady": [True, True],
    } | changes
    about = {
        "spent": {},
        "worker_seconds": 0.0,
        "flows": {},
        "stopped": None,
        "described": {},
        "paused": [],
    }
    return {
        "about": about,
        "cells": {name: outcome | {"figures": {"flops": FLOPS[name]}} for name in strategies},
    }


@pytest.mark.parametrize("strategies", [STRATEGIES, STRATEGIES[::-1]])
def test_prediction_is_cell_over_baseline_wherever_the_baseline_stands(
    strategies: tuple[str, ...],
) -> None:
    measurements, cells = Measurements(), [cell_of(strategy) for strategy in strategies]
    measurements.add_group(cells, group_result(*strategies))
    predicted = {c.strategy: measurements.record(c)["predicted_ratio"] for c in cells}
    assert predicted == {"boundary_split": 1.1, "summed": 1.0, "separate_retained": 1.6}


def test_ratio_of_limits_is_cell_over_baseline_wherever_the_baseline_stands() -> None:
    measurements, cells = Measurements(), [cell_of(strategy) for strategy in STRATEGIES]
    result = group_result(*STRATEGIES)
    for name, outcome in result["cells"].items():
        limit = {"seconds": FLOPS[name] / 1e3, "bytes": 8, "operations": []}
        outcome["figures"] = {"limit": limit}
    measurements.add_group(cells, result)
    ratios = {c.strategy: measurements.record(c)["limit_ratio"] for c in cells}
    expected = {"boundary_split": 1.1, "summed": 1.0, "separate_retained": 1.6}
    assert ratios == pytest.approx(expected)


def test_without_its_baseline_a_cell_has_no_prediction() -> None:
    measurements, cells = Measurements(), [cell_of(s) for s in ("separate_retained",)]
    measurements.add_group(cells, group_result("separate_retained"))
    record = measurements.record(cells[0])
    assert record["predicted_ratio"] is None
    assert record["missing"]["predicted_ratio"] == "no FLOPs counted for this cell or its baseline"


def test_what_is_noted_of_a_group_is_that_of_its_last_measurement() -> None:
    """Pauses of the machine, and why no launch was added, belong to the samples that are kept."""
    measurements, cells = Measurements(), [cell_of("summed")]
    result = group_result("summed")
    disturbed = result["about"] | {"paused": [1.5, 0.7], "stopped": "the time was up"}
    measurements.add_group(cells, result | {"about": disturbed})
    (group,) = measurements.paused
    assert measurements.paused == {group: [1.5, 0.7]}
    assert measurements.stopped == {group: "the time was up"}
    measurements.add_group(cells, result)
    assert (measurements.paused, measurements.stopped) == ({}, {})


FAILED: Any = {"outcome": "crashed", "why": "signal 9", "samples": [], "steady": []}


@pytest.mark.parametrize("way", ["measured", "failed whole"])
def test_cell_that_fails_when_it_is_measured_again_has_no_time_of_before(way: str) -> None:
    measurements, cells = Measurements(), [cell_of(s) for s in ("summed", "separate_retained")]
    names = [cell.strategy for cell in cells]
    measurements.add_group(cells, group_result(*names))
    key = sample_key(measurements.record(cells[1]))
    assert key in measurements.samples
    if way == "measured":
        again = group_result(*names)
        again["cells"]["separate_retained"] |= FAILED
        measurements.add_group(cells, again)
    else:
        measurements.fail(cells, "crashed", "the harness failed")
    measurements.estimate()
    record = measurements.record(cells[1])
    assert record["outcome"] == "crashed"
    assert record["seconds"] is record["ratio"] is None
    assert key not in measurements.samples


def test_cell_whose_baseline_failed_says_so_of_its_ratio() -> None:
    measurements, cells = Measurements(), [cell_of(s) for s in ("summed", "separate_retained")]
    result = group_result(*(cell.strategy for cell in cells))
    result["cells"]["summed"] |= FAILED
    measurements.add_group(cells, result)
    measurements.estimate()
    missing = measurements.record(cells[1])["missing"]
    assert missing["ratio"] == missing["verdict"] == "its baseline 'summed' has outcome crashed"


def test_samples_of_a_cell_that_had_failed_are_not_taken_over(monkeypatch: Any) -> None:
    from benchmarks.harness.session import resume
    from results.records.record import Run

    measurements, cells = Measurements(), [cell_of(s) for s in ("summed", "separate_retained")]
    measurements.fail(cells, "crashed", "signal 9")
    key = sample_key(measurements.record(cells[0]))
    monkeypatch.setattr(resume, "measured_records", lambda *_: dict(measurements.records))
    settings = {"spent_seconds": {}, "worker_seconds": 0.0, "flows": {}, "stopped": {}}
    run = Run("x", "", None, {}, settings, samples={key: [np.ones(4)]})
    again = Measurements()
    again.restore(run, cells)
    assert again.samples == {}
