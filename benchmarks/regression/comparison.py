"""Measure two versions in one session, and save the measurements as one document.

A version is code (a git ref or the work tree) with a Python interpreter. The document holds no
verdicts: `results.regression.document` computes them from it whenever it is shown.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import SelectionError
from benchmarks.harness.session.lock import Busy, Lock
from benchmarks.machine import environment
from benchmarks.machine.frameworks import NEEDED
from benchmarks.regression import case_sides, failures, output, plan, references, session, versions
from benchmarks.regression.case_request import ComparedCase
from benchmarks.regression.versions import Side, VersionRequest
from benchmarks.regression.worktrees import VersionError
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from results.records import storage
from results.records.record import new_run_id, utc_now
from results.regression.document import INTERRUPTED, new_design, new_document

# errors that keep a comparison from being made; each message is one line for the user
ERRORS = (VersionError, Busy, failures.CannotStart)


@dataclass(frozen=True)
class ComparisonRequest:
    """Say which two versions to compare, and how.

    Args:
        base: the version to compare with.
        head: the version that is judged.
        choose_cells: returns the cells, given the frameworks that are installed on either side;
            not called where there is a case.
        budget: seconds for the session, counted from ``began``.
        confirm: seconds after it, for cells that then look slower and could not be told.
        folder: where comparisons are saved.
        arguments: those of `cascade-bench regress` that make the same request.
        seed: draws the order of turns.
        counts_only: whether nothing is timed.
        began: when the request was made, by ``time.monotonic``.
        case: a case of the user's own, whose cells are compared.
    """

    base: VersionRequest
    head: VersionRequest
    choose_cells: Callable[[Sequence[str]], Sequence[Cell]]
    budget: float
    folder: Path
    arguments: Sequence[str]
    seed: int = 0
    confirm: float = 0.0
    counts_only: bool = False
    began: float = field(default_factory=time.monotonic)
    case: ComparedCase | None = None


@dataclass(frozen=True)
class Chosen:
    """Say what is compared.

    Attributes:
        sides: base and head.
        cells: the cells.
        compute: fills their references.
        notes: for the reader of the result.
        seconds: that were spent on references already.
    """

    sides: Sequence[Side]
    cells: Sequence[Cell]
    compute: session.Compute
    notes: Sequence[str] = ()
    seconds: float = 0.0


def compare(request: ComparisonRequest) -> tuple[dict[str, Any], bool]:
    """Measure and save a comparison.

    Returns:
        The document, see `results.regression.document`, also if Ctrl-C ended the session; and
        whether it is saved in the folder of the request.

    Raises:
        SelectionError: nothing to compare, or a budget too small for any verdict.
        RecordError: the folder cannot be written.
        one of `ERRORS`: a version cannot be prepared or does not run, or another session is
            measuring on this machine.
    """
    storage.check_writable(request.folder)
    specs = [request.case.file] if request.case else external_specs()
    for version in (request.base, request.head):
        if version.ref is not None:  # said at once, also while another session is measuring
            versions.check_ref(version.ref, specs)
    lock, store = Lock(), output.DocumentStore(request.folder)
    lock.take()
    try:
        with (
            versions.prepare_sides(request.base, request.head, specs) as sides,
            _chosen(request, sides) as chosen,
        ):
            if not request.counts_only:
                check_budget(chosen.cells, request.budget, spent=chosen.seconds)
            document = _new_document(request, chosen)
            try:
                _measure(document, chosen, request.began, store)
            except Exception:
                if document["pairs"]:
                    store.report()  # the launch pairs measured before the error
                raise
    finally:
        lock.release()
    return document, store.report()


@contextlib.contextmanager
def _chosen(request: ComparisonRequest, sides: Sequence[Side]) -> Iterator[Chosen]:
    """Choose the cells; a case of the user's own is examined at both versions for that.

    Raises:
        SelectionError: there is nothing to compare.
        VersionError: the case cannot be compared.
    """
    installed = [f for f in FRAMEWORKS if any(_has(side, f) for side in sides)]
    if request.case is None:
        cells = request.choose_cells(installed)
        yield Chosen(sides, cells, references.compute_references)
        return
    examination = case_sides.examined(request.case, sides, installed, request.budget)
    with contextlib.ExitStack() as stack:
        activity = f"examining {request.case.name} at both versions"
        with output.waiting(output.print_progress, activity):
            examined = stack.enter_context(examination)
        output.clear_progress()
        yield Chosen(
            examined.sides, examined.cells, examined.fill, examined.notes, examined.seconds
        )


def _has(side: Side, framework: str) -> bool:
    """Return whether a side has all packages of a framework installed."""
    return None not in (side.versions.get(package, "not asked") for package in NEEDED[framework])


def external_specs() -> list[Path]:
    """Return the spec files of the user's own scenarios."""
    return [scenario.file for scenario in CATALOGUE.values() if scenario.file]


