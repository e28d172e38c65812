"""``cascade-bench new``: write a case to start from, with comments."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from cascade_bench import suite
from cascade_bench.parsing import CommandParser

ERROR = 2
EXAMPLES = {
    "torch": "torch_two_networks.py",
    "jax": "jax_two_networks.py",
    "both": "both_frameworks.py",
}
HELP = """\
examples:
  cascade-bench new my_case.py                       a case in PyTorch
  cascade-bench new my_case.py --framework both      the same case in PyTorch and in JAX

exit codes: 0 the file is written, 2 it cannot be written
"""


def run(arguments: Sequence[str]) -> int:
    """Write the file and say how to go on; return 0, or 2 where it cannot be written.

    Args:
        arguments: the words after ``new``.
    """
    options = parser().parse_args(arguments)
    path = Path(options.file)
    problem = _problem(options.file)
    if problem:
        print(f"cascade-bench: {problem}", file=sys.stderr)
        return ERROR
    example = suite.folder() / "examples" / EXAMPLES[options.framework]
    text = example.read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:  # x: never over what is there
            file.write(text)
    except OSError as error:
        print(f"cascade-bench: {path} cannot be written: {error.strerror}", file=sys.stderr)
        return ERROR
    print(f"{path}: a case of two networks; put your own in their place, then:")
    print(f"cascade-bench try {shlex.quote(str(path))}")
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words after ``new``."""
    command_parser = CommandParser(
        "new",
        "Write a case to start from, with comments.",
        HELP,
        "name the file to write, such as my_case.py",
    )
    command_parser.add_argument("file", metavar="FILE", help="the file to write; it must not exist")
    command_parser.add_argument(
        "--framework",
        choices=tuple(EXAMPLES),
        default="torch",
        help="of the case; both writes torch_case and jax_case (default: torch)",
    )
    return command_parser


def _problem(name: str) -> str | None:
    """Return why the file cannot be written; None if it can."""
    path = Path(name)
    if path.suffix != ".py":
        return f"{name!r} is no name of a Python file; give one that ends in .py"
    if os.path.lexists(path):
        return f"{path} exists, and is left as it is; give another name"
    if not os.path.isdir(path.absolute().parent):
        return f"there is no folder {path.absolute().parent}"
    return None
