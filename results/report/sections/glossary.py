"""Build the glossary: what phases, modes, sizes and networks mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.formatting import NOTHING
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report.model import Cell, Row, Section, Table
from results.report.vocabulary import MODES, PHASES, size_rank


def section(records: list[AnyRecord], scenarios: Mapping[str, Mapping[str, Any]]) -> Section:
    """Return two folded tables: phases and modes, and the networks with their sizes.

    Only names that the records use are explained.

    Args:
        scenarios: the name of a scenario → its ``summary`` and its ``sizes``, where known.
    """
    used = {record[field] for record in records for field in ("phase", "mode")}
    words = [(name, "phase", meaning) for name, meaning in PHASES.items()]
    words += [(name, "mode", meaning) for name, meaning in MODES.items()]
    rows = [
        Row([Cell(name, "", "code"), Cell(kind), Cell(meaning)])
        for name, kind, meaning in words
        if name in used
    ]
    title = "What is timed, and how the framework runs it"
    tables = [Table(title, ["", "", "means"], rows, folded=True), *_networks(records, scenarios)]
    return Section("words", "What the words mean", tables)


def _networks(records: list[AnyRecord], scenarios: Mapping[str, Mapping[str, Any]]) -> list[Table]:
    """Return the table that describes each scenario and the dimensions of its sizes.

    Args:
        scenarios: the name of a scenario → its ``summary`` and its ``sizes``, where known.

    Returns:
        A list of the table; empty where there are no records.
    """
    rows = []
    for name, members in group_by(records, lambda record: str(record["scenario"])).items():
        about = scenarios.get(name, {})
        measured = {record["size"] for record in members}
        cells = [
            Cell(name),
            Cell(str(about.get("summary") or NOTHING)),
            Cell(_sizes_text(about.get("sizes", {}), measured)),
        ]
        rows.append(Row(cells, {"scenario": name}))
    if not rows:
        return []
    columns = ["network", "what it is", "sizes"]
    return [Table("The networks, and the sizes measured", columns, rows, folded=True)]


def _sizes_text(dimensions: Mapping[str, Mapping[str, Any]], measured: set[str]) -> str:
    """Return the measured sizes in words: ``medium: width 512, batch 192; large: …``.

    Args:
        dimensions: size → its dimensions, where they are known.
        measured: the sizes to mention, the smallest first.
    """
    ordered = sorted(measured, key=lambda size: (size_rank(size), size))
    return "; ".join(f"{size}: {_dimensions_text(dimensions.get(size))}" for size in ordered)


def _dimensions_text(values: Mapping[str, Any] | None) -> str:
    """Return the dimensions of a size in words: ``width 512, batch 192``.

    Args:
        values: name → value; None where they are not known.
    """
    if not values:
        return "not told"
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not False)
