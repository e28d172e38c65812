"""What a comparison tells while it runs and when it ends, and where it is kept."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import cells
from results.records import storage
from results.records.record import RecordError
from results.regression import document as regression

NARROWEST = 80
FORMS = ("markdown", "json")
INTERRUPTED = regression.INTERRUPTED


def say(line: str) -> None:
    """Beside the result, which is all that stands on stdout."""
    print(line, file=sys.stderr, flush=True)


def progress(line: str) -> None:
    """What is being done: one line that is written over in a terminal, else a line each."""
    if sys.stderr.isatty():
        print(f"\r\x1b[2K{line}", end="", file=sys.stderr, flush=True)
    else:
        say(line)


def remark(line: str) -> None:
    """What must be read: a line of its own, which `progress` does not write over."""
    ended()
    say(line)


def ended() -> None:
    """Remove the line of `progress`."""
    if sys.stderr.isatty():
        print("\r\x1b[2K", end="", file=sys.stderr, flush=True)


def forecast(count: int, looks: Sequence[int], seen: Sequence[float], pair: float) -> str:
    """What the budget can see, before it starts."""
    quiet, busy = (f"{100 * part:.1f} %" for part in seen)
    return (
        f"{count} cells; the budget has time for about {looks[-1]} launch pairs of {pair:.0f} s, "
        f"looked at after {', '.join(map(str, looks))}. With {looks[-1]} of them, 4 of 5 cells "
        f"that got slower by {quiet} are found on a quiet machine, by {busy} on a busy one "
        "(cells of a millisecond or more; shorter ones are noisier). Less is lost in noise."
    )


def typed(options: argparse.Namespace) -> list[str]:
    """The arguments, as they can be typed again."""
    found = [part for part in (options.base, options.head) if part is not None]
    names = ("base_python", "head_python", "budget", *cells.OPTIONS, "scenario_path", "device")
    for name in (*names, *(["seed"] if options.seed else [])):
        value = getattr(options, name)
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                found += [f"--{name.replace('_', '-')}", str(one)]
    return found


class DocumentStore:
    """Saves a document again and again in one file; elsewhere where that fails."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path: Path | None = None
        self.trouble: str | None = None

    def save(self, document: Mapping[str, Any]) -> None:
        """Save it; what cannot be saved is told at the end, measuring goes on."""
        try:
            self.path = write(document, self.folder)
            self.trouble = None
        except RecordError as error:
            self.trouble, self.last = str(error), dict(document)

    def told(self) -> bool:
        """Say where it is kept; returns whether it is where it should be."""
        if self.trouble is None:
            say(f"comparison saved: {self.path}")
            return True
        say(f"NOT SAVED: {self.trouble}")
        try:
            say(f"it is here instead: {write(self.last, Path(tempfile.mkdtemp()))}")
        except (OSError, RecordError):
            say("nor could it be saved in the temporary folder")
        return False


def write(document: Mapping[str, Any], folder: Path) -> Path:
    """Save under ``<machine id>/<id>.json``; raises `RecordError`."""
    path = folder / document["machine"]["id"] / f"{document['id']}.json"
    data = json.dumps(document, indent=1, default=str).encode() + b"\n"
    storage.write_whole({path: data})
    return path


def demand_writable(options: argparse.Namespace) -> None:
    """Before anything is measured: can what is asked for be written? Raises `RecordError`.

    What stands there from before is removed: after an error it would pass for this comparison's.
    """
    for form in FORMS:
        target = getattr(options, form)
        if target and target != "-":
            storage.check_writable(Path(target).absolute().parent)
            with contextlib.suppress(FileNotFoundError, IsADirectoryError, PermissionError):
                Path(target).unlink()


def show(document: Mapping[str, Any], options: argparse.Namespace) -> int:
    """Print the outcome in the forms asked for; returns the exit code."""
    return show_found(document, regression.analysis(document), options)


def show_found(
    document: Mapping[str, Any], found: regression.Analysis, options: argparse.Namespace
) -> int:
    """As `show`, of what was found already; printed first, so that it is seen whatever follows."""
    from results.terminal import regression_table

    forms: dict[str, Callable[[], str]] = {
        "markdown": lambda: regression_table.markdown(document, found),
        "json": lambda: (
            json.dumps(regression_table.document_json(document, found), indent=2) + "\n"
        ),
    }
    targets = {name: getattr(options, name) for name in FORMS}
    printed = [forms[name]() for name, target in targets.items() if target == "-"]
    try:
        print("".join(printed) if printed else f"{_table(document, found)}\n", end="", flush=True)
    except BrokenPipeError:  # nobody reads on, `head` maybe; the exit code counts all the same
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for name, target in targets.items():
        if target and target != "-":
            storage.write_whole({Path(target): forms[name]().encode()})
    return regression.ending(document, found)


def _table(document: Mapping[str, Any], found: regression.Analysis) -> str:
    from rich.console import Console

    from results.terminal import regression_table

    console = Console()
    width = max(console.width, NARROWEST) if console.is_terminal else regression_table.WIDTH
    colour = console.color_system is not None and not console.no_color
    return regression_table.text(document, found, width, colour=colour)
