"""How far the measuring is, and how long it still takes."""

from __future__ import annotations

import sys
import time

import pytest

from benchmarks.harness.protocol.cells import Cell

EVERY_SECONDS = 10.0  # between lines where the output is no terminal


class Progress:
    """One line that rewrites itself in a terminal; a line now and then in a log."""

    def __init__(self, config: pytest.Config, total: int, *, enabled: bool) -> None:
        self._manager = config.pluginmanager.getplugin("capturemanager")
        self._enabled = enabled and config.get_verbosity() >= 0
        self._terminal = sys.__stderr__ is not None and sys.__stderr__.isatty()
        self._total, self._done = total, 0
        self._start = self._told = time.monotonic()
        self._width = 0

    def begin(self, text: str) -> None:
        """What goes on before the first group."""
        if self._terminal:
            self._write("\r" + text)
            self._width = len(text)
        else:
            self._write("\n" + text, end="")

    def at(self, members: list[Cell]) -> None:
        """The group that is measured now."""
        cell, now = members[0], time.monotonic()
        text = f"measuring {self._done + 1}/{self._total} {_name(cell)} ({len(members)} cells)"
        if self._done == 1:
            self._start = (
                now  # the first group waits for every worker to start: no measure of the rest
            )
        elif self._done > 1:
            left = (now - self._start) / (self._done - 1) * (self._total - self._done)
            text += f", {_minutes(left)} left"
        self._done += 1
        if self._terminal:
            self._write("\r" + text.ljust(self._width))
            self._width = len(text)
        elif self._done == 1 or now - self._told >= EVERY_SECONDS:
            self._told = now
            self._write("\n" + text if self._done == 1 else text, end="\n")

    def done(self) -> None:
        """Clear the line."""
        if self._terminal and self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _write(self, text: str, end: str = "") -> None:
        if not self._enabled:
            return
        with self._manager.global_and_fixture_disabled():
            sys.stderr.write(text + end)
            sys.stderr.flush()


def _name(cell: Cell) -> str:
    parts = (cell.scenario, cell.variant, cell.size, cell.framework, cell.phase)
    return " ".join(part for part in parts if part != "-")


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
