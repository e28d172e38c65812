"""``cascade-bench regress``: base against head in one session, or against a saved run."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol import cells
from benchmarks.harness.selection import options as selection
from benchmarks.paths import REGRESSIONS, RUNS
from benchmarks.regression import comparison, output, plan
from benchmarks.regression.versions import VersionRequest
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError
from results.formatting import one_line
from results.records.record import RecordError
from results.regression import document as regression

BUDGET = "10m"
ABOUT = """
Exit codes: 0 nothing got slower, 1 a regression (slower, or wrong gradients), 2 an error (bad
arguments, a base that does not run, a cell that failed), 3 inconclusive, 130 stopped by Ctrl-C.
"""


def add_command(commands: Any) -> None:
    """Add ``regress`` to the commands of `cascade-bench`."""
    regress = commands.add_parser(
        "regress",
        help="did this change, or this upgrade, make it slower? base against head, in turns",
        description="Measure BASE and HEAD in one session, their workers in turns on one core.",
        epilog=ABOUT,
    )
    regress.add_argument("base", nargs="?", metavar="BASE", help="a git ref, such as main")
    regress.add_argument("head", nargs="?", metavar="HEAD", help="a git ref (default: the files)")
    regress.add_argument("--base-python", metavar="PATH", help="the interpreter that runs BASE")
    regress.add_argument("--head-python", metavar="PATH", help="the interpreter that runs HEAD")
    regress.add_argument(
        "--budget", default=BUDGET, metavar="TIME", help=f"of the whole session ({BUDGET})"
    )
    for name in cells.OPTIONS:
        regress.add_argument(f"--{name}", action="append", metavar="NAME[,NAME]")
    regress.add_argument(
        loading.OPTION, action="append", default=[], metavar="PATH",
        help="scenarios of your own; BASE and HEAD are then refs of the repository they are in",
    )  # fmt: skip
    regress.add_argument("--device", default="cpu", choices=selection.DEVICES)
    regress.add_argument("--seed", type=int, default=0, help="of the order of turns (0)")
    regress.add_argument(
        "--stored", metavar="RUN", help="the weak way: two saved runs, RUN and HEAD or the newest"
    )
    for form in ("markdown", "json"):
        regress.add_argument(
            f"--{form}", nargs="?", const="-", metavar="FILE",
            help=f"as {form}, into a file; without FILE printed instead of the table",
        )  # fmt: skip
    regress.add_argument(
        "--results", metavar="DIR", help="folder of comparisons, or of runs with --stored"
    )
    regress.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Compare; returns the exit code."""
    for stop in (signal.SIGTERM, signal.SIGHUP):  # end as Ctrl-C does: saved, trees removed
        if signal.getsignal(stop) == signal.SIG_DFL:
            signal.signal(stop, signal.default_int_handler)
    try:
        output.demand_writable(options)
        if options.stored:
            from benchmarks.regression import stored_comparison

            return stored_comparison.run(options, Path(options.results or RUNS))
        document, saved = comparison.compare(_question(options))
        return output.show(document if saved else document | {"unsaved": True}, options)
    except KeyboardInterrupt:
        print("cascade-bench: stopped", file=sys.stderr)
        return regression.STOPPED
    except (BrokenPipeError, SpecError, RecordError, selection.SelectionError):
        raise  # `cli.main` says them in a line
    except (*comparison.ERRORS, OSError) as error:
        print(f"cascade-bench: {one_line(error)}", file=sys.stderr)
        return regression.ERROR
    except Exception:  # a fault of ours must not end as Python ends it: 1 is a regression
        traceback.print_exc()
        return regression.ERROR


def _question(options: argparse.Namespace) -> comparison.ComparisonRequest:
    began = time.monotonic()
    if options.base is None and options.base_python is None:
        raise selection.SelectionError(
            "regress needs a BASE to compare with: a git ref, such as main, or another "
            "interpreter, --base-python PATH"
        )
    loading.load(options.scenario_path)
    head_python = _interpreter(options.head_python) or sys.executable
    asked = _chosen(options)
    return comparison.ComparisonRequest(
        base=VersionRequest(options.base, _interpreter(options.base_python) or head_python),
        head=VersionRequest(options.head, head_python),
        choose=lambda installed: plan.cells(asked, options.device, installed),
        budget=plan.seconds_of(options.budget),
        folder=Path(options.results or REGRESSIONS),
        arguments=output.typed(options),
        seed=options.seed,
        began=began,
    )


def _interpreter(path: str | None) -> str | None:
    """From the root, as workers stand in other folders; a link is kept, or a virtual environment's
    interpreter would be the one that it was made of."""
    return os.path.abspath(path) if path and os.sep in path else path


def _chosen(options: argparse.Namespace) -> dict[str, tuple[str, ...] | None]:
    given = {name: getattr(options, name) for name in cells.OPTIONS}
    return {
        name: tuple(part for value in values for part in value.split(",")) if values else None
        for name, values in given.items()
    }
