"""Show how many groups have been measured, and how long the rest will take."""

from __future__ import annotations

import sys
import time

import pytest

from benchmarks.harness.protocol.cells import Cell

EVERY_SECONDS = 10.0  # between lines where the output is no terminal


class Progress:
    """Print progress to stderr: one line that rewrites itself, or some lines in a log.

    Args:
        config: pytest's; with ``-q`` nothing is printed.
        total: number of groups to measure.
        enabled: whether anything is printed.
    """

    def __init__(self, config: pytest.Config, total: int, *, enabled: bool) -> None:
        self._manager = config.pluginmanager.getplugin("capturemanager")
        self._enabled = enabled and config.get_verbosity() >= 0
        self._terminal = sys.__stderr__ is not None and sys.__stderr__.isatty()
        self._total, self._done = total, 0
        self._start = self._last_line = time.monotonic()
        self._width = 0

    def begin(self, text: str) -> None:
        """Show a text until the first group begins."""
        if self._terminal:
            self._write("\r" + text)
            self._width = len(text)
        else:
            self._write("\n" + text, end="")

    def begin_group(self, members: list[Cell]) -> None:
        """Show that measuring a group begins.

        Args:
            members: the cells of the group.
        """
        cell, now = members[0], time.monotonic()
        text = f"measuring {self._done + 1}/{self._total} {_name(cell)} ({len(members)} cells)"
        if self._done == 1:
            self._start = now  # the first group also started the workers, so it predicts nothing
        elif self._done > 1:
            each = (now - self._start) / (self._done - 1)
            text += f", {minutes_text(each * (self._total - self._done))} left"
        self._done += 1
        self.show(text, first=self._done == 1)

    def show(self, text: str, *, first: bool = False) -> None:
        """Show a text: in a terminal at once, in a log at most every `EVERY_SECONDS`.

        Args:
            text: replaces the one before it.
            first: whether it is the first of several, which a log shows in any case.
        """
        now = time.monotonic()
        if self._terminal:
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif first or now - self._last_line >= EVERY_SECONDS:
            self._last_line = now
            self._write("\n" + text if first else text, end="\n")

    def clear(self) -> None:
        """Clear the line."""
        if self._terminal and self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str, end: str = "") -> None:
        """Write a text to the real stderr, past pytest's capturing, unless progress is off."""
        if not self._enabled:
            return
        with self._manager.global_and_fixture_disabled():
            sys.stderr.write(text + end)
            sys.stderr.flush()


def _name(cell: Cell) -> str:
    """Return the parts of a cell's name that its whole group shares, for the line of progress."""
    parts = (cell.scenario, cell.variant, cell.size, cell.framework, cell.phase)
    return " ".join(part for part in parts if part != "-")


def minutes_text(seconds: float) -> str:
    """Return a duration in words, such as ``3 min 05 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
