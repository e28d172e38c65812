"""Run ``cascade-bench``: its own commands, and those of the suite in the suite's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from cascade_bench.suite import SuiteError, become

ERROR, STOPPED = 2, 130
SUITE = "benchmarks.cli"
# command → what it does; a test holds the second table to what the suite has
OWN = {
    "try": "your own networks: check and time the ways to run their backward passes",
    "check": "your own training step: find what is wrong with it",
    "new": "write a file that builds a case of your own, to start from",
}
PASSED_ON = {
    "list": "what the suite can measure: scenarios, variants, strategies, recipes, sizes",
    "doctor": "describe this machine, what disturbs timing on it, and how noisy it is now",
    "show": "print the essentials of one saved run",
    "report": "write a report on saved runs: a web page, Markdown, charts, tables",
    "explain": "why a cell takes the time it takes: its operations beside the baseline's, traces",
    "regress": "did a change, or an upgrade of torch or jax, make it slower?",
    "history": "the time of each cell over all saved runs, and where it changed",
}
HEAD = """\
usage: cascade-bench COMMAND [OPTION …]

Backward passes of several networks in PyTorch and JAX: gradients proven equal, then timed.
"""
EXAMPLES = """\
examples:
  cascade-bench new my_case.py                 a case to start from, with comments
  cascade-bench try my_case.py                 check and time the ways to run its backward passes
  cascade-bench check my_case.py               find what is wrong with its training step
  cascade-bench list                           what the suite can measure of its own

Every command has its own --help, which lists its exit codes. In general: 0 all is well,
1 something is wrong with what was measured, 2 the command cannot be carried out,
130 stopped by Ctrl-C, and for regress 3: undecided.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; a command of the suite replaces this process.

    A mistake of the user ends with one line on stderr and exit code 2.

    Args:
        arguments: the words after ``cascade-bench``; None for those of this process.
    """
    if hasattr(sys.stdout, "reconfigure"):  # what its encoding lacks ends no command
        sys.stdout.reconfigure(errors="replace")
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = words[0] if words else "--help"
    try:
        if name in OWN:
            return _own(name)(words[1:])
        if name in PASSED_ON:
            become(SUITE, words)
        if name in ("-h", "--help", "help"):
            return _print_help(words[1:])
        if name == "--version":
            return _print_version()
        return _unknown(name)
    except SuiteError as error:
        print(f"cascade-bench: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("cascade-bench: stopped", file=sys.stderr)
        return STOPPED


def help_text() -> str:
    """Return the help: every command with a line about it, and examples."""
    lines = [f"  {name:9}{text}" for name, text in {**OWN, **PASSED_ON}.items()]
    return "\n".join([HEAD, "commands:", *lines, "", EXAMPLES])


def _print_help(words: Sequence[str]) -> int:
    """Print the help, or that of the command that the words begin with; return 0."""
    if words and words[0] in {**OWN, **PASSED_ON}:
        return main([words[0], "--help"])
    print(help_text(), end="")
    return 0


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
    near = difflib.get_close_matches(name, [*known, "--help", "--version"], n=1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif name.partition(":")[0].endswith(".py"):
        hint = f"for a case of your own: cascade-bench try {name}"
    else:
        hint = f"there are {', '.join(known)}"
    kind = "option" if name.startswith("-") else "command"
    print(f"cascade-bench: there is no {kind} {name!r}; {hint}", file=sys.stderr)
    return ERROR


if __name__ == "__main__":
    sys.exit(main())
