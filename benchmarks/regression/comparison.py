"""The strong way from question to document: both sides made, the budget weighed, all measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection.options import SelectionError
from benchmarks.harness.session.lock import Busy, Lock
from benchmarks.machine import environment
from benchmarks.regression import output, plan, session, versions
from benchmarks.regression.versions import Side, VersionRequest
from benchmarks.regression.worktrees import TreeError
from benchmarks.scenarios import CATALOGUE, FRAMEWORKS
from results.records import storage
from results.records.record import new_run_id, utc_now
from results.regression import document as regression
from results.statistics import launch_pairs

# what keeps a comparison from being made: one line for the person who asked
ERRORS = (TreeError, Busy, session.CannotStart)


@dataclass(frozen=True)
class ComparisonRequest:
    """What is compared with what.

    ``choose`` is given the frameworks that are installed on either side and returns the cells;
    ``arguments`` are those of `cascade-bench regress` that ask the same.
    """

    base: VersionRequest
    head: VersionRequest
    choose: Callable[[Sequence[str]], Sequence[Cell]]
    budget: float  # seconds, from `began`
    folder: Path  # of comparisons
    arguments: Sequence[str]
    seed: int = 0
    began: float = field(default_factory=time.monotonic)


def compare(question: ComparisonRequest) -> tuple[dict[str, Any], bool]:
    """The document, also where Ctrl-C ended it, and whether it could be saved where it should.

    Raises:
        SelectionError: nothing to compare, or no time for it.
        RecordError: the folder cannot be written.
        one of `ERRORS`: a side that cannot be had or does not run, or another session goes on.
    """
    storage.check_writable(question.folder)
    own = own_files()
    lock, keeper = Lock(), output.DocumentStore(question.folder)
    lock.take()
    try:
        with versions.made(question.base, question.head, own) as made:
            chosen = question.choose([f for f in FRAMEWORKS if any(s.versions[f] for s in made)])
            weigh(chosen, question.budget)
            document = _document(question, made, chosen)
            try:
                _measure(document, made, chosen, question.began, keeper)
            except Exception:
                if document["pairs"]:
                    keeper.told()  # where what was measured until then is
                raise
    finally:
        lock.release()
    return document, keeper.told()


def own_files() -> list[Path]:
    """The user's own specs."""
    return [scenario.file for scenario in CATALOGUE.values() if scenario.file]


def _measure(
    document: dict[str, Any],
    made: Sequence[Side],
    chosen: Sequence[Cell],
    began: float,
    keeper: output.DocumentStore,
) -> None:
    measuring = session.Session(
        {side.name: side for side in made}, chosen, document,
        began=began, save=keeper.save, tell=output.progress, remark=output.remark,
    )  # fmt: skip
    try:
        measuring.run()
    except KeyboardInterrupt:
        document["stopped"] = output.INTERRUPTED
        keeper.save(document)
    except session.CannotStart as error:
        if not document["pairs"]:
            raise
        document["broke_off"] = str(error)  # what was measured until then is told
        keeper.save(document)
    finally:
        output.ended()


def _document(
    question: ComparisonRequest, made: Sequence[Side], chosen: Sequence[Cell]
) -> dict[str, Any]:
    design = regression.new_design(
        quantile=plan.QUANTILE, dropped=plan.DROPPED, turn=plan.TURN, cell_seconds=plan.CELL_SECONDS
    )
    return regression.new_document(
        plan.described(chosen),
        id=new_run_id(),
        started=utc_now(),
        machine=environment.describe(),
        arguments=list(question.arguments),
        sides={side.name: side.described() for side in made},
        seed=question.seed,
        budget_seconds=question.budget,
        design=design,
    )


def weigh(chosen: Sequence[Cell], budget: float, option: str = "--budget") -> None:
    """Say what the budget, given by this option, can and cannot see.

    Raises:
        SelectionError: it cannot come to a verdict at all.
    """
    pair = plan.pair_seconds(chosen)
    pairs = plan.pairs_within(budget - plan.SESSION_SECONDS, pair)
    if pairs < plan.LOOKS[0]:
        needed = (plan.LOOKS[0] * pair + plan.SESSION_SECONDS) / 60
        raise SelectionError(
            f"a budget of {budget / 60:.3g}m has time for about {pairs} launch pairs of "
            f"{len(chosen)} cells, and the first verdict takes {plan.LOOKS[0]}: give "
            f"{option} {needed + 0.5:.0f}m, or select fewer cells"
        )
    looks = plan.looks_within(pairs)
    metrics = 2 if chosen[0].device == "cpu" else 1
    owners = [(metric, cell.framework) for metric in range(metrics) for cell in chosen]
    names = list(dict.fromkeys(owners))
    design = launch_pairs.Design(tuple(names.index(owner) for owner in owners), looks)
    rows = len(owners) + len(names)
    seen = plan.smallest_seen(looks[-1], rows, design.level, design.margin)
    output.say(output.forecast(len(chosen), looks, seen, pair))
