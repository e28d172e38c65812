"""Run ``cascade-bench``: parse the command line, dispatch to a command, report errors.

Each command is a module of `benchmarks.commands`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from benchmarks.commands import doctor, explain, history, regress, report, show
from benchmarks.commands import list as list_command
from benchmarks.commands.parsing import CommandParser
from benchmarks.harness.selection.options import SelectionError
from benchmarks.machine.environment import installed
from benchmarks.scenarios.external.errors import SpecError
from results.formatting import one_line
from results.records.record import RecordError
from results.terminal.stdout import replace_what_cannot_be_encoded

ERROR = 2
COMMANDS = (list_command, doctor, show, report, explain, regress, history)
EXAMPLES = (
    "cascade-bench show --results results/reference    # a run that is there already",
    "pytest benchmarks --benchmark-only --scenario gan # measure some of it yourself",
    "cascade-bench list --cost                         # what there is, and how long it takes",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    A mistake of the user ends with one line on stderr and exit code 2. Without any argument the
    help is printed, and the exit code is 2 too: nothing was done.

    Args:
        arguments: the words after ``cascade-bench``; None for those of this process.
    """
    replace_what_cannot_be_encoded(sys.stdout, sys.stderr)
    parser = build_parser()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if not words:
            parser.print_help()
            return ERROR
        options = parser.parse_args(words)
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
    parser = CommandParser(
        prog="cascade-bench",
        description="Backward passes of cascades in PyTorch and JAX: what there is, what came out.",
        examples=EXAMPLES,
    )
    parser.add_argument(
        "--version", action="version", version=f"cascade-bench {installed('cascade-bench')}"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
