"""Define what a report consists of, whatever its format: sections of text, tables and charts.

A text may hold names from files. It is stored as it is here; each output format escapes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

from results.formatting import NOTHING

# The fields by which a reader can filter the page. A row of a table or a mark of a chart that has
# one of them is hidden where another value of it is selected.
FILTERS = ("scenario", "size", "framework")
FIGURES = "The figures as tables"  # title of the fold behind the pictures of a section


class Code(str):
    """Mark a piece of text as code."""


class Strong(str):
    """Mark a piece of text as important."""


Paragraph = Sequence[str]  # pieces of text: plain, `Code` or `Strong`


class Cell(NamedTuple):
    """Hold one cell of a table.

    Attributes:
        text: the text that is shown.
        note: why the cell is empty or marked; the page shows it as a tooltip.
        kind: what decides the style: a verdict, ``missing``, ``failed``, ``best``, ``code`` or
            nothing.
        bar: counts that the page shows as a bar of coloured segments, each a kind and a count;
            ``text`` says the same in words.
    """

    text: str
    note: str = ""
    kind: str = ""
    bar: Sequence[tuple[str, int]] = ()


@dataclass(frozen=True)
class Row:
    """Hold the cells of a row, and the values of `FILTERS` that the row has."""

    cells: Sequence[Cell]
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """Hold a table.

    Attributes:
        numbers: indices of the columns that are aligned right.
        folded: whether the reader has to open the table to see it, as it stands behind a picture.
        about: an explanation above the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    numbers: Sequence[int] = ()
    folded: bool = False
    about: str = ""


@dataclass(frozen=True)
class Chart:
    """Hold a chart.

    Attributes:
        name: an identifier, unique in the report; also the name of its file.
        about: what the chart shows, also for readers who cannot see it.
        make: returns the Vega-Lite specification.
    """

    name: str
    title: str
    about: str
    make: Callable[[], dict[str, Any]]

    @cached_property
    def spec(self) -> dict[str, Any]:
        """The Vega-Lite specification as a plain dictionary.

        It is made on first use, as making it needs Altair, which Markdown does without.
        """
        return self.make()


@dataclass(frozen=True)
class Section:
    """Hold a heading and the blocks below it, in order; a block may be a section itself.

    Attributes:
        title: the heading, which states what the section shows.
        topic: what the section is about in two or three words, for the table of contents and above
            the heading; empty where the title says it.
    """

    name: str
    title: str
    blocks: Sequence[Block]
    topic: str = ""


@dataclass(frozen=True)
class Points:
    """Hold a bulleted list of short paragraphs."""

    items: Sequence[Paragraph]


@dataclass(frozen=True)
class Fold:
    """Hold blocks that the reader has to open, behind a title that says what they are."""

    title: str
    blocks: Sequence[Block]


Block = Paragraph | Table | Chart | Section | Points | Fold


@dataclass(frozen=True)
class Panel:
    """Hold the answer to one question in one framework: what to write, and a chart of all ways.

    Attributes:
        code: the line to write; empty where no way can be recommended.
        figures: the ratios of the chart in words, for readers who cannot see it.
        chart: the ways as marks on an axis of time relative to the baseline.
    """

    framework: str
    way: str
    code: str
    figures: str
    chart: Chart


@dataclass(frozen=True)
class Question:
    """Hold a question that the first screen answers, with a panel for each framework.

    Attributes:
        baseline: what the times of its panels are relative to, in words.
    """

    name: str
    title: str
    baseline: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Fact:
    """Hold a figure of the strip below the answer: the figure, what it counts, and a style.

    ``kind`` is ``good``, ``bad``, ``code`` or nothing; ``section`` is the name of the section that
    says more.
    """

    value: str
    about: str
    kind: str = ""
    section: str = ""


@dataclass(frozen=True)
class Answer:
    """Hold the first screen of a part: a headline, a picture for each question, and facts.

    Attributes:
        more: a second sentence; may be empty.
        key: what the marks of the picture are.
        picture: the panels of all questions as one chart, for files; None without any.
    """

    headline: str
    more: str
    about: str
    questions: Sequence[Question]
    facts: Sequence[Fact]
    picture: Chart | None = None
    key: str = ""


@dataclass(frozen=True)
class Case:
    """Hold the answer to one choice of ``Cases``: code to copy, and a table of the other ways.

    Attributes:
        choice: the value of each field that the reader chooses by.
        code: the lines to write; empty where no way can be recommended.
        rerun: the command that measures a cell of this choice again.
    """

    choice: Mapping[str, str]
    about: Paragraph
    code: str
    table: Table
    rerun: str = ""


@dataclass(frozen=True)
class Cases:
    """Hold cases of which the page shows the one that the reader chooses.

    Attributes:
        fields: field → its values with their titles, in the order of the page.
    """

    name: str
    title: str
    fields: Mapping[str, Mapping[str, str]]
    cases: Sequence[Case]


@dataclass(frozen=True)
class Part:
    """Hold the report on one machine: the answer, the reader's own case, and the sections."""

    title: str
    about: Paragraph
    sections: Sequence[Section]
    answer: Answer | None = None
    cases: Cases | None = None


@dataclass(frozen=True)
class Report:
    """Hold a whole report; its ``warnings`` stand above everything else."""

    title: str
    warnings: Sequence[Paragraph]
    parts: Sequence[Part]


def blocks_of(blocks: Iterable[Block]) -> Iterator[Block]:
    """Yield these blocks in order, with those of each section and fold in its place."""
    for block in blocks:
        if isinstance(block, Section | Fold):
            yield from blocks_of(block.blocks)
        else:
            yield block


def missing(reason: str) -> Cell:
    """Return the cell of a figure that does not exist, with the reason as its note."""
    return Cell(NOTHING, reason, "missing")
