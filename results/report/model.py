"""What a report is made of, whatever it is shown as: sections of text, tables and charts.

Every text may hold names from files; it is plain here, and whoever shows it escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from results.formatting import NOTHING, seconds_text
from results.records.record import Record

# what a reader filters by: every row of a table and every mark of a chart may say these of itself
FILTERS = ("scenario", "size", "framework")


class Code(str):
    """A piece of text that is code."""


class Strong(str):
    """A piece of text that must not be missed."""


Paragraph = Sequence[str]  # pieces of text: plain, `Code` or `Strong`


class Cell(NamedTuple):
    """A cell of a table: its text, why it is empty or marked (``note``), and what it is (``kind``).

    ``kind`` is a verdict, ``missing``, ``failed`` or nothing.
    """

    text: str
    note: str = ""
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """Cells, and of what they are: some of `FILTERS`."""

    cells: Sequence[Cell]
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """``numbers`` are the indices of columns to be aligned right; ``folded`` is shown on demand."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    numbers: Sequence[int] = ()
    folded: bool = False
    about: str = ""


@dataclass(frozen=True)
class Chart:
    """What it shows, in words for who cannot see it, and how to make its specification."""

    name: str
    title: str
    about: str
    make: Callable[[], dict[str, Any]]

    @cached_property
    def spec(self) -> dict[str, Any]:
        """Vega-Lite's, as a plain dictionary; made when first asked for, which needs Altair."""
        return self.make()


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it, in this order; ``blocks`` may hold sub-sections."""

    name: str
    title: str
    blocks: Sequence[Paragraph | Table | Chart | Section | Points]


@dataclass(frozen=True)
class Points:
    """A list of short paragraphs."""

    items: Sequence[Paragraph]


@dataclass(frozen=True)
class Part:
    """The sections on one machine."""

    title: str
    about: Paragraph
    sections: Sequence[Section]


@dataclass(frozen=True)
class Report:
    """``warnings`` stand at the top: what a reader must know before anything else."""

    title: str
    warnings: Sequence[Paragraph]
    parts: Sequence[Part]


def missing(reason: str) -> Cell:
    """A figure that could not be had, and why."""
    return Cell(NOTHING, reason, "missing")


def of(record: Record, key: str, text: str) -> Cell:
    """A figure of the record as ``text``, or why there is none."""
    if record[key] is None:
        return missing(str(record["missing"].get(key, "not measured")))
    return Cell(text)


def time_of(record: Record) -> Cell:
    """The record's time, marked where it still had a trend; or why there is none."""
    seconds = record["seconds"]
    text = seconds_text(seconds["estimate"] if seconds else None)
    if record["steady"] is False:
        return Cell(f"{text} (not steady)", "times still had a trend when they were taken")
    return of(record, "seconds", text)


def about(record: Mapping[str, Any]) -> dict[str, str]:
    """What the row or mark of this record can be filtered by."""
    return {name: str(record[name]) for name in FILTERS}


def problem(record: Mapping[str, Any]) -> str:
    """Scenario and variant, the latter where there are several."""
    return " ".join(str(record[name]) for name in ("scenario", "variant") if record[name] != "-")


def way(record: Mapping[str, Any]) -> str:
    """Framework and mode."""
    return f"{record['framework']} {record['mode']}"
