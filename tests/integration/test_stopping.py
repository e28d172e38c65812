"""A group that goes on until its ratios are precise: how many launches, and why it stops."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.measurement.stopping import PrecisionGoal


def test_group_takes_more_launches_and_says_why_it_stopped(measured: Any) -> None:
    precision = PrecisionGoal(1e-6, most=3, seconds=60.0, baseline="summed").rule()
    outcomes = measured("summed", "chatty", precision=precision)
    assert measured.about["stopped"] == "launches"
    assert [len(outcomes[name]["samples"]) for name in ("summed", "chatty")] == [3, 3]


def test_group_stops_when_its_time_is_up(measured: Any) -> None:
    precision = PrecisionGoal(1e-6, most=9, seconds=0.0, baseline="summed").rule()
    outcomes = measured("summed", "chatty", precision=precision)
    assert measured.about["stopped"] == "time"
    assert len(outcomes["summed"]["samples"]) == 2


def test_worker_that_dies_in_a_further_launch_fails_its_cell_alone(measured: Any) -> None:
    precision = PrecisionGoal(1e-6, most=4, seconds=60.0, baseline="summed").rule()
    outcomes = measured("summed", "chatty", "crash_later", precision=precision)
    assert outcomes["crash_later"]["outcome"] == "crashed"
    assert len(outcomes["summed"]["samples"]) == 4
