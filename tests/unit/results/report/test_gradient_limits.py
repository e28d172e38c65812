"""The page says how far off a gradient was allowed to be, and how far off the worst was."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from benchmarks.harness.protocol import equivalence
from results.records.record import Run
from results.report.gradient_errors import EPSILON, LIMITS, gradient_errors
from results.report.model import Table
from tests.helpers.factories.report_runs import whole_run
from tests.helpers.report_pages import section_of, tables

EPS = EPSILON["float32"]


def held_to(allowed: float | None) -> Run:
    """Return a run whose records say, or do not say, which limit they were held to."""
    run = whole_run()
    records: list[Any] = [dict(record) for record in run.records]
    for record in records:
        more = {} if allowed is None else {"allowed": allowed}
        record["gradient_error"] = {**record["gradient_error"], **more}
    return dataclasses.replace(run, records=records)


def table_of(run: Run, title: str) -> Table:
    found = tables(section_of(run, "gradients"))
    (table,) = [one for one in found if one.title.startswith(title)]
    return table


def test_limits_of_the_page_are_those_of_the_check() -> None:
    assert [(limit.dtype, limit.allowed) for limit in LIMITS] == [
        ("float32", equivalence.tolerance("float32", 1.0)),
        ("float32", equivalence.tolerance("float32", 2e-6)),
        ("float32", equivalence.tolerance("float32", None)),
        ("float64", equivalence.tolerance("float64", 1.0)),
    ]


@pytest.mark.parametrize("place", range(3))
def test_largest_error_stands_beside_the_limit_that_it_was_held_to(place: int) -> None:
    table = table_of(held_to(LIMITS[place].allowed), "How far off")
    texts = [row.cells[3].text for row in table.rows]
    assert len(texts) == 3  # the limit of float64 does not hold for float32
    assert texts[place] == "2.52 eps"  # 3e-7, over the distance from 1 to the next number
    assert [table.rows[i].cells[3].kind for i in range(3) if i != place] == ["missing"] * 2


def test_each_error_stands_beside_its_limit_and_an_older_run_says_that_it_has_none() -> None:
    new = table_of(held_to(100 * EPS), "Worst first").rows[0].cells[1]
    assert new.text == "100 eps"
    old = table_of(held_to(None), "Worst first").rows[0].cells[1]
    assert old.kind == "missing"
    assert "older run" in old.note
    assert {error.allowed for error in gradient_errors(held_to(None).records)} == {None}
