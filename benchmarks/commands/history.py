"""``cascade-bench history``: every cell over all the runs of a machine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import cells
from benchmarks.paths import RUNS
from results.formatting import one_line
from results.records.record import RecordError

NARROWEST = 80


def add_command(commands: Any) -> None:
    """Add ``history`` to the commands of `cascade-bench`."""
    history = commands.add_parser(
        "history", help="each cell over all runs of this machine, and where its time changed"
    )
    history.add_argument("--results", default=str(RUNS), help="folder of runs")
    history.add_argument("--machine", metavar="ID", help="whose runs (default: the newest run's)")
    for name in cells.OPTIONS:
        history.add_argument(f"--{name}", action="append", metavar="NAME[,NAME]")
    history.add_argument("--changed", action="store_true", help="only cells that changed")
    history.add_argument("--json", action="store_true", help="a list of objects")
    history.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Show it; returns 0.

    Raises:
        RecordError: no run, no such machine, or nothing of this selection.
    """
    try:
        from results.regression import history
        from results.terminal import history_table

        kept = history.load(Path(options.results))
    except ModuleNotFoundError as error:
        raise RecordError(
            f"history needs {error.name}, not installed here: pip install -e '.[report]'"
        ) from None
    for name, why in kept.unread.items():
        print(f"cascade-bench: left out {name}: {one_line(why)}", file=sys.stderr)
    if not history.machines(kept):
        raise RecordError(f"no run under {options.results} can be read, or has a cell")
    machine = _machine(options.machine, history.machines(kept))
    wanted = {n: _listed(getattr(options, n)) for n in cells.OPTIONS}
    found = history_table.lines(history.series(kept, machine, **wanted))
    found = [line for line in found if line.found or not options.changed]
    if options.json:
        print(json.dumps([history_table.plain(line) for line in found], indent=1))
        return 0
    if not found and not options.changed:
        raise RecordError(f"no cell of this selection has a time on machine {machine}")
    print(_text(found, _about(machine, history.machines(kept))))
    return 0


def _machine(asked: str | None, known: dict[str, int]) -> str:
    if asked is None:
        return next(iter(known))
    if asked not in known:
        raise RecordError(f"no run of machine {asked!r}; there are runs of {', '.join(known)}")
    return asked


def _about(machine: str, known: dict[str, int]) -> str:
    others = {name: count for name, count in known.items() if name != machine}
    more = ", ".join(f"{name} ({count})" for name, count in others.items())
    return f"machine {machine}: {known[machine]} runs" + (f"; others: {more}" if more else "")


def _listed(values: list[str] | None) -> list[str] | None:
    return [name for value in values for name in value.split(",")] if values else None


def _text(found: Any, about: str) -> str:
    from rich.console import Console

    from results.terminal import history_table

    console = Console()
    width = max(console.width, NARROWEST) if console.is_terminal else history_table.WIDTH
    colour = console.color_system is not None and not console.no_color
    return history_table.text(found, about, width, colour=colour)
