"""Render a report as one HTML file that holds all it needs and sends no request."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from results.report.model import (
    FILTERS,
    Chart,
    Code,
    Fold,
    Points,
    Report,
    Section,
    Strong,
    Table,
    blocks_of,
)
from results.report.vocabulary import DEFINITIONS, size_rank

DIGITS = 6  # of a figure that a chart draws: a pixel is a thousandth of its width


def html(report: Report, scripts: str, drawings: Mapping[str, str] | None = None) -> str:
    """Return the report as one HTML page that needs no other file; requires jinja2.

    jinja2 escapes every text. Specifications and data of charts stand in a JSON block in which no
    ``<`` can occur.

    Args:
        scripts: the JavaScript that draws charts, from `images.vega_scripts`.
        drawings: the charts of the first screen as SVG, by name, from `images.render_drawings`;
            where one is missing its figures stand there in words.
    """
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            choices=_filter_choices(report),
            specs=_json({chart.name: packed(chart.spec) for chart in charts_of(report)}),
            scripts=scripts if any(charts_of(report)) else "",
            drawings=drawings or {},
            definitions=DEFINITIONS,
        )
    )


def answer_charts_of(report: Report) -> Iterator[Chart]:
    """Yield the charts of the first screens, which the page holds as drawings."""
    answers = (part.answer for part in report.parts if part.answer)
    return (one.chart for answer in answers for q in answer.questions for one in q.panels)


def pictures_of(report: Report) -> Iterator[Chart]:
    """Yield every chart of the report that is written to a file: first screens as one each."""
    yield from (part.answer.picture for part in report.parts if part.answer and part.answer.picture)
    yield from charts_of(report)


def charts_of(report: Report) -> Iterator[Chart]:
    """Yield every chart of the report that a script of the page draws."""
    return (block for block in _blocks(report) if isinstance(block, Chart))


def _blocks(report: Report) -> Iterator[Any]:
    """Yield every block of every section, in order, with those of sub-sections in their place."""
    return blocks_of(section for part in report.parts for section in part.sections)


def _environment() -> Any:
    """Return the jinja2 environment of the page, with a test for each type of block and text."""
    import jinja2

    loader = jinja2.PackageLoader("results.report", "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    environment.tests |= {
        "section": lambda block: isinstance(block, Section),
        "table": lambda block: isinstance(block, Table),
        "chart": lambda block: isinstance(block, Chart),
        "points": lambda block: isinstance(block, Points),
        "fold": lambda block: isinstance(block, Fold),
        "code": lambda piece: isinstance(piece, Code),
        "strong": lambda piece: isinstance(piece, Strong),
    }
    return environment


def _breakable(text: str) -> Any:
    """Return a text as markup in which a long name may be broken after each underscore."""
    import markupsafe

    return markupsafe.Markup(str(markupsafe.escape(text)).replace("_", "_<wbr>"))


def packed(spec: dict[str, Any]) -> dict[str, Any]:
    """Return a specification with the names of fields once a dataset, not once a mark.

    They make most of its text. Data become ``{"columns": names, "rows": values}``; the script of
    the page puts them back before it draws.
    """
    datasets = {name: _columns(rows) for name, rows in spec.get("datasets", {}).items()}
    return spec | ({"datasets": datasets} if datasets else {})


def _columns(rows: Any) -> Any:
    """Return marks that all have the same fields as columns and rows; other data as they are."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return rows
    columns = list(rows[0]) if rows else []
    if not columns or any(list(row) != columns for row in rows):
        return rows
    return {
        "columns": columns,
        "rows": [[_rounded(value) for value in row.values()] for row in rows],
    }


def _rounded(value: Any) -> Any:
    """Return a figure with the digits that a chart can show; anything else as it is."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def _json(value: Any) -> str:
    """Return the value as JSON that can stand in a script element, with every ``<`` escaped."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _filter_choices(report: Report) -> dict[str, list[str]]:
    """Return the choices of each filter of the page: the values that some row of a table has.

    Sizes are sorted by size.
    """
    choices: dict[str, dict[str, None]] = {name: {} for name in FILTERS}
    rows = (row for block in _blocks(report) if isinstance(block, Table) for row in block.rows)
    for row in rows:
        for name in FILTERS:
            if name in row.filters:
                choices[name][row.filters[name]] = None
    sizes = sorted(choices["size"], key=size_rank)
    return {name: list(values) for name, values in choices.items()} | {"size": sizes}
