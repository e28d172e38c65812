"""``cascade-bench report``: saved runs as one page, as Markdown, as charts and as tidy data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks.paths import REPORTS, RUNS
from results.records import storage
from results.report import collection


def add_command(commands: Any) -> None:
    """Add ``report`` to the commands of `cascade-bench`."""
    report = commands.add_parser(
        "report", help="the comparison: a page, Markdown, charts, tables; of one run or several"
    )
    report.add_argument(
        "runs", nargs="*", metavar="RUN", help="files or ids of runs (default: the newest)"
    )
    report.add_argument(
        "--out", metavar="DIR", help="folder for the report (default: results/reports/<newest run>)"
    )
    report.add_argument(
        "--markdown", action="store_true", help="print it as Markdown and write nothing"
    )
    report.add_argument("--results", default=str(RUNS), help="folder of runs")
    report.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
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
