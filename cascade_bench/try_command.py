"""``cascade-bench try``: prove and time the ways to run a case's backward passes."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from cascade_bench import client
from cascade_bench.command_parts import answered, check_output, parser_of, print_table, write_json
from cascade_bench.comparison import OUTPUT
from cascade_bench.process import run_request
from cascade_bench.suite import output
from cascade_bench.target import CaseError, from_text

EXAMPLES = """\
examples:
  cascade-bench try my_case.py                       make(), or torch_case() and jax_case()
  cascade-bench try my_case.py:small --budget 20     another function, 20 seconds
  cascade-bench try my_package.cases:make --report page.html

Exit codes: 0 every way gave the right gradients, 1 one did not or an expectation failed,
2 the case cannot be run, 130 stopped by Ctrl-C (what was measured is shown and kept).
"""


def run(arguments: Sequence[str]) -> int:
    """Measure one case, print its table, and return the exit code.

    Args:
        arguments: the words after ``try``.
    """
    options = parser().parse_args(arguments)
    return answered(lambda: _run(options))


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words after ``try``."""
    made = parser_of(
        "try", "Which way to run the backward passes is right, and what does each cost.", EXAMPLES
    )
    made.add_argument(
        "--budget", type=float, default=60.0, metavar="SECONDS", help="for the whole (60)"
    )
    made.add_argument(
        "--phase", action="append", metavar="NAME[,NAME]", help="backward, gradient, step"
    )
    made.add_argument(
        "--way", action="append", metavar="NAME[,NAME]", help="strategies and recipes (all)"
    )
    made.add_argument("--launches", type=int, metavar="N", help="processes to measure in")
    made.add_argument("--seed", type=int, default=0, help="of the order of measuring (0)")
    made.add_argument("--json", metavar="FILE", help="write everything as one JSON document")
    made.add_argument("--report", metavar="PAGE.html", help="write a page with a chart")
    made.add_argument(
        "--results",
        metavar="FOLDER",
        help=f"folder that runs are kept in ({client.RESULTS_FOLDER})",
    )
    return made


def _run(options: argparse.Namespace) -> int:
    """Measure the case that the options name; see `run`."""
    folder = Path.cwd()
    for option in ("json", "report", "results"):
        check_output(option, getattr(options, option), folder=option == "results")
    if options.report:
        output(OUTPUT, ["--check-report"])  # what the page needs is there, before it is measured
    case = from_text(options.case, folder)
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as private:
        file = Path(private) / "document.json"
        request = client.build_request(
            case,
            folder,
            file,
            budget=options.budget,
            framework=options.framework,
            phases=_names("--phase", options.phase),
            ways=_names("--way", options.way),
            launches=options.launches,
            seed=options.seed,
            results=options.results,
        )
        outcome = run_request(request, Path(private), sys.stderr.write)
        if outcome.code == client.INTERRUPTED and outcome.document is None:
            print("cascade-bench: stopped before anything was measured", file=sys.stderr)
            return client.INTERRUPTED
        document = client.checked_document(outcome)
        if options.json:  # before anything else that can fail
            write_json(Path(options.json), document)
        print_table(file)
        if options.report:
            output(OUTPUT, [str(file), "--report", str(Path(options.report).absolute())])
            print(f"page: {options.report}")
    return outcome.code


def _names(option: str, values: Sequence[str] | None) -> list[str] | None:
    """Return the names of an option that takes several, with commas or given twice.

    Raises:
        CaseError: there is no name in it.
    """
    if values is None:
        return None
    names = [name.strip() for value in values for name in value.split(",")]
    if not all(names):
        raise CaseError(f"{option} {','.join(values)!r} has an empty name; give NAME[,NAME]")
    return names
