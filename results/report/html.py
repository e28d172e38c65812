"""A report as one HTML file: everything inside it, no request to anywhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from results.report.answers import SIZES
from results.report.model import FILTERS, Chart, Code, Points, Report, Section, Strong, Table


def html(report: Report, scripts: str) -> str:
    """The page, with the ``scripts`` of `pictures.library` in it. Needs jinja2.

    Every text is escaped by jinja2; specifications and data of charts stand in a JSON block in
    which no ``<`` can occur.
    """
    return (
        _environment()
        .get_template("page.html")
        .render(
            report=report,
            choices=_choices(report),
            specs=_json({chart.name: chart.spec for chart in charts(report)}),
            scripts=scripts if any(charts(report)) else "",
        )
    )


def charts(report: Report) -> Iterator[Chart]:
    """Every chart of the report."""
    return (block for block in _blocks(report) if isinstance(block, Chart))


def _blocks(report: Report) -> Iterator[Any]:
    """Everything that stands in a section, of whatever depth."""
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
    """JSON for a script block: nothing in it can end the block or begin a comment."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _choices(report: Report) -> dict[str, list[str]]:
    """What can be filtered by: the values that rows of tables have, sizes by size."""
    found: dict[str, dict[str, None]] = {name: {} for name in FILTERS}
    rows = (row for block in _blocks(report) if isinstance(block, Table) for row in block.rows)
    for row in rows:
        for name in FILTERS:
            if name in row.about:
                found[name][row.about[name]] = None
    sizes = sorted(found["size"], key=lambda s: SIZES.index(s) if s in SIZES else len(SIZES))
    return {name: list(values) for name, values in found.items()} | {"size": sizes}
