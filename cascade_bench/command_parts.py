"""Share what the commands on a user's own case have in common: arguments, outputs, errors."""

from __future__ import annotations

import codecs
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from cascade_bench import client
from cascade_bench.comparison import OUTPUT, WIDTH
from cascade_bench.parsing import CommandParser
from cascade_bench.suite import SuiteError, output
from cascade_bench.target import CaseError

ERROR = 2
NARROWEST = 60
NO_CASE = (
    "give the file of your case, such as my_case.py; cascade-bench new my_case.py writes one to "
    "start from"
)


def answered(carry_out: Callable[[], int]) -> int:
    """Return the exit code of a command; what is wrong with its arguments or case is one line.

    Args:
        carry_out: runs the command, and returns its exit code.
    """
    try:
        return carry_out()
    except (CaseError, SuiteError, ValueError) as error:
        print(f"cascade-bench: {error}", file=sys.stderr)
        return ERROR


def parser_of(
    name: str, description: str, epilog: str, *, needs_case: bool = True
) -> CommandParser:
    """Return a command's parser, with the case and the framework as its first arguments.

    Args:
        name: of the command.
        description: what it does, in a line.
        epilog: examples.
        needs_case: whether the parser demands a case, or leaves that to the command.
    """
    made = CommandParser(name, description, epilog, NO_CASE)
    made.add_argument(
        "case",
        metavar="CASE",
        nargs=None if needs_case else "?",
        help="FILE, FILE:function or package.module:function",
    )
    made.add_argument("--framework", choices=client.FRAMEWORKS, help="of a file with both")
    return made


def check_output(option: str, value: str | None, *, folder: bool) -> None:
    """Refuse an output that could not be written once everything has been measured.

    Raises:
        CaseError: says which option, and what is wrong with it.
    """
    if value is None:
        return
    path, named = Path(value), f"--{option} {value!r}"
    if not value:
        raise CaseError(f"--{option} is empty; name a {'folder' if folder else 'file'}")
    # os.path, as pathlib raises where a folder may not be searched or a name is too long
    if folder and os.path.exists(path) and not os.path.isdir(path):
        raise CaseError(f"{named} is a file; name a folder")
    if not folder and os.path.isdir(path):
        raise CaseError(f"{named} is a folder; name a file")
    if not folder and not os.path.isdir(path.absolute().parent):
        raise CaseError(f"{named}: there is no folder {path.absolute().parent}")
    if why := _why_not_writable(path):
        raise CaseError(f"{named} cannot be written: {why}")


def _why_not_writable(path: Path) -> str:
    """Return why a path cannot be written; an empty text where it can."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        return str(error.strerror)
    there = path.absolute()
    while not os.path.exists(there):
        there = there.parent
    try:  # more than what the rights say: a file system may be read-only, or full
        if there.is_dir():
            with tempfile.TemporaryFile(dir=there):
                pass
        writable = os.access(there, os.W_OK)
    except OSError:
        writable = False
    return "" if writable else f"{there} is not writable"


def print_table(file: Path) -> None:
    """Print the table of a document at the terminal's width, in characters that it has."""
    colour = sys.stdout.isatty()
    colour = colour and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
    words = ["--table", str(terminal_width()), *(["--colour"] if colour else [])]
    encoding = sys.stdout.encoding or "utf-8"
    if codecs.lookup(encoding).name != "utf-8":
        words += ["--encoding", encoding]
    print_text(output(OUTPUT, [str(file), *words]))


def terminal_width() -> int:
    """Return the columns to print into: the terminal's, but no more than `WIDTH`."""
    if not sys.stdout.isatty():
        return WIDTH
    return max(min(shutil.get_terminal_size().columns, WIDTH), NARROWEST)


def print_text(text: str) -> None:
    """Print a text as it is; what the terminal's encoding lacks becomes a question mark."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end="")


def write_json(path: Path, document: dict[str, object]) -> None:
    """Write the document to the file that was asked for.

    Raises:
        SuiteError: it cannot be written.
    """
    try:
        path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise SuiteError(f"--json {path}: {error.strerror}") from None
