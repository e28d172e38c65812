"""Look into the model of a report: its sections, tables and texts."""

from __future__ import annotations

from results.records.record import Run
from results.report.build import build
from results.report.model import Section, Table, blocks_of

# of a report on one run, in order
SECTIONS = [
    "passes", "freezing", "frameworks", "flow", "growth", "write", "belief", "gradients",
    "absent", "conditions", "cells", "words",
]  # fmt: skip


def section_of(run: Run, name: str) -> Section:
    """Return the section of this name in a report on one run."""
    (part,) = build([run]).parts
    (section,) = [section for section in part.sections if section.name == name]
    return section


def tables(section: Section) -> list[Table]:
    """Return the tables of a section, with those of sections and folds in it."""
    return [block for block in blocks_of(section.blocks) if isinstance(block, Table)]


def texts(table: Table) -> list[list[str]]:
    """Return the text of every cell of a table, row by row."""
    return [[cell.text for cell in row.cells] for row in table.rows]
