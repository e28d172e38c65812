"""``cascade-bench report``: write saved runs as a web page, Markdown, charts and tidy tables."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.paths import REPORTS
from results.records import storage
from results.report import collection


def add_command(commands: Any) -> None:
    """Add ``report`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "report", help="the comparison: a page, Markdown, charts, tables; of one run or several"
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="files or ids of runs (default: the newest)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for the report (default: reports/<newest run>)",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print it as Markdown and write nothing"
    )
    shared.add_results(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Write the report and print the files of its folder, or print it as Markdown; return 0.

    Raises:
        RecordError: there is no such run, or the report cannot be written.
    """
    results = Path(options.results)
    paths = [storage.find_run(run, results) for run in options.runs or [None]]
    if options.markdown:
        from results.report.build import build
        from results.report.markdown import markdown

        print(markdown(build(collection.load(paths)), pictures=False), end="")
        return 0
    from results.report.writing import write

    folder = Path(options.out) if options.out else REPORTS / max(path.stem for path in paths)
    for path in write(lambda: collection.load(paths), folder):
        if path.parent == folder:
            print(path)
    return 0
