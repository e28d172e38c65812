"""Run ``cascade-bench``: parse the command line, dispatch to a command, report errors.

Each command is a module of `benchmarks.commands`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from benchmarks.commands import doctor, history, regress, report, show
from benchmarks.commands import list as list_command
from benchmarks.harness.selection.options import SelectionError
from benchmarks.scenarios.external.errors import SpecError
from results.formatting import one_line
from results.records.record import RecordError

ERROR = 2
COMMANDS = (list_command, doctor, show, report, regress, history)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    A mistake of the user ends with one line on stderr and exit code 2.

    Args:
        arguments: the words after ``cascade-bench``; None for those of this process.
    """
    options = build_parser().parse_args(arguments)
    try:
        code: int = options.run(options)
        sys.stdout.flush()  # inside the try: a reader that has ended is no error
        return code
    except (SelectionError, SpecError, RecordError) as error:
        print(f"cascade-bench: {one_line(error)}", file=sys.stderr)
        return ERROR
    except BrokenPipeError:  # the reader, such as `head`, has ended
        # Python flushes stdout once more when it exits, which must not fail
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of ``cascade-bench``, with all its commands."""
    parser = argparse.ArgumentParser(
        prog="cascade-bench",
        description="Backward passes of cascades in PyTorch and JAX: what there is, what came out.",
        epilog="Measure with: pytest benchmarks --benchmark-only",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
