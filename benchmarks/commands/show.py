"""``cascade-bench show``: the essentials of one saved run, here in the terminal."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness.session import resume
from benchmarks.paths import RUNS
from results.records import storage
from results.records.record import RecordError, Run
from results.terminal.tables import WIDTH

NARROWEST = 60  # columns; a terminal that has fewer breaks the lines itself


def add_command(commands: Any) -> None:
    """``show`` among the commands of the command line."""
    parser = commands.add_parser("show", help="the essentials of one saved run, in the terminal")
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="file or id of a run (default: the newest)"
    )
    parser.add_argument("--times", action="store_true", help="the time of each cell as well")
    parser.add_argument("--json", action="store_true", help="one object, with every record")
    parser.add_argument("--results", default=str(RUNS), help="folder of runs")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show it; returns 0. Raises `RecordError` where there is no such run, or not one."""
    if len(options.runs) > 1:
        files = " ".join(map(shlex.quote, options.runs))
        raise RecordError(
            f"show takes one run, and these are {len(options.runs)}; name one, "
            f"or have them all in a report: cascade-bench report {files}"
        )
    path = storage.find_run(next(iter(options.runs), None), Path(options.results))
    found = storage.load_run(path)
    _write(_json(found) if options.json else _page(found, path, times=options.times))
    return 0


def _json(found: Run) -> str:
    from results.terminal.run_summary import document  # here, as all of SciPy comes with it

    return json.dumps(document(found), indent=2, allow_nan=False)


def _page(found: Run, path: Path, *, times: bool) -> str:
    from rich.console import Console

    from results.terminal.run_page import text

    console = Console()
    width = min(max(console.width, NARROWEST), WIDTH) if console.is_terminal else WIDTH
    colour = console.color_system is not None and not console.no_color
    report = f"cascade-bench report {shlex.quote(str(_short(path)))}"
    return text(found, report, _go_on(found), width, colour=colour, times=times)


def _short(path: Path) -> Path:
    """The path as it can be typed from here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _go_on(found: Run) -> str | None:
    """The command that goes on with the run; None where its file does not say how it began."""
    from results.terminal.run_summary import settings

    return resume.command(found) if settings(found)["arguments"] is not None else None


def _write(text: str) -> None:
    """Where the terminal's encoding lacks a letter, a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
