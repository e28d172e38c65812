"""Count the operations and the memory of each cell in base and head, before anything is timed.

Base and head count at the same time, in fresh workers. Where a count is not the same on both sides,
both count once more, in other processes and without code that is compiled already: what does not
come out the same again is left out.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import plan, worker_pairs
from benchmarks.regression.failures import CellFailed
from benchmarks.regression.references import References
from benchmarks.regression.versions import SIDES, Side
from results.regression import counts
from results.regression.document import analysis
from results.terminal import count_table

Footprints = dict[str, dict[str, Any]]  # ``base`` and ``head`` → what a worker counted
MOST_LINES = 12  # on counts that changed, before the number of the rest
NO_FOOTPRINT = "has no attribute 'do_footprint'"  # in the error of a worker too old to have it


class Counting:
    """Count the cells of a comparison.

    Args:
        sides: ``base`` and ``head``.
        device: ``cpu`` or ``cuda``.
        references: the problems' files.
        fail: called with the error of a cell that hangs, so that no time is spent on it again.

    Attributes:
        uncounted: cell → why it could not be counted.
    """

    def __init__(
        self,
        sides: Mapping[str, Side],
        device: str,
        references: References,
        fail: Callable[[CellFailed], None],
    ) -> None:
        self.sides, self.device, self.references, self.fail = sides, device, references, fail
        self.uncounted: dict[Cell, str] = {}

    def count(self, cells: Sequence[Cell]) -> dict[Cell, dict[str, Any]]:
        """Return cell → its entries in the document, see `results.regression.counts.joined`."""
        first_round = self.count_once(cells)
        differing = [cell for cell, both in first_round.items() if _differ(both)]
        second_round: dict[Cell, Footprints] = {}
        if differing:
            with tempfile.TemporaryDirectory(prefix="cascade-bench-counting-") as folder:
                # both at once, but in folders of their own: one must not find the other's code
                fresh = {
                    name: replace(side, cache=f"{folder}/{name}")
                    for name, side in self.sides.items()
                }
                # compiling anew takes longer, so one that hangs here may well be timed
                recount = Counting(fresh, self.device, self.references, fail=lambda _: None)
                second_round = recount.count_once(differing)
                self.uncounted |= recount.uncounted
        for cell in differing:
            if cell not in second_round:
                del first_round[cell]
        return {
            cell: counts.joined([both, second_round[cell]] if cell in second_round else [both])
            for cell, both in first_round.items()
        }

    def fill(
        self,
        document: dict[str, Any],
        cells: Sequence[Cell],
        chosen: Sequence[Cell],
        report_line: Callable[[str], None],
    ) -> None:
        """Count the chosen cells into a document, and say at once what has changed.

        Args:
            document: of the comparison.
            cells: those of the document, in its order.
            chosen: those that have not failed.
            report_line: called with a line for each count that changed, and for what was not
                counted.
        """
        counted = self.count(chosen)
        for cell, entry in zip(cells, document["cells"], strict=True):
            if entry["state"] == "ok":
                entry.update(counted.get(cell, {}))
        uncounted = [cell for cell in self.uncounted if cell not in counted]
        if uncounted:
            number = f"{len(uncounted)} of {len(chosen)} cells could not be counted"
            document["uncounted"] = f"{number}: {self.uncounted[uncounted[0]]}"
        for line in changes(document):
            report_line(line)

    def count_once(self, cells: Sequence[Cell]) -> dict[Cell, Footprints]:
        """Count the cells once on each side, in workers of their framework and owner.

        A cell that cannot be counted is missing, with its reason in `uncounted`.
        """
        footprints: dict[Cell, Footprints] = {}
        for owner, of_owner in plan.by_owner(cells).items():
            for framework in plan.distinct_frameworks(of_owner):
                waiting = [cell for cell in of_owner if cell.framework == framework]
                while waiting:
                    try:
                        with self._workers(framework, owner) as launches:
                            footprints |= self._count_waiting(waiting, launches)
                    except (WorkerError, OSError) as error:  # timing will fail alike, and report it
                        self.uncounted |= dict.fromkeys(waiting, str(error))
                        break
        return footprints

    def _count_waiting(
        self, waiting: list[Cell], launches: Mapping[str, Launch]
    ) -> dict[Cell, Footprints]:
        """Count the waiting cells, removing each; stop when a worker died or owes an answer."""
        footprints: dict[Cell, Footprints] = {}
        while waiting:
            cell = waiting.pop(0)
            try:
                footprints[cell] = self._count_one(cell, launches)
            except (WorkerError, OSError) as error:
                self.uncounted[cell] = str(error)
                if not all(launch.idle for launch in launches.values()):
                    break  # one is dead, or still owes an answer
        return footprints

    def _count_one(self, cell: Cell, launches: Mapping[str, Launch]) -> Footprints:
        """Count one cell on both sides at once.

        Raises:
            WorkerError: it cannot be counted on a side.
        """
        files = self.references.files[cell.problem]
        for side, launch in launches.items():
            files[side].open_in(launch)
        request = {"kind": cell.kind, "name": cell.strategy, "phase": cell.phase, "mode": cell.mode}
        answers = self._ask_both("footprint", launches, cell, request)
        if any(
            isinstance(one, WorkerFailed) and NO_FOOTPRINT in str(one) for one in answers.values()
        ):
            answers = self._ask_both("count", launches, cell, request)
            for one in answers.values():
                if isinstance(one, dict):
                    one.pop("operations", None)  # `footprint` has them in another form
        for one in answers.values():
            if isinstance(one, WorkerFailed):
                raise one
        return answers

    def _ask_both(
        self, op: str, launches: Mapping[str, Launch], cell: Cell, request: Mapping[str, str]
    ) -> dict[str, Any]:
        """Return side → the result of an operation, or the error that its worker survived."""
        answers: dict[str, Any] = {}
        for launch in launches.values():
            launch.send(op, **request)
        for side, launch in launches.items():
            try:
                answers[side] = launch.receive(worker_pairs.ANSWER_SECONDS)
            except WorkerFailed as error:
                answers[side] = error
            except WorkerError as error:
                if error.outcome == "timeout":
                    why = str(error)
                    self.fail(CellFailed(cell, side, error.outcome, why, repeatable=True))
                raise
        return answers

    @contextlib.contextmanager
    def _workers(self, framework: str, owner: str | None) -> Iterator[dict[str, Launch]]:
        """Start a worker of each side, and kill both at the end.

        Raises:
            WorkerError: one does not start.
        """
        launches: dict[str, Launch] = {}
        try:
            for name in SIDES:
                launches[name] = worker_pairs.start_worker(
                    self.sides[name], framework, self.device, owner=owner
                )
            for launch in launches.values():
                launch.wait_until_ready()
            yield launches
        finally:
            for launch in launches.values():
                launch.kill()


def _differ(both: Footprints) -> bool:
    """Return whether any count is not the same on both sides."""
    base, head = (counts.values_of(both[side]) for side in SIDES)
    return any(
        counts.is_changed(metric, base[metric], head[metric])
        for metric in counts.METRICS
        if metric in base and metric in head
    )


def changes(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each count that changed, and one for what could not be counted."""
    findings = analysis(document).findings
    for finding, change in count_table.changes(findings)[:MOST_LINES]:
        yield count_table.sentence(finding, change)
    more = len(count_table.changes(findings)) - MOST_LINES
    if more > 0:
        yield f"{more} more counts changed: see the table at the end"
    if document.get("uncounted"):
        yield document["uncounted"]
