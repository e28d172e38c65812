"""Test how cells become units, in which order nodes get them, and what a node must have."""

from __future__ import annotations

import re
from typing import Any

import pytest

from benchmarks.cluster import node_environment, unit
from benchmarks.cluster.backends.unit_queue import UnitQueue
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import Selection
from benchmarks.machine import environment
from tests.unit.cluster.test_controller import job

SETTINGS: dict[str, Any] = {
    "launches": 2, "cell_seconds": 0.05, "seed": 0, "memory": False, "precision": None,
}  # fmt: skip


def chosen(**names: Any) -> list[Cell]:
    """Return the cells of a selection."""
    return list(Selection(device="cpu", **names).cells())


def made(cells: list[Cell]) -> list[unit.UnitJob]:
    """Return the jobs of all units of these cells."""
    expected = node_environment.expected(cells, environment.describe())
    return [
        unit.unit_job(name, members, ["torch", "jax"], SETTINGS, 20.0, expected)
        for name, members in unit.by_unit(cells).items()
    ]


def test_unit_holds_every_framework_and_group_of_a_problem() -> None:
    cells = chosen(scenario=("linear_cascade", "gan"), size=("seed", "small"))
    jobs = made(cells)
    assert len({one["unit"] for one in jobs}) == len(jobs)
    together = [group for one in jobs for group in one["groups"]]
    possible = [cell for cell in cells if not cell.unsupported_reason()]
    assert sum(len(group["strategies"]) for group in together) == len(possible)
    for one in jobs:
        problems = {(g["scenario"], g["variant"], g["size"]) for g in one["groups"]}
        assert len(problems) == 1
        assert {g["framework"] for g in one["groups"]} == {"torch", "jax"}
        assert [c["framework"] for c in one["canaries"]] == ["torch", "jax"]


def test_longest_units_come_first() -> None:
    jobs = made(chosen(scenario=("linear_cascade",), size=("seed", "large", "small")))
    order = [one["unit"].split()[2] for one in unit.longest_first(jobs)]
    assert order == ["large", "small", "seed"]


def test_rule_of_precision_reaches_the_groups() -> None:
    rule = {"precision": 0.01, "most_launches": 24, "group_seconds": 60.0}
    cells = chosen(scenario=("linear_cascade",), size=("seed",))
    expected = node_environment.expected(cells, environment.describe())
    one = unit.unit_job("u", cells, ["torch"], SETTINGS | rule, 20.0, expected)
    assert {group["precision"]["asked"] for group in one["groups"] if group["precision"]} == {0.01}


def test_queue_gives_a_unit_to_another_node_where_there_is_one() -> None:
    queue = UnitQueue()
    queue.add([job("a"), job("b")], ())
    queue.add([job("lost")], {"n1"})
    taken = [queue.take_for("n1", {"n2"}), queue.take_for("n2", {"n1"})]
    assert [one["unit"] for one in taken if one] == ["a", "lost"]
    queue.add([job("lost")], {"n1"})
    only = queue.take_for("n1", ())
    assert only is not None
    assert only["unit"] == "lost", "no other node is there"
    assert len(queue) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, None),
        ({"versions": {"torch": "0.1"}}, r"^torch .+ there, 0\.1 here$"),
        ({"versions": {"none_such": "1"}}, "^none_such not installed there, 1 here$"),
        ({"commit": "a" * 40}, "^commit [0-9a-f]{12} there, a{12} here$"),
        ({"code": "0"}, "^the code that measures has other files or contents there than here$"),
    ],
)
def test_difference_of_a_node_is_one_line(change: dict[str, Any], said: str | None) -> None:
    machine = environment.describe() | {"commit": "b" * 40, "gpu": None}
    cells = chosen(scenario=("linear_cascade",), size=("seed",))
    (one,) = made(cells)
    one["expected"] = {**one["expected"], "commit": "b" * 40} | change  # type: ignore[typeddict-item]
    found = node_environment.difference(one, machine)
    if said is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(said, found), found


def test_node_without_a_gpu_gets_no_unit_for_one() -> None:
    machine = environment.describe() | {"gpu": None}
    (one,) = made(chosen(scenario=("linear_cascade",), size=("seed",)))
    one["expected"]["commit"] = machine["commit"]
    for group in one["groups"]:
        group["device"] = "cuda"
    assert node_environment.difference(one, machine) == "no GPU there, and the unit is for cuda"
