"""``cascade-bench history``: show the time of each cell over all the runs of a machine."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.harness.protocol import cells
from benchmarks.harness.selection.names import names_of_runs
from results.formatting import one_line
from results.records.installing import install_command
from results.records.record import RecordError
from results.terminal.stdout import width_and_colour

NARROWEST = 80


def add_command(commands: Any) -> None:
    """Add ``history`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "history",
        help="each cell over all runs of this machine, and where its time changed",
        description="Show the time of each cell over all saved runs of one machine.",
        examples=(
            "cascade-bench history --changed",
            "cascade-bench history --results results/reference --scenario stacked_cascade",
        ),
    )
    shared.add_results(parser)
    parser.add_argument(
        "--machine",
        metavar="ID",
        help="show the runs of this machine (default: that of the newest run)",
    )
    shared.add_selection(parser)
    parser.add_argument("--changed", action="store_true", help="show only cells whose time changed")
    shared.add_json(parser, "print a JSON list, with an object for each cell, not the table")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the history of the selected cells; return 0.

    Raises:
        RecordError: there is no run, no such machine, or no time of the selected cells.
        SelectionError: no saved cell has a name that was given.
    """
    try:
        from results.regression import history
        from results.terminal import history_table

        loaded = history.load(Path(options.results))
    except ModuleNotFoundError as error:
        raise RecordError(
            f"history needs {error.name}, not installed here: {install_command('report')}"
        ) from None
    for name, why in loaded.unread.items():
        print(f"cascade-bench: left out {name}: {one_line(why)}", file=sys.stderr)
    machines = history.machines(loaded)
    if not machines:
        raise RecordError(f"no run under {options.results} can be read, or has a cell")
    machine = _chosen_machine(options.machine, machines)
    there = {field: set(loaded.rows[field].astype(str)) for field in cells.OPTIONS}
    selected = names_of_runs(shared.selected_names(options), there)
    series = history.series(loaded, machine, **selected)
    lines = history_table.cell_histories(series)
    if options.json:
        shown = [line for line in lines if line.changes or not options.changed]
        print(json.dumps([history_table.history_json(line) for line in shown], indent=1))
        return 0
    if not lines:
        raise RecordError(f"no cell of this selection has a time on machine {machine}")
    print(_text(lines, _title(machine, machines), changed=options.changed))
    return 0


def _chosen_machine(name: str | None, machines: Mapping[str, int]) -> str:
    """Return the id of the machine to show: the named one, or the newest run's for None.

    Args:
        name: id of a machine, or None.
        machines: id → number of runs, that of the newest run first.
    """
    if name is None:
        return next(iter(machines))
    if name not in machines:
        near = difflib.get_close_matches(name, machines, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        there = ", ".join(machines)
        raise RecordError(f"no run of machine {name!r}{hint} (there are runs of {there})")
    return name


def _title(machine: str, machines: Mapping[str, int]) -> str:
    """Return the title: the machine with its number of runs, then the machines not shown."""
    others = {name: count for name, count in machines.items() if name != machine}
    more = ", ".join(f"{name} ({count})" for name, count in others.items())
    return f"machine {machine}: {machines[machine]} runs" + (f"; others: {more}" if more else "")


def _text(lines: Any, title: str, *, changed: bool) -> str:
    """Return the table of histories for the terminal, at the terminal's width."""
    from results.terminal import history_table

    width, colour = width_and_colour(history_table.WIDTH, narrowest=NARROWEST)
    return history_table.text(lines, title, width, colour=colour, changed=changed)
