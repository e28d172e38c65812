"""``cascade-bench regress``: compare base and head in one session, or two saved runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from benchmarks.cluster.errors import ClusterError
from benchmarks.commands import options as shared
from benchmarks.commands.parsing import exclusive
from benchmarks.harness.selection.options import SelectionError
from benchmarks.machine import frameworks, releases
from benchmarks.paths import OUTPUT_NAME, REGRESSIONS, RUNS
from benchmarks.regression import case_request, comparison, output, plan
from benchmarks.regression.versions import VersionRequest
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.external.guesses import layout_guesses
from results.formatting import one_line
from results.records.record import RecordError
from results.regression.document import ERROR, STOPPED

BUDGET = "10m"
EXIT_CODES = (
    "exit codes: 0 nothing got slower, 1 a regression (slower, more FLOPs or memory, or wrong "
    "gradients; the first line says which), 2 an error (bad arguments, a base that does not run, a "
    "cell that failed), 3 inconclusive: noise hides whether something got slower, 130 Ctrl-C"
)
EXAMPLES = (
    "cascade-bench regress main                              # the files against a branch",
    "cascade-bench regress HEAD~1 HEAD --markdown comment.md",
    "cascade-bench regress --base-python ../old/bin/python   # another torch or jax",
    "cascade-bench regress main --case my_case.py            # two commits of your own repository",
    "cascade-bench regress main --counts-only                # in seconds, without a clock",
)


def add_command(commands: Any) -> None:
    """Add ``regress`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "regress",
        help="did this change, or this upgrade, make it slower? base against head, in turns",
        description=(
            "Compare two versions, BASE and HEAD: both are measured in one session, in turns, on "
            "one core. Without HEAD, the files as they are now are compared with BASE."
        ),
        examples=EXAMPLES,
        exit_codes=EXIT_CODES,
    )
    parser.add_argument("base", nargs="?", metavar="BASE", help="a git ref, such as main")
    parser.add_argument(
        "head", nargs="?", metavar="HEAD", help="a git ref (default: the files as they are now)"
    )
    parser.add_argument("--base-python", metavar="PATH", help="Python interpreter that runs BASE")
    parser.add_argument("--head-python", metavar="PATH", help="Python interpreter that runs HEAD")
    _add_time(parser)
    shared.add_selection(parser)
    _add_own_code(parser)
    shared.add_device(parser, default="cpu")
    parser.add_argument(
        "--cluster", metavar="FILE", help="compare on a node that this file names (docs/cluster.md)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of the order of turns (default: 0)"
    )
    parser.add_argument(
        "--stored",
        metavar="RUN",
        help="measure nothing: compare the saved run RUN with HEAD, or with the newest; finds less",
    )
    _add_outputs(parser)
    parser.set_defaults(run=run)


def _add_time(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how long is measured, or whether at all."""
    parser.add_argument(
        "--budget",
        default=BUDGET,
        metavar="TIME",
        help=f"time for the whole comparison (default: {BUDGET})",
    )
    parser.add_argument(
        "--confirm",
        metavar="TIME",
        help="more time after the budget, such as 3m, for cells that look slower and are undecided",
    )
    parser.add_argument(
        "--counts-only",
        action="store_true",
        help="compare gradients, FLOPs, memory, operations and compiling alone: seconds, no timing",
    )


def _add_own_code(parser: argparse.ArgumentParser) -> None:
    """Add the options that name code of the user's own to compare."""
    shared.add_scenario_path(
        parser,
        "file or folder that describes scenarios of your own; BASE and HEAD are then refs of the "
        "repository it is in",
    )
    parser.add_argument(
        "--case",
        metavar="CASE",
        help="a case of your own, FILE, FILE:function or package.module:function; BASE and HEAD "
        "are then refs of the repository it is in",
    )
    parser.add_argument(
        "--same-case",
        action="store_true",
        help="with --case: BASE too runs HEAD's file, such as where BASE has none yet",
    )


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    """Add the options that say in which form, and where, the result is written."""
    for form in output.FORMS:
        parser.add_argument(
            f"--{form}",
            nargs="?",
            const="-",
            metavar="FILE",
            help=f"write the result as {form} into FILE; without FILE, print it, not the table",
        )
    parser.add_argument(
        "--results",
        metavar="DIR",
        help="folder to save the comparison in; with --stored, the folder of the runs",
    )


def run(options: argparse.Namespace) -> int:
    """Compare, show the result, and return the exit code; see `EXIT_CODES`.

    Python ends with 1 after an exception, which would pass for a regression. Therefore every
    unexpected exception ends with 2 here.

    Raises:
        SelectionError, SpecError, RecordError: mistakes of the user, which `cli.main` reports.
    """
    for stop in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: save, and remove temporary folders
        if signal.getsignal(stop) == signal.SIG_DFL:
            signal.signal(stop, signal.default_int_handler)
    try:
        _refuse_two_prints(options)
        _refuse_beside_case(options)
        exclusive(options, ("counts-only", "confirm"))
        exclusive(options, ("counts-only", "stored"))
        output.prepare_files(options)
        if options.stored:
            from benchmarks.regression import stored_comparison

            return stored_comparison.run(options, Path(options.results or RUNS))
        document, saved = _compare(options)
        return output.show(document if saved else document | {"unsaved": True}, options)
    except KeyboardInterrupt:
        print("cascade-bench: stopped", file=sys.stderr)
        return STOPPED
    except (BrokenPipeError, SpecError, RecordError, SelectionError):
        raise  # `cli.main` handles these
    except (*comparison.ERRORS, ClusterError, OSError) as error:
        print(f"cascade-bench: {one_line(error)}", file=sys.stderr)
        return ERROR
    except Exception:  # a bug in this suite
        traceback.print_exc()
        return ERROR


def _compare(options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Compare here, or on a node of a cluster; return the document, and whether it is saved."""
    request = _request(options)
    if not options.cluster:
        return comparison.compare(request)
    from benchmarks.cluster import comparison as on_cluster

    seconds, arguments = request.budget + request.confirm, _for_another_folder(options)
    return on_cluster.compare(arguments, Path(options.cluster), request.folder, seconds)


def _for_another_folder(options: argparse.Namespace) -> list[str]:
    """Return the arguments of the same comparison, as they are to be given in another folder."""
    paths = options.scenario_path and [os.path.abspath(path) for path in options.scenario_path]
    pythons = {
        name: _interpreter(getattr(options, name)) for name in ("base_python", "head_python")
    }
    return output.retypable(
        argparse.Namespace(**{**vars(options), **pythons, "scenario_path": paths})
    )


def _refuse_two_prints(options: argparse.Namespace) -> None:
    """Raise `SelectionError` if two forms are to be printed, or written into one file."""
    targets = [getattr(options, form) for form in output.FORMS]
    if all(targets) and len(set(targets)) < len(targets):
        raise SelectionError(
            f"{' and '.join(f'--{form}' for form in output.FORMS)} would both be written to "
            f"{'standard output' if targets[0] == '-' else targets[0]}: name a file for one of them"
        )


def _refuse_beside_case(options: argparse.Namespace) -> None:
    """Raise `SelectionError` for what does not go together with ``--case``, or not without it."""
    if options.case is None:
        if options.same_case:
            raise SelectionError("--same-case is of a case of your own: give --case FILE too")
        return
    exclusive(options, ("case", "scenario-path"))
    exclusive(options, ("case", "cluster"))
    exclusive(options, ("case", "stored"))
    if options.device != "cpu":
        raise SelectionError("--case is measured on the CPU: leave --device out")
    if options.same_case and options.base is None:
        raise SelectionError("--same-case: without BASE both versions have the same file")


def _request(options: argparse.Namespace) -> comparison.ComparisonRequest:
    """Return the comparison that the options ask for.

    Raises:
        SelectionError: neither a base nor its interpreter is named, the budget is no time, or there
            is no such case.
        SpecError: a user's own scenario cannot be loaded.
    """
    began = time.monotonic()
    if options.base is None and options.base_python is None:
        raise SelectionError(
            "regress needs a BASE to compare with: a git ref, such as main, or another "
            "interpreter, --base-python PATH"
        )
    for line in layout_guesses(loading.load(options.scenario_path)):
        print(line, file=sys.stderr)
    head_python = _interpreter(options.head_python) or sys.executable
    selected = shared.selected_names(options)
    if warning := releases.untested(selected["framework"] or frameworks.present()):
        print(warning, file=sys.stderr)
    case, default_folder = None, REGRESSIONS
    if options.case is not None:
        case = case_request.read(
            options.case, selected, Path.cwd(), seed=options.seed, same=options.same_case
        )
        default_folder = Path.cwd() / OUTPUT_NAME / "regressions"
    return comparison.ComparisonRequest(
        base=VersionRequest(options.base, _interpreter(options.base_python) or head_python),
        head=VersionRequest(options.head, head_python),
        choose_cells=lambda installed: plan.choose_cells(selected, options.device, installed),
        budget=plan.parse_seconds(options.budget),
        folder=Path(options.results or default_folder),
        arguments=output.retypable(options),
        seed=options.seed,
        confirm=plan.parse_seconds(options.confirm, "--confirm") if options.confirm else 0.0,
        counts_only=options.counts_only,
        began=began,
        case=case,
    )


def _interpreter(path: str | None) -> str | None:
    """Make an interpreter's path absolute, as workers run in other folders.

    A command such as ``python3`` stays as it is. Links are not resolved: the interpreter of a
    virtual environment is a link to the one it was made from.
    """
    return os.path.abspath(path) if path and os.sep in path else path
