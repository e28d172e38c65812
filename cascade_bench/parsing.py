"""Parse the words of this package's own commands: a mistake is one line, with the nearest name."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from collections.abc import Sequence
from typing import NoReturn

EMPTY = "'' (an empty value: a variable that is not set?)"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
_CHOICE = re.compile(r"invalid choice: (['\"])(?P<given>.*?)\1 \(choose from (?P<allowed>.*)\)")
_UNKNOWN = re.compile(r"unrecognized arguments: (?P<given>\S+)")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Show the description and the epilog line by line, each filled to the terminal's width."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(line if len(line) <= width else _hanging(line, width) for line in lines)


def _hanging(line: str, width: int) -> str:
    """Return a line filled to a width; what does not fit stands deeper below an example."""
    return textwrap.fill(line, width, subsequent_indent="      " if line.startswith(" ") else "")


class CommandParser(argparse.ArgumentParser):
    """Parse the words after a command; its help ends with examples and exit codes.

    Options are never abbreviated: an abbreviation would name another option once one is added.

    Args:
        name: of the command.
        description: what the command does, in a sentence.
        epilog: examples and exit codes.
        nothing: what to do where a required argument is missing; added to that error.
    """

    def __init__(self, name: str, description: str, epilog: str, nothing: str = "") -> None:
        super().__init__(
            prog=f"cascade-bench {name}",
            description=description,
            epilog=epilog,
            formatter_class=_Help,
            allow_abbrev=False,
        )
        self._nothing = nothing

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the words, all of which must be known."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(one or EMPTY for one in unknown)}")
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr, and end with exit code 2."""
        text = " ".join(message.split())
        self.exit(2, f"{self.prog}: {text}{self._hint(text)} (see {self.prog} --help)\n")

    def _hint(self, message: str) -> str:
        """Return what may have been meant, or what to do; empty where neither is known."""
        if "arguments are required" in message and self._nothing:
            return f"; {self._nothing}"
        choice, unknown = _CHOICE.search(message), _UNKNOWN.search(message)
        near: list[str] = []
        if choice:
            allowed = re.findall(r"[\w-]+", choice["allowed"])
            near = difflib.get_close_matches(choice["given"], allowed, 1)
        elif unknown:
            option = unknown["given"].partition("=")[0]
            near = difflib.get_close_matches(option, self._option_string_actions, 1)
        return f"; did you mean {near[0]!r}?" if near else ""


def seconds(text: str) -> float:
    """Convert a duration such as ``90``, ``90s``, ``2m`` or ``1h`` to seconds, for argparse.

    Raises:
        argparse.ArgumentTypeError: the text is no such duration.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(s|m|min|h|)\s*", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no time; give one such as 60, 90s or 2m")
    return float(match[1]) * _UNITS[match[2]]
