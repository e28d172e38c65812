"""The page names the scenarios of the suite that its runs do not hold, and how to add them."""

from __future__ import annotations

from results.report.build import build
from results.report.model import Section, Table
from tests.helpers.factories.report_runs import whole_run

CATALOGUE = ("conv_cascade", "stacked_cascade", "early_exit")


def absent(*catalogue: str) -> Section:
    (part,) = build([whole_run()], catalogue).parts
    (section,) = [section for section in part.sections if section.name == "absent"]
    return section


def test_scenarios_without_a_run_are_named_with_the_command_that_measures_them() -> None:
    section = absent(*CATALOGUE)
    assert section.title.endswith("; 2 of the suite's scenarios are not in these runs")
    table = section.blocks[0]
    assert isinstance(table, Table)
    lines = [[cell.text for cell in row.cells] for row in table.rows]
    assert ["scenarios", "1 of 3 of the suite", "conv_cascade, early_exit"] in lines
    words = "".join(str(piece) for piece in section.blocks[1])  # type: ignore[union-attr]
    assert "pytest benchmarks --benchmark-only --scenario conv_cascade,early_exit" in words


def test_where_none_is_missing_or_the_catalogue_is_unknown_nothing_is_said() -> None:
    for section in (absent("stacked_cascade"), absent()):
        assert "scenarios" not in section.title
        assert section.blocks[1] == ["Nothing failed."]
