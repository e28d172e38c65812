"""Test what is said once tests are collected: what follows, and why nothing does."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks import conftest
from benchmarks.harness.protocol import cells
from benchmarks.pytest_collection import Collected, announcement, unchecked

CELL = cells.Cell(
    "backward", "gan", "turn_d", "seed", "torch", "eager", "summed", "backward", "cpu"
)
NAMES = ["test_backward[gan-turn_d-seed-torch-eager-summed-backward-cpu-float32]"]


def config(**options: Any) -> Any:
    known = dict.fromkeys(cells.OPTIONS) | {"benchmark_only": False, "benchmark_skip": False}
    known |= {"benchmark_disable": False, "launches": 6, "cell_seconds": 0.05, "memory": False}
    known |= {"keyword": "", "markexpr": "", "deselect": None, "precision_mode": None} | options
    return SimpleNamespace(getoption=lambda name: known[name.lstrip("-").replace("-", "_")])


def said(collected: Collected, items: int, timed: int, **options: Any) -> str:
    things: Any = [object()] * items
    return "\n".join(announcement(config(**options), collected, things, [CELL] * timed))


def test_session_of_both_says_how_long_and_how_to_get_one_of_them() -> None:
    line = said(Collected(NAMES), items=601, timed=1)
    assert line.startswith("600 checks first, about 8 min, then 1 cells are timed, about ")
    assert "--benchmark-skip checks only, --benchmark-only times only" in line
    assert "\n" not in line


def test_session_of_one_of_them_says_nothing() -> None:
    assert said(Collected(NAMES), items=600, timed=0, benchmark_skip=True) == ""
    assert said(Collected(NAMES), items=1, timed=1, benchmark_only=True) == ""


def test_checks_that_have_nothing_to_check_are_counted_and_named() -> None:
    collected = Collected(NAMES, without_problem=["test_a", "test_b"])
    line = said(collected, items=9, timed=0, benchmark_skip=True)
    assert line == "nothing to check in this selection for 2: test_a, test_b"


def test_option_that_no_check_looks_at_is_said() -> None:
    line = said(Collected(NAMES), items=9, timed=0, benchmark_skip=True, strategy=["summed"])
    assert line == "--strategy: chosen for what is timed; the checks run all of them"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"keyword": "sumed"}, r"-k 'sumed' leaves none of the 1 tests .*; nearest names: summed"),
        ({"keyword": "gan and not summed"}, r"-k 'gan and not summed' leaves none .* select"),
        ({"markexpr": "slow"}, "-m 'slow' leaves none of the 1 tests"),
    ],
)
def test_filter_that_leaves_nothing_is_named(options: dict[str, str], expected: str) -> None:
    assert re.search(f"^nothing to run: {expected}", said(Collected(NAMES), 0, 0, **options))


def test_selection_that_leaves_nothing_is_named() -> None:
    line = said(Collected(), 0, 0, benchmark_only=True, kind=["freeze"])
    assert "is selected by --benchmark-only --kind=freeze; see `cascade-bench list`" in line


def report(name: str, reason: str = "") -> Any:
    return SimpleNamespace(nodeid=f"benchmarks/test_a.py::{name}", longrepr=("", 1, reason))


def test_framework_of_which_every_check_was_skipped_is_named_with_their_number() -> None:
    skipped = [report(f"test_a[jax-{i}]", "Skipped: no part for jax") for i in range(3)]
    skipped.append(report("test_a[torch-3]", "Skipped: another"))
    ran = [report("test_a[torch-4]")]
    assert unchecked(skipped, ran, ("torch", "jax")) == [
        "NOTHING CHECKED for jax: 3 skipped, as no part for jax"
    ]
    assert unchecked(skipped, ran, ("torch",)) == []
    assert unchecked([], ran, ("torch", "jax")) == []


@pytest.mark.parametrize(("passed", "code"), [([], 5), ([report("test_a[torch-4]")], 0)])
def test_session_in_which_every_test_was_skipped_does_not_end_well(
    passed: list[Any], code: int
) -> None:
    """An exit code of 0 would say that something was proven."""
    stats = {"skipped": [report("test_a[jax-1]")], "passed": passed}
    plugins = SimpleNamespace(getplugin=lambda _: SimpleNamespace(stats=stats))
    about = SimpleNamespace(stash=pytest.Stash(), pluginmanager=plugins)
    session: Any = SimpleNamespace(config=about, exitstatus=pytest.ExitCode.OK)
    conftest.pytest_sessionfinish(session)
    assert session.exitstatus == code
