"""Test how option values become a selection, without a whole session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import conftest
from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import options as selection


def config(**options: Any) -> Any:
    defaults = dict.fromkeys(cells.OPTIONS) | {"device": "cpu", "launches": 6, "everything": False}
    defaults |= {"most_launches": 24, "group_seconds": 60.0}
    defaults |= {"cell_seconds": 0.05, "cell_limit": 120.0, "benchmark_skip": False}
    return SimpleNamespace(getoption=(defaults | options).__getitem__)


def test_framework_that_is_not_installed_is_said_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conftest, "installed", lambda name: None if name == "jax" else "2.13.0")
    with pytest.raises(selection.SelectionError) as raised:
        conftest.selection_of(config(framework=["torch,jax"]))
    assert "--framework 'jax' is not installed here" in str(raised.value)
    assert "pip install" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_what_is_not_installed_is_not_selected_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "installed", lambda name: "0.10.2" if name == "jax" else None)
    chosen = conftest.selection_of(config())
    assert chosen.framework == ("jax",)
    assert {cell.framework for cell in chosen.cells()} == {"jax"}


def test_names_are_given_by_commas_or_again_and_again() -> None:
    chosen = conftest.selection_of(config(size=["seed,small", "large"], framework=["torch"]))
    assert chosen.size == ("seed", "small", "large")
