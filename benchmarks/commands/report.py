"""``cascade-bench report``: write saved runs as a web page, Markdown, charts and tidy tables."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.commands.parsing import exclusive
from benchmarks.paths import REPORTS, named
from benchmarks.scenarios import CATALOGUE
from results.formatting import one_line
from results.records import storage
from results.records.record import RecordError
from results.records.storage import check_writable
from results.report import collection


def add_command(commands: Any) -> None:
    """Add ``report`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "report",
        help="the comparison: a page, Markdown, charts, tables; of one run or several",
        description="Write saved runs as a web page, Markdown, charts and tables.",
        examples=(
            "cascade-bench report                       # of the newest run",
            "cascade-bench report --out page RUN RUN    # of two runs, into the folder page",
            "cascade-bench report --markdown --results results/reference",
        ),
        exit_codes="exit codes: 0 done, 2 a mistake, said in one line, or a run was left out, 130 "
        "Ctrl-C",
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="files or ids of runs (default: the newest)"
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help=f"folder to write the report into (default: {named(REPORTS / '<newest run>')})",
    )
    parser.add_argument(
        "--markdown", action="store_true", help="print the report as Markdown, and write nothing"
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
        SelectionError: ``--markdown``, which writes nothing, with a folder to write into.
    """
    exclusive(options, ("markdown", "out"))
    results = Path(options.results)
    paths = [storage.find_run(run, results) for run in options.runs or [None]]
    left_out: list[RecordError] = []
    if options.markdown:
        from results.report.build import build
        from results.report.markdown import markdown

        report = build(collection.load(paths, left_out.append), tuple(CATALOGUE))
        print(markdown(report, pictures=False), end="")
    else:
        from results.report.writing import write

        folder = Path(options.out) if options.out else REPORTS / max(path.stem for path in paths)
        check_writable(folder)
        of = "one run" if len(paths) == 1 else f"{len(paths)} runs"
        print(
            f"cascade-bench: drawing the charts of {of}: this takes a while",
            file=sys.stderr,
            flush=True,
        )
        files = write(lambda: collection.load(paths, left_out.append), folder, tuple(CATALOGUE))
        print("".join(f"{path}\n" for path in files if path.parent == folder), end="")
    for error in left_out:
        print(f"cascade-bench: left out: {one_line(error)}", file=sys.stderr)
    return 2 if left_out else 0
