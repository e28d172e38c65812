"""Check break-even numbers worked out by hand, and the reasons where there is none."""

from __future__ import annotations

from typing import Any

import pytest

from results.estimates.break_even import break_even, break_evens
from results.records.record import Record
from results.report.build import build
from results.report.markdown import markdown
from tests.helpers.factories.records import CELL, record, run


def figure(estimate: float, spread: float = 0.01, launches: int = 6) -> dict[str, Any]:
    low, high = estimate * (1 - spread), estimate * (1 + spread)
    known = {"estimate": estimate, "confidence": 0.95, "launches": launches}
    return known | ({"low": low, "high": high} if launches >= 6 else {"low": None, "high": None})


def cell(mode: str, estimate: float, **known: Any) -> Record:
    stages = {"trace_seconds": 2.0, "compile_seconds": 7.0, "first_call_seconds": 10.0}
    return record(CELL | {"mode": mode}, **({"seconds": figure(estimate)} | stages | known))


EAGER = cell("eager", 3.0, trace_seconds=None, compile_seconds=None, first_call_seconds=4.0)


def test_payback_is_the_first_call_at_which_the_totals_meet() -> None:
    point = break_even(cell("compile", 1.0), EAGER)
    # eager 3, 6, 9, 12, 15; compiled 10, 11, 12, 13, 14
    assert (point.calls, point.missing) == (5, None)
    # N = (10 - c) / (e - c): at e = 3.03, c = 0.99 4.4; at e = 2.97, c = 1.01 4.6
    assert (point.low, point.high) == (5, 5)
    exact = break_even(cell("compile", 1.0, first_call_seconds=9.0), EAGER)
    assert exact.calls == 4  # 12 against 12


def test_interval_of_the_times_is_that_of_the_calls() -> None:
    compiled = cell("compile", 1.0, seconds=figure(1.0, spread=0.5), first_call_seconds=100.0)
    point = break_even(compiled, EAGER)
    assert (point.low, point.calls, point.high) == (40, 50, 68)  # 99.5/2.53, 99/2, 98.5/1.47


@pytest.mark.parametrize(
    ("compiled", "eager", "why"),
    [
        (cell("compile", 1.0), None, "its eager twin is not part of this run"),
        (cell("compile", 1.0), EAGER | {"outcome": "crashed"}, "outcome crashed"),
        (cell("compile", 4.0), EAGER, "never: compiled is slower"),
        (cell("compile", 2.985), EAGER, "told from noise"),
        (cell("compile", 2.9, seconds=figure(2.9, spread=0.05)), EAGER, "told from noise"),
        (cell("compile", 1.0, seconds=figure(1.0, launches=2)), EAGER, "there were 2 launches"),
        (cell("compile", 1.0, first_call_seconds=8.0), EAGER, "serves the forward pass too"),
        (cell("compile", 1.0, seconds=None), EAGER, "compile has no time: not measured"),
        (cell("compile", 1.0, first_call_seconds=None), EAGER, "no first call: not measured"),
        (cell("compile", 1.0, compile_seconds=None), EAGER, "no compile time: not measured"),
    ],
)
def test_payback_is_null_with_the_reason(compiled: Record, eager: Record | None, why: str) -> None:
    point = break_even(compiled, eager)
    assert (point.calls, point.low, point.high) == (None, None, None)
    assert why in (point.missing or "")


def test_twin_differs_in_nothing_but_the_mode() -> None:
    other = cell("compile", 1.0) | {"strategy": "summed"}
    failed = cell("compile_networks", 1.0) | {"outcome": "timeout"}
    points = break_evens([other, cell("compile", 1.0), failed, EAGER])
    assert [(one.record["strategy"], one.calls) for one in points] == [
        ("summed", None),
        ("separate_retained", 5),
    ]


def test_page_has_a_row_for_each_cell_beside_its_eager_twin() -> None:
    made = run(records=[EAGER, cell("compile", 1.0), cell("compile_networks", 4.0)])
    section = (
        markdown(build([made])).partition("<summary>When compiling pays</summary>")[2].splitlines()
    )
    rows = [line for line in section if line.startswith("| stacked_cascade")][:2]
    names = "| stacked_cascade n4 | large | backward | torch"
    stages = "2.00 s | 7.00 s | 10.0 s"
    strategy = "separate_retained · a pass for each loss"
    assert rows == [
        f"{names} compile | {strategy} | 3.00 s | 1.00 s | {stages} | 5 \\[5, 5\\] |",
        f"{names} compile_networks | {strategy} | 3.00 s | 4.00 s | {stages} | never |",
    ]
    near = markdown(build([run(records=[EAGER, cell("compile", 2.985)])]))
    assert f"| 3.00 s | 2.98 s | {stages} | not told |" in near


def test_page_says_how_to_learn_of_it_where_one_mode_was_measured() -> None:
    page = markdown(build([run(records=[EAGER], samples={})]))
    assert "**When compiling pays**" not in page
    assert "`pytest benchmarks --benchmark-only --mode all`" in page
