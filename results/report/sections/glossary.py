"""Build the glossary: what ways, phases, modes, verdicts, sizes and networks mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.formatting import NOTHING
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report.model import Cell, Row, Section, Table
from results.report.vocabulary import (
    DEFINITIONS,
    MODES,
    PHASES,
    VERDICT_WORDS,
    code_of,
    size_rank,
)
from results.ways import way_title


def section(records: list[AnyRecord], scenarios: Mapping[str, Mapping[str, Any]]) -> Section:
    """Return folded tables: every way, what is timed and how, other words, and the networks.

    Only names that the records use are explained.

    Args:
        scenarios: the name of a scenario → its ``summary`` and its ``sizes``, where known.
    """
    used = {record[field] for record in records for field in ("phase", "mode", "verdict")}
    words = [(name, "phase", meaning) for name, meaning in PHASES.items()]
    words += [(name, "mode", meaning) for name, meaning in MODES.items()]
    words += [(name, "verdict", meaning) for name, meaning in VERDICT_WORDS.items()]
    rows = [
        Row([Cell(name, "", "code"), Cell(kind), Cell(meaning)])
        for name, kind, meaning in words
        if name in used
    ]
    titles = [Row([Cell(name), Cell(meaning)]) for name, meaning in DEFINITIONS.items()]
    tables = [
        *_ways(records),
        Table("What is timed, and how the framework runs it", ["", "", "means"], rows, folded=True),
        Table("Titles of columns", ["title", "means"], titles, folded=True),
        *_networks(records, scenarios),
    ]
    return Section("words", "What the words mean", tables)


def _ways(records: list[AnyRecord]) -> list[Table]:
    """Return the table of every way that the records use, with its code; none without records.

    A way has one name everywhere: what ``--strategy`` takes, with the same words behind it.
    """
    used = {(str(r["framework"]), str(r["strategy"])) for r in records}
    rows = [
        Row(
            [Cell(way_title(way)), Cell(framework), Cell(code_of(framework, way), "", "code")],
            {"framework": framework},
        )
        for framework, way in sorted(used, key=lambda pair: (pair[0] != "torch", pair[1]))
    ]
    columns = ["way", "framework", "in code"]
    return [Table("Every way, by its name", columns, rows, folded=True)] if rows else []


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
