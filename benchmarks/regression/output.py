"""Print and save a comparison: progress while it runs, then the result in the forms asked for.

The result goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import cells
from benchmarks.regression import plan
from results.records import storage
from results.records.outputs import check_replaceable
from results.records.record import RecordError
from results.regression.document import Analysis, analysis, session_exit_code
from results.terminal.stdout import width_and_colour

NARROWEST = 80
FORMS = ("markdown", "json")


def print_line(line: str) -> None:
    """Print a line on stderr; a terminal gets it broken between words, where it is too long."""
    print(_fitted(line), file=sys.stderr, flush=True)


def print_progress(line: str) -> None:
    """Print what is done now: in a terminal over the last such line, else on a line of its own."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
    else:
        print_line(line)


def print_warning(line: str) -> None:
    """Print a line that `print_progress` does not overwrite."""
    clear_progress()
    print_line(line)


def _fitted(line: str) -> str:
    """Return a line as several that fit into the terminal of stderr; as it is if that is none."""
    if not sys.stderr.isatty():
        return line
    width = max(NARROWEST, shutil.get_terminal_size().columns) - 1
    return textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)


def clear_progress() -> None:
    """Remove the line of `print_progress` from the terminal."""
    if sys.stderr.isatty():
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def forecast(count: int, pairs: int, pair_seconds: float) -> str:
    """Return in a sentence what is known before measuring, which this machine's noise is not.

    Args:
        count: cells to measure.
        pairs: launch pairs that the budget has time for.
        pair_seconds: estimated time of a launch pair.
    """
    return (
        f"{count} cells; the budget has time for about {pairs} launch pairs of {pair_seconds:.0f} "
        f"s, by an estimate. Which slowdowns they can tell depends on this machine's noise: that "
        f"is said after the first {plan.FIRST_LOOK}."
    )


def retypable(options: argparse.Namespace) -> list[str]:
    """Return the command-line arguments of ``regress`` that make the same comparison again."""
    arguments = [ref for ref in (options.base, options.head) if ref is not None]
    names = ["base_python", "head_python", "budget", "confirm", *cells.OPTIONS]
    names += ["case", "scenario_path", "device", *(["seed"] if options.seed else [])]
    for name in names:
        value = getattr(options, name)
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                arguments += [f"--{name.replace('_', '-')}", str(one)]
    arguments += ["--same-case"] if options.same_case else []
    return arguments + (["--counts-only"] if options.counts_only else [])


class DocumentStore:
    """Save a document again and again in one file, and in a temporary folder if that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: Path | None = None
        self.trouble: str | None = None

    def save(self, document: Mapping[str, Any]) -> None:
        """Save the document; a failure is only reported at the end, so that measuring goes on."""
        try:
            self.path = write(document, self.folder)
            self.trouble = None
        except RecordError as error:
            self.trouble, self.unsaved = str(error), dict(document)

    def report(self) -> bool:
        """Print where the document is saved; return whether that is the folder asked for."""
        if self.trouble is None:
            print_line(f"comparison saved: {self.path}")
            return True
        print_line(f"NOT SAVED: {self.trouble}")
        try:
            path = write(self.unsaved, Path(tempfile.mkdtemp()))
            print_line(f"it is here instead: {path}")
        except (OSError, RecordError):
            print_line("nor could it be saved in the temporary folder")
        return False


def write(document: Mapping[str, Any], folder: Path) -> Path:
    """Save a document as ``<machine id>/<id>.json`` in a folder, and return its path.

    Raises:
        RecordError: the file cannot be written.
    """
    path = folder / document["machine"]["id"] / f"{document['id']}.json"
    data = json.dumps(document, indent=1, default=str).encode() + b"\n"
    storage.write_whole({path: data})
    return path


def prepare_files(options: argparse.Namespace) -> None:
    """Check before measuring that the files asked for can be written; raise `RecordError` if not.

    Files from an earlier comparison are removed: after an error they would pass for this one's.
    """
    for form in FORMS:
        target = getattr(options, form)
        if target and target != "-":
            check_replaceable(target, f"--{form}")
            with contextlib.suppress(FileNotFoundError, PermissionError):
                Path(target).unlink()


def show(document: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Analyse a document, then print and write the result as the options ask.

    Returns:
        The exit code of the command.
    """
    return show_analysis(document, analysis(document), options)


def show_analysis(
    document: Mapping[str, Any], findings: Analysis, options: argparse.Namespace
) -> int:
    """Print and write an analysed document as the options ask.

    Printing comes first, so that the result is seen even if a file cannot be written.

    Args:
        document: of the comparison.
        findings: its analysis.
        options: ``markdown`` and ``json``, each a path, ``-`` for stdout, or None. If neither is
            ``-``, a table is printed.

    Returns:
        The exit code of the command.
    """
    from results.terminal import regression_table

    forms: dict[str, Callable[[], str]] = {
        "markdown": lambda: regression_table.markdown(document, findings),
        "json": lambda: (
            json.dumps(regression_table.document_json(document, findings), indent=2) + "\n"
        ),
    }
    targets = {name: getattr(options, name) for name in FORMS}
    printed = [forms[name]() for name, target in targets.items() if target == "-"]
    text = "".join(printed) if printed else f"{table(document, findings)}\n"
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:  # the reader, such as `head`, has ended; the exit code still counts
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for name, target in targets.items():
        if target and target != "-":
            storage.write_whole({Path(target): forms[name]().encode()})
    return session_exit_code(document, findings)


def table(document: Mapping[str, Any], findings: Analysis) -> str:
    """Return the result as a table for the terminal, at the terminal's width."""
    from results.terminal import regression_table

    width, colour = width_and_colour(regression_table.WIDTH, narrowest=NARROWEST)
    return regression_table.text(document, findings, width, colour=colour)
