"""Render a report as Markdown for GitHub, with the charts of the page as pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from results.formatting import NOTHING, code, escape
from results.report.model import (
    Answer,
    Block,
    Cases,
    Cell,
    Chart,
    Code,
    Fold,
    Paragraph,
    Points,
    Report,
    Section,
    Strong,
    Table,
)

ROWS = 400  # of one table at most: GitHub renders only the first half megabyte of a file
PICTURES = "charts"  # folder of the pictures, beside the Markdown file


def markdown(report: Report, *, pictures: bool = True) -> str:
    """Return the whole report as one Markdown text.

    Args:
        pictures: whether to show ``charts/<name>.svg``, which must then exist, for each chart.
    """
    lines = [f"# {escape(report.title)}", ""]
    for warning in report.warnings:
        lines += [f"> {text(warning)}", ""]
    for part in report.parts:
        if part.answer:
            lines += _answer(part.answer, pictures)
        if part.cases:
            lines += _cases(part.cases)
        lines += [f"## {escape(part.title)}", "", text(part.about), ""]
        for section in part.sections:
            lines += _section(section, 3, pictures)
    return "\n".join(lines).rstrip() + "\n"


def _answer(answer: Answer, pictures: bool) -> Iterator[str]:
    """Yield the lines of the first screen: headline, what to write, ratios, and facts."""
    yield f"**{escape(answer.headline)}** {escape(answer.more)}".rstrip()
    yield ""
    yield escape(answer.about)
    yield ""
    if answer.picture and pictures:
        yield from _chart(answer.picture)
    for question in answer.questions:
        yield f"### {escape(question.title)}"
        yield ""
        for panel in question.panels:
            what = code(panel.code) if panel.code else "no way can be recommended"
            yield f"- {escape(panel.framework)}: {what}. {escape(panel.figures)}"
        yield ""
    yield " · ".join(f"**{escape(fact.value)}** {escape(fact.about)}" for fact in answer.facts)
    yield ""


def _cases(cases: Cases) -> Iterator[str]:
    """Yield the lines of every case, each folded: the code to write, and the table of ways."""
    yield f"## {escape(cases.title)}"
    yield ""
    for case in cases.cases:
        names = [cases.fields[field][value] for field, value in case.choice.items()]
        yield f"<details><summary>{escape(', '.join(names))}</summary>"
        yield ""
        yield text(case.about)
        yield ""
        if case.code:
            yield from ("```python", case.code, "```", "")
        yield from _table(case.table)
        if case.rerun:
            yield f"One cell of this choice again, in a clone: <code>{escape(case.rerun)}</code>"
            yield ""
        yield "</details>"
        yield ""


def text(paragraph: Paragraph) -> str:
    """Return a paragraph as one line of Markdown, whatever names from files it holds."""
    return "".join(_piece(piece) for piece in paragraph)


def _piece(piece: str) -> str:
    """Return one piece of a paragraph as Markdown: code, bold or plain, its outer spaces kept."""
    if isinstance(piece, Code):
        return code(piece) if "<" not in piece else f"<code>{escape(piece)}</code>"
    lead, trail = (" " if piece[:1] == " " else ""), (" " if piece[-1:] == " " else "")
    plain = escape(piece)
    if isinstance(piece, Strong):
        plain = f"**{plain}**"
    return f"{lead}{plain}{trail if plain else ''}"


def _section(section: Section, level: int, pictures: bool) -> Iterator[str]:
    """Yield the lines of a section and of the sections in it.

    Args:
        level: that of its heading, 1 for the highest.
        pictures: whether to show charts.
    """
    topic = f"{escape(section.topic)}: " if section.topic else ""
    yield f"{'#' * level} {topic}{escape(section.title)}"
    yield ""
    yield from _blocks(section.blocks, level, pictures)


def _blocks(blocks: Sequence[Block], level: int, pictures: bool) -> Iterator[str]:
    """Yield the lines of blocks that stand below a heading of this level."""
    for block in blocks:
        if isinstance(block, Section):
            yield from _section(block, level + 1, pictures)
        elif isinstance(block, Fold):
            yield f"<details><summary>{escape(block.title)}</summary>"
            yield ""
            yield from _blocks(block.blocks, level, pictures)
            yield "</details>"
            yield ""
        elif isinstance(block, Table):
            yield from _table(block)
        elif isinstance(block, Chart):
            yield from _chart(block) if pictures else ()
        elif isinstance(block, Points):
            yield from (f"- {text(item)}" for item in block.items)
            yield ""
        else:
            yield text(block)
            yield ""


def _chart(chart: Chart) -> Iterator[str]:
    """Yield the lines that show a chart's file, with its description."""
    yield f"![{escape(chart.title)}]({PICTURES}/{chart.name}.svg)"
    yield ""
    yield f"*{escape(chart.about)}*"
    yield ""


def _table(table: Table) -> Iterator[str]:
    """Yield the lines of a table with its title; a long table that is folded can be opened."""
    title = escape(table.title)
    yield f"<details><summary>{title}</summary>" if table.folded else f"**{title}**"
    yield ""
    if table.about:
        yield escape(table.about)
        yield ""
    yield from _lines(table)
    if len(table.rows) > ROWS:
        yield ""
        yield f"{len(table.rows) - ROWS} more rows stand in cells.csv."
    yield ""
    if table.folded:
        yield "</details>"
        yield ""


def _lines(table: Table) -> Iterator[str]:
    """Yield the lines of a table itself: header, rule, and its first `ROWS` rows."""
    rules = ["---:" if i in table.numbers else "---" for i in range(len(table.columns))]
    yield _row([escape(column) for column in table.columns])
    yield _row(rules)
    for row in table.rows[:ROWS]:
        cells = [_cell(cell) for cell in row.cells]
        yield _row([*cells, *[""] * (len(table.columns) - len(cells))])


def _row(cells: Sequence[str]) -> str:
    """Return the texts of a row's cells as one line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def _cell(cell: Cell) -> str:
    """Return a cell as Markdown.

    The note is shown for failures only; all others are in the exported tables.
    """
    shown = escape(cell.text)
    if cell.kind == "failed":
        return f"**{shown}**" + (f": {escape(cell.note)}" if cell.note else "")
    if cell.kind == "best":
        return f"**{shown}**"
    if cell.kind == "code" and shown:
        return f"<code>{shown}</code>"
    return shown or ("" if not cell.note else NOTHING)
