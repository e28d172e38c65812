"""Define the options that several commands share.

The functions take a parser of `argparse` and add one option each, or one group of options.
"""

from __future__ import annotations

import argparse

from benchmarks.harness.protocol import cells
from benchmarks.harness.protocol.precision import IEEE, PRECISION_MODES
from benchmarks.harness.selection.names import split_names
from benchmarks.harness.selection.options import DEVICES
from benchmarks.paths import RUNS, named
from benchmarks.scenarios.external import loading


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add the options that select cells by name; read them with `selected_names`."""
    for field in cells.OPTIONS:
        parser.add_argument(
            f"--{field}",
            action="append",
            metavar="NAME[,NAME]",
            help=f"only this {field}, or these, or all; see: cascade-bench list",
        )


def selected_names(options: argparse.Namespace) -> dict[str, tuple[str, ...] | None]:
    """Return the selected names by field of a cell, None for a field that was left open."""
    return {field: split_names(getattr(options, field)) for field in cells.OPTIONS}


def add_scenario_path(
    parser: argparse.ArgumentParser,
    description: str = "file or folder that describes scenarios of your own",
) -> None:
    """Add ``--scenario-path``; pass its list of paths to `loading.load`."""
    parser.add_argument(
        loading.OPTION, action="append", default=[], metavar="PATH", help=description
    )


def add_device(parser: argparse.ArgumentParser, default: str | None = None) -> None:
    """Add ``--device``."""
    parser.add_argument(
        "--device",
        default=default,
        choices=DEVICES,
        help=f"where to run (default: {default or 'cuda where there is one'})",
    )


def add_json(parser: argparse.ArgumentParser, description: str) -> None:
    """Add ``--json``, a switch; the description says what is printed."""
    parser.add_argument("--json", action="store_true", help=description)


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add ``--results``, the folder that saved runs are read from."""
    parser.add_argument(
        "--results",
        metavar="DIR",
        default=str(RUNS),
        help=f"folder of saved runs, or one that holds it as runs/ (default: {named(RUNS)})",
    )


def add_precision_mode(parser: argparse.ArgumentParser) -> None:
    """Add ``--precision-mode``; the selection checks its value."""
    parser.add_argument(
        "--precision-mode",
        default=IEEE,
        metavar="MODE",
        help=f"what the networks compute in: {', '.join(PRECISION_MODES)} (default: {IEEE})",
    )
