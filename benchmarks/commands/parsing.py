"""Parse command lines so that a mistake in them is one line, with the nearest name there is."""

from __future__ import annotations

import argparse
import difflib
import re
import textwrap
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from benchmarks.harness.selection.options import SelectionError, check_not_empty
from results.formatting import one_line

EXIT_CODES = "exit codes: 0 done, 2 a mistake, said in one line, 130 Ctrl-C"
EMPTY = "'' (an empty value: a variable that is not set?)"
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
    """Parse a command's arguments; refuse empty ones, and unknown ones with the nearest name.

    Its help ends with examples and exit codes. Commands of a parser of this class are parsed by
    others of this class.
    """

    def __init__(
        self, *, examples: Sequence[str] = (), exit_codes: str = EXIT_CODES, **options: Any
    ) -> None:
        shown = ["examples:", *(f"  {example}" for example in examples), "", exit_codes]
        super().__init__(
            **options,
            epilog="\n".join(shown),
            formatter_class=_Help,
            allow_abbrev=False,
        )

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Parse the arguments, all of which must be known, and none of them empty."""
        parsed, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(one or EMPTY for one in unknown)}")
        try:
            for action in self._actions:
                check_not_empty(_label(action), getattr(parsed, action.dest, None))
        except SelectionError as error:
            self.error(str(error))
        return parsed, []

    def error(self, message: str) -> NoReturn:
        """Print one line on stderr, and end with exit code 2."""
        hint = self._nearest(message)
        self.exit(2, f"{self.prog}: {one_line(message)}{hint} (see {self.prog} --help)\n")

    def _nearest(self, message: str) -> str:
        """Return a hint at the nearest choice or option that there is; empty if none is near."""
        choice, unknown = _CHOICE.search(message), _UNKNOWN.search(message)
        near: list[str] = []
        if choice:
            allowed = re.findall(r"[\w.@-]+", choice["allowed"])
            near = difflib.get_close_matches(choice["given"], allowed, 1)
        elif unknown:
            option = unknown["given"].partition("=")[0]
            if option[0] != "-" and "--scenario" in self._option_string_actions:
                return f"; names are given by an option, such as --scenario {option}"
            near = difflib.get_close_matches(option, self._option_string_actions, 1)
        return f"; did you mean {near[0]!r}?" if near else ""


def _label(action: argparse.Action) -> str:
    """Return how a person names an argument: its longest option string, or its metavar."""
    return max(action.option_strings, key=len, default=str(action.metavar or action.dest))


def exclusive(options: argparse.Namespace, names: Iterable[str]) -> None:
    """Raise `SelectionError` if more than one of these options is given: one would be ignored."""
    given = [f"--{name}" for name in names if getattr(options, name.replace("-", "_"))]
    if len(given) > 1:
        raise SelectionError(f"{' and '.join(given)} exclude each other: leave one out")
