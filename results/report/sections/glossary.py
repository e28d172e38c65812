"""What the words of the page mean: phases, modes, sizes and networks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from results.formatting import NOTHING
from results.records.record import Record
from results.report.answers import SIZES
from results.report.model import Cell, Row, Section, Table
from results.report.vocabulary import MODES, PHASES

About = Mapping[str, Mapping[str, Any]]  # scenario → its summary and its sizes


def section(records: list[Record], scenarios: About) -> Section:
    """Two folded tables: the words, and the networks with what their sizes are."""
    words = [(name, "phase", told) for name, told in PHASES.items()]
    words += [(name, "mode", told) for name, told in MODES.items()]
    used = {record[field] for record in records for field in ("phase", "mode")}
    rows = [Row([Cell(name, "", "code"), Cell(kind), Cell(told)]) for name, kind, told in words
            if name in used]  # fmt: skip
    tables = [Table("What is timed, and how the framework runs it", ["", "", "means"], rows,
                    folded=True)]  # fmt: skip
    networks = _networks(records, scenarios)
    return Section("words", "What the words mean", [*tables, *networks])


def _networks(records: list[Record], scenarios: About) -> list[Table]:
    measured: dict[str, set[str]] = {}
    for record in records:
        measured.setdefault(record["scenario"], set()).add(record["size"])
    rows = [
        Row(
            [
                Cell(name),
                Cell(str(scenarios.get(name, {}).get("summary") or NOTHING)),
                Cell(_sizes(scenarios.get(name, {}).get("sizes"), sizes)),
            ],
            {"scenario": name},
        )
        for name, sizes in measured.items()
    ]
    return [Table("The networks, and the sizes measured", ["network", "what it is", "sizes"], rows,
                  folded=True)] if rows else []  # fmt: skip


def _sizes(told: Any, measured: set[str]) -> str:
    """``medium: width 512, batch 192; large: …``, the smallest first."""
    known = told if isinstance(told, Mapping) else {}
    order = sorted(measured, key=lambda s: (SIZES.index(s) if s in SIZES else len(SIZES), s))
    return "; ".join(f"{size}: {_parts(known.get(size))}" for size in order)


def _parts(values: Any) -> str:
    if not isinstance(values, Mapping) or not values:
        return "not told"
    return ", ".join(f"{name} {value}" for name, value in values.items() if value is not False)
