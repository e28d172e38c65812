"""Test which run a unit is recorded in, and what a session that goes on measures again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster.class_runs import ClassRuns
from benchmarks.cluster.unit import by_unit
from benchmarks.harness.protocol.cells import Cell, groups
from benchmarks.harness.selection.options import Selection
from benchmarks.harness.session.resume import ResumeError
from benchmarks.machine import environment
from results.records.storage import find_runs, load_run

SETTINGS: dict[str, Any] = {"launches": 2, "code": "c0de", "arguments": ["benchmarks"]}


def selected(*phases: str) -> list[Cell]:
    """Return the cells of two ways in these phases, of a scenario in two sizes."""
    chosen = Selection(
        scenario=("linear_cascade",), framework=("torch",), phase=phases, device="cpu",
        strategy=("summed", "separate_retained"), size=("seed", "small"),
    )  # fmt: skip
    return [cell for cell in chosen.cells() if cell.kind == "backward"]


CELLS = selected("gradient")
UNITS, UNITS_OF_TWO_PHASES = by_unit(CELLS), by_unit(selected("backward", "gradient"))


def runs(folder: Path, session: str = "s") -> ClassRuns:
    """Return the runs of a session that has measured nothing."""
    about = {"session": session, "backend": "local", "refused": {}}
    return ClassRuns(CELLS, folder, SETTINGS, about)


def answer(
    unit: str, machine: str, outcome: str = "ok", node: str = "n1", units: Any = UNITS
) -> Any:
    """Return the answer of a node about one of some units, with this outcome of every cell."""
    described = environment.describe() | {"id": machine}
    cell: Any = {
        "outcome": outcome,
        "why": None if outcome == "ok" else "it crashed",
        "figures": {"equivalence": "pass"} if outcome == "ok" else {},
        "samples": [[1e-3, 1e-3]] * 2 if outcome == "ok" else [],
        "steady": [True, True],
        "peak_seconds": [],
    }
    about: Any = {
        "described": {}, "spent": {"timing": 1.0}, "worker_seconds": 1.0, "stopped": None,
        "flows": {}, "notes": [], "paused": [],
    }  # fmt: skip
    members = groups(units[unit]).values()
    return {
        "unit": unit,
        "node": {"name": node, "machine": described},
        "refused": None,
        "canaries": [],
        "groups": [
            {"about": about, "cells": {c.strategy: dict(cell) for c in group}} for group in members
        ],
    }


def saved(folder: Path) -> dict[str, Any]:
    """Return machine → its saved run."""
    return {path.parent.name: load_run(path) for path in find_runs(folder)}


def cells_of(run: Any) -> set[tuple[str, str]]:
    """Return size and outcome of the records of a run."""
    return {(record["size"], record["outcome"]) for record in run.records}


def test_each_class_has_a_run_and_what_nobody_measured_stands_in_the_first(tmp_path: Path) -> None:
    one, (seed, small) = runs(tmp_path), list(UNITS)
    one.take(answer(small, "aaaa"), UNITS[small])
    one.save(interrupted=True)
    assert cells_of(saved(tmp_path)["aaaa"]) == {("small", "ok"), ("seed", "interrupted")}
    one.take(answer(seed, "bbbb", node="n2"), UNITS[seed])
    one.save(ended=True)
    both = saved(tmp_path)
    assert {name: cells_of(run) for name, run in both.items()} == {
        "aaaa": {("small", "ok")},
        "bbbb": {("seed", "ok")},
    }
    assert both["bbbb"].settings["cluster"]["nodes"]["n2"]["units"] == [seed]
    assert {record["node"] for record in both["bbbb"].records} == {"n2"}
    assert both["aaaa"].id != both["bbbb"].id


def test_ratio_of_each_group_is_of_the_times_that_its_node_sent(tmp_path: Path) -> None:
    one, (unit, cells) = runs(tmp_path), next(iter(UNITS_OF_TWO_PHASES.items()))
    sent = answer(unit, "aaaa", units=UNITS_OF_TWO_PHASES)
    for group, times in zip(sent["groups"], (1.5, 2.5), strict=True):
        group["cells"]["separate_retained"]["samples"] = [[times * 1e-3] * 4] * 2
    one.take(sent, cells)
    one.save(ended=True)
    (run,) = saved(tmp_path).values()
    found = {r["phase"]: r["ratio"]["estimate"] for r in run.records if r["ratio"]}
    first, second = (group[0].phase for group in groups(cells).values())
    assert found == {first: pytest.approx(1.5), second: pytest.approx(2.5)}


def test_session_goes_on_with_all_its_runs_and_measures_whole_units(tmp_path: Path) -> None:
    one, (seed, small) = runs(tmp_path), list(UNITS)
    one.take(answer(small, "aaaa"), UNITS[small])
    one.take(answer(seed, "bbbb", "crashed"), UNITS[seed])
    one.save(interrupted=True, ended=True)
    again = runs(tmp_path, "another")
    again.restore(saved(tmp_path)["bbbb"].id, "here")
    assert again.about["session"] == "s"
    assert again.unfinished(UNITS) == [seed]
    again.take(answer(seed, "aaaa"), UNITS[seed])
    again.save(ended=True)
    both = saved(tmp_path)
    assert cells_of(both["aaaa"]) == {("small", "ok"), ("seed", "ok")}
    assert cells_of(both["bbbb"]) == set(), "a cell has one record, in the run that measured it"


def test_unit_that_fails_again_keeps_its_earlier_record(tmp_path: Path) -> None:
    one, (seed, _) = runs(tmp_path), list(UNITS)
    one.take(answer(seed, "aaaa"), UNITS[seed])
    one.fail(UNITS[seed], "crashed", "no node is left")
    assert one.record(UNITS[seed][0])[0]["outcome"] == "ok"
    other = next(cell for cell in CELLS if cell not in UNITS[seed])
    one.fail([other], "crashed", "no node is left")
    assert one.record(other)[0]["missing"]["seconds"] == "no node is left"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"launches": 3}, "launches is 2 there, 3 here"),
        ({"code": "other"}, "it was measured by other code"),
    ],
)
def test_session_of_other_settings_is_not_gone_on_with(
    tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    one = runs(tmp_path)
    one.take(answer(next(iter(UNITS)), "aaaa"), UNITS[next(iter(UNITS))])
    one.save(interrupted=True)
    again = ClassRuns(CELLS, tmp_path, SETTINGS | change, {"session": "t"})
    with pytest.raises(ResumeError, match=said):
        again.restore("newest", "here")


def test_session_of_other_cells_is_not_gone_on_with(tmp_path: Path) -> None:
    one = runs(tmp_path)
    one.take(answer(next(iter(UNITS)), "aaaa"), UNITS[next(iter(UNITS))])
    one.save(interrupted=True)
    fewer: list[Cell] = CELLS[:1]
    again = ClassRuns(fewer, tmp_path, SETTINGS, {"session": "t"})
    with pytest.raises(ResumeError, match="lacks 0 of the cells selected here and has 3 others"):
        again.restore("newest", "here")


def test_without_a_stopped_run_of_a_cluster_there_is_none_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(ResumeError, match=r"no run of a cluster under .* was stopped"):
        runs(tmp_path).restore("newest", "here")
