"""Show what came out of a user's own case: ``python -m benchmarks.commands.own_code_output``.

The client (`cascade_bench`) imports nothing of the suite into the user's process, and calls this
instead: the table or the chart goes to stdout, the page into a file.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from results.formatting import one_line
from results.records.installing import install_command
from results.records.record import RecordError

ERROR = 2
# module → the package to install
NEEDED = {"jinja2": "jinja2", "altair": "altair", "vl_convert": "vl-convert-python"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Show a document in the form that was asked for; return 0, or 2 with one line on stderr."""
    options = _parser().parse_args(arguments)
    try:
        _show(options)
        return 0
    except RecordError as error:
        print(f"cascade-bench: {one_line(error)}", file=sys.stderr)
        return ERROR


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.own_code_output")
    parser.add_argument("document", nargs="?", type=Path)
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--table", type=int, metavar="WIDTH", help="print the table")
    form.add_argument("--chart", action="store_true", help="print the chart as Vega-Lite")
    form.add_argument("--report", type=Path, metavar="PAGE", help="write the page")
    form.add_argument("--check-report", action="store_true", help="fail if a page lacks packages")
    parser.add_argument("--colour", action="store_true", help="of the table")
    parser.add_argument("--encoding", metavar="NAME", help="of the terminal that shows the table")
    return parser


def _show(options: argparse.Namespace) -> None:
    """Print or write what was asked for.

    Raises:
        RecordError: a package is missing, or a file cannot be read or written.
    """
    if options.check_report:
        _demand_libraries()
        return
    document = _read(options.document)
    if options.report:
        _write_page(document, options.report)
    elif options.chart:
        _demand_libraries()
        print(json.dumps(_chart(document), allow_nan=False))
    else:
        print(_table(document, options))


def _table(document: dict[str, Any], options: argparse.Namespace) -> str:
    """Return the table of the document, in characters that the terminal has."""
    from results.terminal.stdout import encodable

    if document.get("kind") == "check":
        from results.terminal.findings_table import table
    else:
        from results.terminal.own_code_table import table
    text = table(document, options.table, colour=options.colour)
    return encodable(text, options.encoding) if options.encoding else text


def _read(path: Path) -> dict[str, Any]:
    """Return the document in a file."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _chart(document: dict[str, Any]) -> dict[str, Any]:
    """Return the specification of the chart, with a width for a notebook."""
    from results.report.own_code_page import chart

    drawn = chart(document)
    if drawn is None:
        raise RecordError("no way has a ratio, so there is nothing to plot")
    return drawn.spec | {"width": 640}


def _write_page(document: dict[str, Any], path: Path) -> None:
    """Write the page about the document, whole or not at all."""
    from results.records.storage import write_whole
    from results.report.html import answer_charts_of, html
    from results.report.images import render_drawings, vega_scripts
    from results.report.own_code_page import build, chart

    _demand_libraries()
    report = build(document)
    scripts = vega_scripts() if chart(document) else ""
    drawings = render_drawings({one.name: one.spec for one in answer_charts_of(report)})
    write_whole({path: html(report, scripts, drawings).encode()})


def _demand_libraries() -> None:
    """Raise `RecordError` that names the packages of a page or chart that are not installed."""
    from results.report.writing import absent_packages

    if absent := absent_packages(NEEDED):
        raise RecordError(
            f"a page or chart needs {', '.join(absent)}, not installed here: "
            f"{install_command('report')}"
        )


if __name__ == "__main__":
    sys.exit(main())