def _measure(
    document: dict[str, Any], chosen: Chosen, began: float, store: output.DocumentStore
) -> None:
    """Measure a comparison into its document, which is saved whatever ends the session.

    Args:
        document: the empty document, to be filled.
        chosen: what is compared.
        began: when the budget started to run, by ``time.monotonic``.
        store: saves the document.
    """
    measuring = session.ComparisonSession(
        {side.name: side for side in chosen.sides},
        chosen.cells,
        document,
        began=began,
        save=store.save,
        report=output.print_progress,
        warn=output.print_warning,
        compute=chosen.compute,
    )
    measuring.part_timer.seconds["references"] += chosen.seconds
    try:
        measuring.run()
    except KeyboardInterrupt:
        document["stopped"] = INTERRUPTED
        store.save(document)
    except failures.CannotStart as error:
        if not document["pairs"]:
            raise
        document["broke_off"] = str(error)  # the result is shown, with this reason beside it
        store.save(document)
    finally:
        output.clear_progress()


def _new_document(request: ComparisonRequest, chosen: Chosen) -> dict[str, Any]:
    """Return the document of a comparison that has no measurements yet."""
    known: dict[str, Any] = {"notes": list(chosen.notes)} if chosen.notes else {}
    return new_document(
        plan.plain_cells(chosen.cells),
        **known,
        id=new_run_id(),
        started=utc_now(),
        machine=environment.describe(),
        arguments=list(request.arguments),
        sides={side.name: side.document_entry() for side in chosen.sides},
        seed=request.seed,
        budget_seconds=request.budget,
        confirm_seconds=request.confirm,
        promises=[],
        **({"counts_only": True} if request.counts_only else {}),
        design=new_design(
            quantile=plan.QUANTILE,
            dropped=plan.DROPPED,
            turn=plan.TURN_SECONDS,
            cell_seconds=plan.CELL_SECONDS,
        ),
    )


def check_budget(
    chosen: Sequence[Cell], budget: float, option: str = "--budget", spent: float = 0.0
) -> None:
    """Check that the budget suffices for a verdict, and print for how many launch pairs it does.

    Args:
        chosen: the cells to measure.
        budget: seconds.
        option: the command-line option that sets the budget, for the error.
        spent: seconds of it that are gone.

    Raises:
        SelectionError: the budget is too small for the first verdict.
    """
    pair_seconds, beside = plan.estimate_pair_seconds(chosen), max(plan.SESSION_SECONDS, spent)
    pairs = plan.pairs_within(budget - beside, pair_seconds)
    if pairs < plan.FIRST_LOOK:
        needed = (plan.FIRST_LOOK * pair_seconds + beside) / 60
        raise SelectionError(
            f"a budget of {output.budget_text(budget)} has time for about "
            f"{output.counted(pairs, 'launch pair')} of {output.counted(len(chosen), 'cell')}, and "
            f"the first verdict takes {plan.FIRST_LOOK}: give "
            f"{option} {needed + 0.5:.0f}m, or select fewer cells"
        )
    full_seconds = plan.estimate_full_pair_seconds(chosen)
    full = plan.pairs_within(budget - beside, full_seconds)
    if full > plan.FIRST_LOOK:
        pairs, pair_seconds = full, full_seconds
    output.print_line(output.forecast(len(chosen), pairs, pair_seconds))
