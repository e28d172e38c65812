"""``cascade-bench explain``: the operations of a cell beside those of its baseline."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.measurement import profiling, traces
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.one_cell import EXAMPLE, find_cell
from benchmarks.harness.selection.options import SelectionError, default_device
from benchmarks.harness.session.lock import Busy, Lock
from benchmarks.machine import frameworks
from benchmarks.paths import PROFILES
from benchmarks.scenarios.external import loading
from results.formatting import one_line
from results.records.record import RecordError
from results.terminal.stdout import width_and_colour

ERROR, STOPPED = 2, 130
NARROWEST = 80
EXIT_CODES = "exit codes: 0 done, 2 a mistake or a cell that cannot be run, 130 Ctrl-C"


def add_command(commands: Any) -> None:
    """Add ``explain`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "explain",
        help="why a cell takes what it takes: its operations beside the baseline's, and traces",
        description=(
            "Profile a cell and its baseline in processes of their own, and show what each\n"
            "operation contributes to the difference from the predicted ratio."
        ),
        examples=(
            f"cascade-bench explain {EXAMPLE}",
            "cascade-bench explain jax frozen_prefix small partition --json",
            "cascade-bench explain 'test_backward[linear_cascade---small-…]'  # as pytest names it",
        ),
        exit_codes=EXIT_CODES,
    )
    parser.add_argument(
        "cell", nargs="*", metavar="CELL", help="names of its fields in any order, or its test"
    )
    parser.add_argument("--all", action="store_true", help="a row for every operation")
    parser.add_argument(
        "--out", metavar="DIR", default=str(PROFILES), help="for the traces (results/profiles)"
    )
    shared.add_scenario_path(parser)
    shared.add_device(parser)
    shared.add_json(parser, "one object, with every operation")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Profile a cell, print what was found, and return the exit code.

    Raises:
        SelectionError: no cell, or no single one, has these names.
        SpecError: a user's own scenario cannot be loaded.
    """
    loading.load(options.scenario_path)
    device = options.device or default_device()
    cell = find_cell(options.cell, device)
    if cell.device == "cuda" and default_device() != "cuda":
        raise SelectionError("--device 'cuda': no GPU is to be seen here; use --device cpu")
    if reason := frameworks.why_missing(cell.framework):
        raise SelectionError(reason)
    try:
        document = measure(cell, Path(options.out))
    except KeyboardInterrupt:
        print("cascade-bench: stopped", file=sys.stderr)
        return STOPPED
    except (WorkerError, traces.TraceError, Busy, OSError) as error:
        print(f"cascade-bench: {one_line(error)}", file=sys.stderr)
        return ERROR
    print(as_json(document) if options.json else as_text(document, everything=options.all))
    return 0


def measure(cell: Cell, folder: Path) -> dict[str, Any]:
    """Profile a cell while no other session of this suite measures on this machine.

    Raises:
        Busy: another one does.
        WorkerError, TraceError, OSError: as of `profiling.profile`.
    """
    lock = Lock()
    lock.take()
    try:
        return profiling.profile(cell, folder, lambda line: print(line, file=sys.stderr))
    finally:
        lock.release()


def as_text(document: dict[str, Any], *, everything: bool = False) -> str:
    """Return a profile as a table, at the width of the terminal."""
    from results.terminal import explanation_table, tables

    width, colour = width_and_colour(tables.WIDTH, narrowest=NARROWEST)
    return explanation_table.text(document, width, colour=colour, everything=everything)


def as_json(document: dict[str, Any]) -> str:
    """Return a profile as one object of JSON."""
    from results.terminal import explanation_table

    shown = explanation_table.document_json(document)
    return json.dumps(shown, indent=2, allow_nan=False)


def find_cells(names: Sequence[str], device: str) -> list[Cell]:
    """Return the cell of each name, as of `find_cell`; for the option ``--profile`` of pytest."""
    return [find_cell([name], device) for name in names]


def explanations(cells: Sequence[Cell], folder: Path) -> list[str]:
    """Return what is to be printed of each cell: its table, or why there is none, in a line."""
    shown = []
    for cell in cells:
        try:
            shown.append(as_text(measure(cell, folder)))
        except (WorkerError, traces.TraceError, Busy, RecordError, OSError) as error:
            shown.append(f"--profile {cell.id}: {one_line(error)}")
    return shown
