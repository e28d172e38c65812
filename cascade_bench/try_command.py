"""``cascade-bench try``: prove and time the ways to run a case's backward passes."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cascade_bench import client
from cascade_bench.comparison import OUTPUT, WIDTH
from cascade_bench.process import run_request
from cascade_bench.suite import SuiteError, output
from cascade_bench.target import CaseError, from_text

ERROR = 2
NARROWEST = 60
EXAMPLES = """\
examples:
  cascade-bench try my_case.py                       make(), or torch_case() and jax_case()
  cascade-bench try my_case.py:small --budget 20     another function, 20 seconds
  cascade-bench try my_package.cases:make --report page.html

Exit codes: 0 every way gave the right gradients, 1 one did not or an expectation failed,
2 the case cannot be run, 130 stopped by Ctrl-C (what was measured is shown and kept).
"""


def run(arguments: Sequence[str]) -> int:
    """Measure one case, print its table, and return the exit code.

    Args:
        arguments: the words after ``try``.
    """
    options = parser().parse_args(arguments)
    try:
        return _run(options)
    except (CaseError, SuiteError, ValueError) as error:
        print(f"cascade-bench: {error}", file=sys.stderr)
        return ERROR


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words after ``try``."""
    found = argparse.ArgumentParser(
        prog="cascade-bench try",
        description="Which way to run the backward passes is right, and what does each cost.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument(
        "case", metavar="CASE", help="FILE, FILE:function or package.module:function"
    )
    found.add_argument("--framework", choices=client.FRAMEWORKS, help="of a file with both")
    found.add_argument(
        "--budget", type=float, default=60.0, metavar="SECONDS", help="for the whole (60)"
    )
    found.add_argument(
        "--phase", action="append", metavar="NAME[,NAME]", help="backward, gradient, step"
    )
    found.add_argument(
        "--way", action="append", metavar="NAME[,NAME]", help="strategies and recipes (all)"
    )
    found.add_argument("--launches", type=int, metavar="N", help="processes to measure in")
    found.add_argument("--seed", type=int, default=0, help="of the order of measuring (0)")
    found.add_argument("--json", metavar="FILE", help="write everything as one JSON document")
    found.add_argument("--report", metavar="PAGE.html", help="write a page with a chart")
    found.add_argument(
        "--results", metavar="FOLDER", help=f"folder that runs are kept in ({client.KEPT})"
    )
    return found


def _run(options: argparse.Namespace) -> int:
    """Measure the case that the options name; see `run`."""
    folder = Path.cwd()
    for option in ("json", "report", "results"):
        _check_output(option, getattr(options, option), folder=option == "results")
    if options.report:
        output(OUTPUT, ["--check-report"])  # what the page needs is there, before it is measured
    case = from_text(options.case, folder)
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as private:
        file = Path(private) / "document.json"
        request = client.build_request(
            case,
            folder,
            file,
            budget=options.budget,
            framework=options.framework,
            phases=_names("--phase", options.phase),
            ways=_names("--way", options.way),
            launches=options.launches,
            seed=options.seed,
            results=options.results,
        )
        outcome = run_request(request, Path(private), sys.stderr.write)
        if outcome.code == client.INTERRUPTED and outcome.document is None:
            print("cascade-bench: stopped before anything was measured", file=sys.stderr)
            return client.INTERRUPTED
        document = client.checked_document(outcome)
        if options.json:  # before anything else that can fail
            _write_json(Path(options.json), document)
        _print(file)
        if options.report:
            output(OUTPUT, [str(file), "--report", str(Path(options.report).absolute())])
            print(f"page: {options.report}")
    return outcome.code


def _print(file: Path) -> None:
    """Print the table of a document at the terminal's width."""
    width, colour = WIDTH, False
    if sys.stdout.isatty():
        width = max(min(shutil.get_terminal_size().columns, WIDTH), NARROWEST)
        colour = "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    text = output(OUTPUT, [str(file), "--table", str(width), *(["--colour"] if colour else [])])
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end="")


def _write_json(path: Path, document: dict[str, object]) -> None:
    """Write the document to the file that was asked for.

    Raises:
        SuiteError: it cannot be written.
    """
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SuiteError(f"--json {path}: {error.strerror}") from None


def _names(option: str, values: Sequence[str] | None) -> list[str] | None:
    """Return the names of an option that takes several, with commas or given twice.

    Raises:
        CaseError: there is no name in it.
    """
    if values is None:
        return None
    names = [name.strip() for value in values for name in value.split(",")]
    if not all(names):
        raise CaseError(f"{option} {','.join(values)!r} has an empty name; give NAME[,NAME]")
    return names


def _check_output(option: str, value: str | None, *, folder: bool) -> None:
    """Refuse an output that could not be written once everything has been measured.

    Raises:
        CaseError: says which option, and what is wrong with it.
    """
    if value is None:
        return
    path, named = Path(value), f"--{option} {value!r}"
    if not value:
        raise CaseError(f"--{option} is empty; name a {'folder' if folder else 'file'}")
    if folder and path.exists() and not path.is_dir():
        raise CaseError(f"{named} is a file; name a folder")
    if not folder and path.is_dir():
        raise CaseError(f"{named} is a folder; name a file")
    if not folder and not path.absolute().parent.is_dir():
        raise CaseError(f"{named}: there is no folder {path.absolute().parent}")
    there = path.absolute()
    while not there.exists():
        there = there.parent
    if not os.access(there, os.W_OK):
        raise CaseError(f"{named} cannot be written: {there} is not writable")
