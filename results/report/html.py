"""Render a report as one HTML file that holds all it needs and sends no request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from results.report.model import FILTERS, Chart, Code, Points, Report, Section, Strong, Table
from results.report.vocabulary import size_rank


def html(report: Report, scripts: str) -> str:
    """Render the page; needs jinja2.

    jinja2 escapes every text. Specifications and data of charts stand in a JSON block in which no
    ``<`` can occur.

    Args:
        scripts: the JavaScript that draws charts, from `images.vega_scripts`.
    """
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            choices=_filter_choices(report),
            specs=_json({chart.name: chart.spec for chart in charts_of(report)}),
            scripts=scripts if any(charts_of(report)) else "",
        )
    )


def charts_of(report: Report) -> Iterator[Chart]:
    """Yield every chart of the report."""
    return (block for block in _blocks(report) if isinstance(block, Chart))


def _blocks(report: Report) -> Iterator[Any]:
    """Yield every block of every section, in order, with those of sub-sections in their place."""
    waiting: list[Any] = [section for part in report.parts for section in part.sections]
    while waiting:
        block = waiting.pop(0)
        if isinstance(block, Section):
            waiting = [*block.blocks, *waiting]
        else:
            yield block


def _environment() -> Any:
    import jinja2

    loader = jinja2.PackageLoader("results.report", "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests |= {
        "section": lambda block: isinstance(block, Section),
        "table": lambda block: isinstance(block, Table),
        "chart": lambda block: isinstance(block, Chart),
        "points": lambda block: isinstance(block, Points),
        "code": lambda piece: isinstance(piece, Code),
        "strong": lambda piece: isinstance(piece, Strong),
    }
    return environment


def _json(value: Any) -> str:
    """Return JSON for a script block: nothing in the data can end the block or begin a comment."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _filter_choices(report: Report) -> dict[str, list[str]]:
    """Return the values of each filter that some row of a table has; sizes are sorted by size."""
    choices: dict[str, dict[str, None]] = {name: {} for name in FILTERS}
    rows = (row for block in _blocks(report) if isinstance(block, Table) for row in block.rows)
    for row in rows:
        for name in FILTERS:
            if name in row.filters:
                choices[name][row.filters[name]] = None
    sizes = sorted(choices["size"], key=size_rank)
    return {name: list(values) for name, values in choices.items()} | {"size": sizes}
