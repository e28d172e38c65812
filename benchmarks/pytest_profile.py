"""Explain cells after a pytest session has timed: ``--profile CELL``.

The cells are profiled when everything is timed and the workers that time have ended, each in a
process of its own: a profiler slows what runs beside it, and what runs after it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.commands import explain
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import SelectionError, default_device
from benchmarks.paths import PROFILES

CELLS = pytest.StashKey[list[Cell]]()


def add_option(group: pytest.OptionGroup) -> None:
    """Add ``--profile`` to a group of pytest's options."""
    group.addoption(
        "--profile",
        action="append",
        metavar="CELL",
        help="then explain this cell, such as 'jax gan small gradient reforward' (docs/explain.md)",
    )


def check(config: pytest.Config) -> None:
    """Find the cells before anything is measured.

    Raises:
        SelectionError: a name is that of no cell, or of several, or nothing is timed.
    """
    named = config.getoption("profile") or ()
    if named and (config.getoption("benchmark_skip") or config.getoption("benchmark_disable")):
        raise SelectionError(
            "--profile explains after timing: leave out --benchmark-skip and --benchmark-disable, "
            "or use: cascade-bench explain CELL"
        )
    device = config.getoption("device") or default_device()
    config.stash[CELLS] = explain.find_cells(named, device)


def summary(terminal: pytest.TerminalReporter) -> None:
    """Profile the cells, and print the table of each, or why there is none."""
    cells = terminal.config.stash.get(CELLS, [])
    if not cells:
        return
    results = terminal.config.getoption("results")
    folder = Path(results) / "profiles" if results else PROFILES
    terminal.section("explained by a profiler, after the clock")
    for text in explain.explanations(cells, folder):
        for line in text.splitlines():
            terminal.write_line(line)
        terminal.write_line("")
