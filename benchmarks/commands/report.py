"""``cascade-bench report``: write saved runs as a web page, Markdown, charts and tidy tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.paths import REPORTS
from results.formatting import one_line
from results.records import storage
from results.records.record import RecordError
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
    """Write the report and print the files of its folder, or print it as Markdown.

    Of several runs those that cannot be read are left out, with a line on stderr each.

    Returns:
        0; 2 where a run was left out.

    Raises:
        RecordError: there is no such run, none can be read, or the report cannot be written.
    """
    results = Path(options.results)
    paths = [storage.find_run(run, results) for run in options.runs or [None]]
    left_out: list[RecordError] = []
    if options.markdown:
        from results.report.build import build
        from results.report.markdown import markdown

        _print(markdown(build(collection.load(paths, left_out.append)), pictures=False))
    else:
        from results.report.writing import write

        folder = Path(options.out) if options.out else REPORTS / max(path.stem for path in paths)
        files = write(lambda: collection.load(paths, left_out.append), folder)
        _print("".join(f"{path}\n" for path in files if path.parent == folder))
    for error in left_out:
        print(f"cascade-bench: left out: {one_line(error)}", file=sys.stderr)
    return 2 if left_out else 0


def _print(text: str) -> None:
    """Print the text, with ``?`` for characters that the terminal's encoding lacks."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end="")
