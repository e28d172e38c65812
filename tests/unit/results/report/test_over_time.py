"""Test the report's section on many runs: changes, their dates, and the confirming command."""

from __future__ import annotations

from typing import Any

import pytest

from results.records.record import Run
from results.regression import history
from results.report.collection import collect
from results.report.model import Chart, Table
from results.report.sections import over_time
from results.statistics.change_points import LEAST
from results.terminal import history_table
from tests.helpers.factories.report_runs import whole_run

pytest.importorskip("ruptures")
pytest.importorskip("altair")


def daily_runs(count: int, slower_from: int | None = None) -> list[Run]:
    """Return a run a day.

    From day ``slower_from`` on, everything takes 1.5 times as long, and the commit is another.
    """
    runs = []
    for day in range(1, count + 1):
        late = slower_from is not None and day >= slower_from
        run = whole_run(
            f"202611{day:02d}T010203-ab12cd", drift=1.5 if late else 1.0, seed=day, variants=("n2",)
        )
        run.machine.update({"commit": ("b" if late else "a") * 40, "dirty": False})
        runs.append(run)
    return runs


def blocks(runs: list[Run], kind: type) -> list[Any]:
    (machine,) = collect(runs)
    section = over_time.section(machine)
    return [block for block in section.blocks if isinstance(block, kind)] if section else []


def test_few_runs_have_no_section_over_time() -> None:
    (machine,) = collect(daily_runs(LEAST - 1))
    assert over_time.section(machine) is None


def test_a_change_has_its_date_size_and_confirming_command() -> None:
    (table,) = blocks(daily_runs(24, slower_from=13), Table)
    assert len(table.rows) == len(whole_run(variants=("n2",)).records)
    for row in table.rows:
        name, count, before, now, changed, sure = (cell.text for cell in row.cells)
        assert (count, row.cells[4].kind) == ("24", "slower")
        assert changed.endswith("since 20261113T010203 (bbbbbbbbb)")
        assert sure.startswith(f"cascade-bench regress {'a' * 12} {'b' * 12} --kind=")
        assert before != now
        assert row.filters["framework"] in name


def test_unchanged_runs_are_drawn_without_a_change() -> None:
    assert blocks(daily_runs(12), Table) == []
    (chart,) = blocks(daily_runs(12), Chart)
    assert chart.spec["height"] == 340
    cells = history_table.cell_histories(history.series_of_runs(daily_runs(12)))
    marks = [mark for line in cells for mark in over_time._marks(line)]
    assert {mark["begins"] for mark in marks} == {""}
    assert {mark["run"][:8] for mark in marks} == {f"202611{day:02d}" for day in range(1, 13)}
