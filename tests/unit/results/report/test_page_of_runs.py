"""Test the table of runs, and columns that appear only where something was measured."""

from __future__ import annotations

import dataclasses

from results.report.build import build
from tests.helpers.factories.report_runs import whole_run
from tests.unit.results.report.test_pages import section_of, tables, texts


def test_every_run_is_listed_with_its_commit_and_the_count_of_cells_shown() -> None:
    old, new = whole_run(), whole_run("20261122T010203-ab12cd", sizes=("seed",))
    old.machine.update({"commit": "a" * 40, "dirty": True})
    new = dataclasses.replace(new, interrupted=True)
    (part,) = build([old, new]).parts
    (section,) = [one for one in part.sections if one.name == "conditions"]
    (table,) = [t for t in tables(section) if t.title == "The runs"]
    half = len(old.records) // 2
    launches = ["6", "7.0", "90 %"]
    assert texts(table) == [
        [old.id, "aaaaaaaaa with changes", *launches, str(half), "", "torch ok, jax ok"],
        [new.id, "\N{EN DASH}", *launches, str(half),
         "interrupted: it holds what was measured until then", "torch ok, jax ok"],
    ]  # fmt: skip
    new.settings["canaries"][0]["passed"] = False
    (part,) = build([old, new]).parts
    (section,) = [one for one in part.sections if one.name == "conditions"]
    assert f"{new.id}: " in str(section.blocks[0])


def test_the_column_of_peak_memory_is_there_where_it_was_measured() -> None:
    run = whole_run()
    freezing_tables = tables(section_of(run, "freezing"))
    assert all("peak memory" not in table.columns for table in freezing_tables)
    assert {len(row.cells) for table in freezing_tables for row in table.rows} == {
        len(freezing_tables[0].columns)
    }
    run.records[-1]["peak_bytes"] = 3 * 2**20
    (table,) = [t for t in tables(section_of(run, "freezing")) if "peak memory" in t.columns]
    assert texts(table)[-1][table.columns.index("peak memory")] == "3.00 MiB"
