"""``cascade-bench show``: print a summary of one saved run, or comparison, in the terminal."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path
from typing import Any

from benchmarks.commands import options as shared
from benchmarks.commands.parsing import exclusive
from benchmarks.harness.session import resume
from results.records import storage
from results.records.record import RecordError, Run
from results.records.texts import cleaned
from results.terminal.stdout import width_and_colour
from results.terminal.tables import WIDTH

OWN_KINDS = ("own_code", "check")  # documents of ``try`` and of ``check``
NARROWEST = 60  # columns; a narrower terminal breaks the lines itself


def add_command(commands: Any) -> None:
    """Add ``show`` to the commands of `cascade-bench`."""
    parser = commands.add_parser(
        "show",
        help="the essentials of one saved run, in the terminal",
        description="Print the essentials of one saved run, a saved comparison of two versions, or "
        "what try and check have found out about a case of your own.",
        examples=(
            "cascade-bench show                                 # the newest run",
            "cascade-bench show --results results/reference     # a run that is there already",
            "cascade-bench show --times RUN                     # a file or an id",
            "cascade-bench show COMPARISON                      # a file that regress saved",
            "cascade-bench show .cascade-bench/RESULT.json      # a file that try saved",
        ),
    )
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="file or id of a run (default: the newest)"
    )
    parser.add_argument("--times", action="store_true", help="show the time of each cell as well")
    shared.add_json(parser, "print one JSON object, with every record, instead of the text")
    shared.add_results(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one run as text or as JSON; return 0.

    Raises:
        RecordError: there is no such run, or several were named.
        SelectionError: ``--json``, which has all times, with ``--times``.
    """
    exclusive(options, ("json", "times"))
    if len(options.runs) > 1:
        files = " ".join(map(shlex.quote, options.runs))
        raise RecordError(
            f"show takes one run, and these are {len(options.runs)}; name one, "
            f"or have them all in a report: cascade-bench report {files}"
        )
    path = storage.find_run(next(iter(options.runs), None), Path(options.results))
    from results.regression import validation  # here, as this imports all of SciPy

    document = storage.read_json(path)
    if validation.is_comparison(document):
        return _show_comparison(path, options)
    if isinstance(document, dict) and document.get("kind") in OWN_KINDS:
        return _show_own_case(path, document, options)
    saved = storage.load_run(path)
    print(_json(saved) if options.json else _page(saved, path, times=options.times))
    return 0


def _show_comparison(path: Path, options: argparse.Namespace) -> int:
    """Print a saved comparison of two versions as ``regress`` does; return 0.

    Raises:
        RecordError: the file is no valid comparison, or ``--times`` was given.
    """
    from benchmarks.regression.output import table
    from results.regression import validation
    from results.regression.document import analysis
    from results.terminal.regression_table import document_json

    if options.times:
        raise RecordError(f"{path} is a comparison, and --times is of a run; leave it out")
    document = validation.load(path)
    conclusions = analysis(document)
    if options.json:
        print(json.dumps(document_json(document, conclusions), indent=2, allow_nan=False))
    else:
        print(table(document, conclusions))
    return 0


def _show_own_case(path: Path, document: dict[str, Any], options: argparse.Namespace) -> int:
    """Print what came out of a case of the user's own as ``try`` or ``check`` does; return 0.

    Raises:
        RecordError: the file is damaged, or ``--times`` was given.
    """
    from results.own_code.document import problem_of
    from results.terminal import findings_table, own_code_table

    is_check = document["kind"] == "check"
    if options.times:
        raise RecordError(f"{path} is of a case of your own, and --times of a run; leave it out")
    if options.json:
        print(json.dumps(document, indent=2, allow_nan=False))
        return 0
    width, colour = width_and_colour(WIDTH, narrowest=NARROWEST, widest=WIDTH)
    page = findings_table if is_check else own_code_table
    lacking = [key for key in ("case", "answer", "frameworks") if key not in document]
    problem: str | None = f"it lacks {', '.join(lacking)}" if lacking else None
    try:
        problem = problem or (None if is_check else problem_of(document))
        text = problem or page.table(cleaned(document), width, colour=colour)
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        problem = f"{type(error).__name__}: {error}"
    if problem:
        raise RecordError(
            f"{path} is no valid result of a case of your own ({problem}); measure the case again, "
            "or move its file away"
        )
    print(text)
    return 0


def _json(saved: Run) -> str:
    """Return the run as one JSON object, with every record."""
    from results.terminal.run_summary import document  # here, as this imports all of SciPy

    return json.dumps(document(saved), indent=2, allow_nan=False)


def _page(saved: Run, path: Path, *, times: bool) -> str:
    """Return the page about a run for the terminal, at the terminal's width.

    Args:
        saved: the run.
        path: its file, named in the command that makes its report.
        times: whether to show the time of each cell.
    """
    from results.report.collection import collect
    from results.report.questions import answers
    from results.report.sections.answer import headline
    from results.terminal.run_page import text

    machine, *_ = collect([saved])  # one for each precision of the run's cells
    answer = " ".join(headline(machine, answers(machine.records))).strip()
    width, colour = width_and_colour(WIDTH, narrowest=NARROWEST, widest=WIDTH)
    report = f"cascade-bench report {shlex.quote(str(_relative(path)))}"
    go_on = _resume_command(saved)
    return text(saved, report, go_on, answer, width, colour=colour, times=times)


def _relative(path: Path) -> Path:
    """Return the path relative to the current folder if it is inside."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def _resume_command(saved: Run) -> str | None:
    """Return the command that resumes the run; None where its file does not say how it began."""
    from results.terminal.run_summary import settings

    return resume.command_to_resume(saved) if settings(saved)["arguments"] is not None else None
