"""Ratios of two Dask workers pinned to a core each, beside those of a plain session on one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.affinity import available_cores
from results.records.record import Run
from tests.helpers.pinned_sessions import measured, measured_by_workers

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.serial]
# 3 units: linear_cascade, and stacked_cascade with 2 and with 4 networks
ARGUMENTS = [
    "--kind=backward", "--framework=torch", "--scenario=linear_cascade,stacked_cascade",
    "--size=small", "--phase=gradient", "--strategy=summed,separate_retained,reforward",
    "--launches=6", "--cell-seconds=0.1",
]  # fmt: skip
# the end of an interval over its begin; on a quiet machine about 1.04
MOST_SPREAD = 1.3


def ratios(run: Run) -> dict[str, Any]:
    """Return the ratio to the baseline, with its interval, of every way of every network."""
    return {
        " ".join((record["scenario"], record["variant"], record["strategy"])): record["ratio"]
        for record in run.records
        if record["strategy"] != record["baseline"]
    }


@pytest.mark.skipif(len(available_cores()) < 2, reason="two workers need a core each")
def test_two_pinned_workers_measure_the_ratios_of_a_plain_session_pinned_likewise(
    tmp_path: Path,
) -> None:
    found = apart(*ratios_of_both_sessions(tmp_path / "first"))
    if found:  # other work on a core moves a ratio for a while; what the workers do moves it again
        found = apart_again(found, apart(*ratios_of_both_sessions(tmp_path / "again")))
    assert not found


def ratios_of_both_sessions(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure the plain session and that of two workers; return the ratios of each.

    Skips the test where the machine is too busy to tell any.
    """
    folder.mkdir()
    first, second, *_ = available_cores()
    alone, _ = measured(folder / "plain", ARGUMENTS, prefix=("taskset", "-c", str(first)))
    plain = ratios(alone)
    run, _ = measured_by_workers(folder / "shared", [first, second], ARGUMENTS)
    shared = ratios(run)
    assert {record["node"] for record in run.records} == {"n1", "n2"}
    assert shared.keys() == plain.keys()
    assert len(plain) == 6
    assert all(one["low"] for one in (*plain.values(), *shared.values()))
    if vague := {name: one for run in (plain, shared) for name, one in vague_of(run).items()}:
        pytest.skip(f"the machine was too busy to tell ratios by their intervals: {vague}")
    return plain, shared


def vague_of(ratios: dict[str, Any]) -> dict[str, Any]:
    """Return the ratios whose intervals are so wide that they overlap with almost any other."""
    return {name: one for name, one in ratios.items() if one["high"] > MOST_SPREAD * one["low"]}


def apart(plain: dict[str, Any], shared: dict[str, Any]) -> dict[str, Any]:
    """Return the ratios whose intervals do not overlap in two runs, with both."""
    return {
        name: (one, shared[name])
        for name, one in plain.items()
        if not (one["low"] <= shared[name]["high"] and shared[name]["low"] <= one["high"])
    }


def apart_again(found: dict[str, Any], again: dict[str, Any]) -> dict[str, Any]:
    """Return the ratios that are apart both times and to the same side, with both of each time."""
    return {
        name: (found[name], again[name])
        for name in found.keys() & again.keys()
        if is_higher(*found[name]) == is_higher(*again[name])
    }


def is_higher(plain: dict[str, Any], shared: dict[str, Any]) -> bool:
    return bool(shared["low"] > plain["high"])


def test_interval_that_overlaps_with_almost_any_tells_nothing() -> None:
    busy = {"a": {"low": 0.61, "high": 3.16}, "b": {"low": 1.42, "high": 1.47}}
    assert list(vague_of(busy)) == ["a"]


def test_ratio_that_is_scaled_on_a_node_is_apart() -> None:
    plain = {"a": {"low": 1.2, "high": 1.3}, "b": {"low": 1.9, "high": 2.1}}
    near = {"a": {"low": 1.29, "high": 1.4}, "b": {"low": 1.8, "high": 1.91}}
    assert apart(plain, near) == {}
    assert list(apart(plain, {**near, "b": {"low": 1.7, "high": 1.89}})) == ["b"]
    assert list(apart(plain, {**near, "a": {"low": 1.31, "high": 1.4}})) == ["a"]


def test_ratio_that_is_apart_once_or_to_both_sides_is_not_apart_again() -> None:
    usual, high, low = ({"low": one, "high": one + 0.1} for one in (1.2, 1.5, 0.9))
    above, below = {"a": (usual, high)}, {"a": (usual, low)}
    assert apart_again(above, {}) == apart_again(above, below) == apart_again(below, above) == {}
    assert list(apart_again(above, above)) == list(apart_again(below, below)) == ["a"]
