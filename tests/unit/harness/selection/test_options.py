"""Test how option values become a selection, without a whole session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import pytest_selection
from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import options as selection
from benchmarks.machine import environment
from benchmarks.regression import plan
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    monkeypatch.setattr(
        environment, "installed", lambda name: None if name in packages else "1.2.3"
    )


def config(**options: Any) -> Any:
    defaults = dict.fromkeys(cells.OPTIONS) | {"device": "cpu", "launches": 6, "everything": False}
    defaults |= {"most_launches": 24, "group_seconds": 60.0}
    defaults |= {"cell_seconds": 0.05, "cell_limit": 120.0, "benchmark_skip": False}
    defaults |= {"cluster": None, "ranks": None, "precision_mode": None}
    return SimpleNamespace(getoption=(defaults | options).__getitem__)


def test_framework_that_is_not_installed_is_said_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "jax")
    for names in ("torch,jax", "all"):
        with pytest.raises(selection.SelectionError) as raised:
            pytest_selection.selection_of(config(framework=[names]))
        assert "--framework jax: jax is not installed here" in str(raised.value)
        assert "pip install -e '" in str(raised.value)
        assert "[jax]'" in str(raised.value)
        assert "\n" not in str(raised.value)


def test_what_is_not_installed_is_not_selected_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "torch")
    chosen = pytest_selection.selection_of(config())
    assert chosen.framework == ("jax",)
    assert {cell.framework for cell in chosen.cells()} == {"jax"}


def test_names_are_given_by_commas_or_again_and_again() -> None:
    chosen = pytest_selection.selection_of(
        config(size=["seed,small", "large"], framework=["torch"])
    )
    assert chosen.size == ("seed", "small", "large")


def test_framework_that_lacks_one_of_its_packages_is_not_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without(monkeypatch, "flax", "optax")
    assert pytest_selection.selection_of(config()).framework == ("torch",)
    with pytest.raises(selection.SelectionError, match="jax needs flax and optax, not installed"):
        pytest_selection.selection_of(config(framework=["jax"]))


@pytest.mark.parametrize("skip", [True, False])
def test_without_any_framework_the_ways_to_one_are_said(
    monkeypatch: pytest.MonkeyPatch, skip: bool
) -> None:
    without(monkeypatch, "torch", "jax", "flax", "optax")
    with pytest.raises(selection.SelectionError, match=r"no framework .*\[torch\].*jax"):
        pytest_selection.selection_of(config(benchmark_skip=skip))


@pytest.mark.parametrize("option", cells.OPTIONS)
@pytest.mark.parametrize("names", [("all",), ("first", "all")])
def test_all_is_replaced_by_every_name_once_for_every_option(
    option: str, names: tuple[str, ...]
) -> None:
    every = selection.Selection().allowed()[option]
    given = tuple(every[0] if name == "first" else name for name in names)
    names_of: dict[str, Any] = {option: given}
    chosen = getattr(selection.Selection(**names_of), option)
    assert chosen == tuple(name for name in every if name != "gpu")
    assert "all" not in chosen


def test_all_sizes_are_those_that_the_device_is_given() -> None:
    assert "gpu" in (selection.Selection(size=("all",), device="cuda").size or ())


def test_checks_of_all_frameworks_have_each_of_them_as_parameter() -> None:
    chosen = pytest_selection.selection_of(config(framework=["all"], scenario=["all"]))
    assert chosen.framework == FRAMEWORKS
    assert chosen.scenario == tuple(CATALOGUE)


@pytest.mark.parametrize(
    ("option", "value"),
    [("--results", ""), ("--results", " "), ("BASE", ""), ("--framework", ["torch", "jax,"])],
)
def test_empty_value_is_refused_by_the_name_of_its_option(option: str, value: object) -> None:
    with pytest.raises(selection.SelectionError, match=f"^{option} "):
        selection.check_not_empty(option, value)


@pytest.mark.parametrize("value", [None, "a", ["a,b"], [], 0, False, "a,"])
def test_other_values_are_not_empty(value: object) -> None:
    selection.check_not_empty("--results", value)


@pytest.mark.parametrize(
    ("names", "installed", "said"),
    [
        (None, (), "neither torch nor jax is installed on either side"),
        (("all",), ("torch",), "--framework jax: installed on neither side"),
        (("torch", "jax"), ("jax",), "--framework torch: installed on neither side"),
    ],
)
def test_comparison_needs_each_framework_that_is_named_on_a_side(
    names: tuple[str, ...] | None, installed: tuple[str, ...], said: str
) -> None:
    with pytest.raises(selection.SelectionError, match=said):
        plan.choose_cells({"framework": names}, "cpu", installed)
