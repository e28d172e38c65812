"""Run ``cascade-bench``: its own commands, and those of the suite in the suite's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from cascade_bench.suite import SuiteError, become

ERROR = 2
SUITE = "benchmarks.cli"
# command → what it does; a test holds the second table to what the suite has
OWN = {
    "try": "your own networks: which way is right, and what does each cost",
    "check": "your own training step: does it do what you think it does",
    "new": "write a case of your own to start from",
}
PASSED_ON = {
    "list": "scenarios, variants, flows, strategies, recipes, sizes",
    "doctor": "what this machine is, what disturbs, how noisy it is now",
    "show": "the essentials of one saved run, in the terminal",
    "report": "the comparison: a page, Markdown, charts, tables; of one run or several",
    "explain": "why a cell takes what it takes: its operations beside the baseline's, and traces",
    "regress": "whether a change, or an upgrade, made it slower",
    "history": "every cell over all runs, and where it changed",
}
HEAD = """\
usage: cascade-bench COMMAND [OPTION …]

Backward passes of several networks in PyTorch and JAX: gradients proven equal, then timed.
"""
EXAMPLES = """\
examples:
  cascade-bench new my_case.py                 a case to start from, with comments
  cascade-bench try my_case.py                 which way is right, and what does each cost
  cascade-bench check my_case.py               what does my training step really do
  cascade-bench list                           what the suite can measure of its own

Every command has a --help of its own. Exit codes: 0 all is well, 1 something is wrong with what
was measured, 2 the command cannot be carried out, 130 stopped by Ctrl-C.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a command of the suite replaces this process.

    A mistake of the user ends with one line on stderr and exit code 2.

    Args:
        arguments: the words after ``cascade-bench``; None for those of this process.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else "--help"
    try:
        if name in OWN:
            return _own(name)(words[1:])
        if name in PASSED_ON:
            become(SUITE, words)
        if name in ("-h", "--help"):
            print(help_text(), end="")
            return 0
        if name == "--version":
            return _print_version()
        return _unknown(name)
    except SuiteError as error:
        print(f"cascade-bench: {error}", file=sys.stderr)
        return ERROR


def help_text() -> str:
    """Return the help: every command with a line about it, and examples."""
    lines = [f"  {name:9}{text}" for name, text in {**OWN, **PASSED_ON}.items()]
    return "\n".join([HEAD, "commands:", *lines, "", EXAMPLES])


def _own(name: str) -> Callable[[Sequence[str]], int]:
    """Return the function that runs a command of this package."""
    if name == "try":
        from cascade_bench.try_command import run
    elif name == "check":
        from cascade_bench.check_command import run
    else:
        from cascade_bench.new_command import run
    return run


def _print_version() -> int:
    """Print the version that is installed; return 0."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        print(f"cascade-bench {version('cascade-bench')}")
    except PackageNotFoundError:
        print("cascade-bench, not installed: run from a folder")
    return 0


def _unknown(name: str) -> int:
    """Say which commands there are, and which of them may have been meant; return 2."""
    import difflib

    known = [*OWN, *PASSED_ON]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
    kind = "option" if name.startswith("-") else "command"
    print(f"cascade-bench: there is no {kind} {name!r}; {hint}", file=sys.stderr)
    return ERROR


if __name__ == "__main__":
    sys.exit(main())
