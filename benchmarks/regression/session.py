"""Measure a comparison: launch pairs until every cell is decided or the budget is spent.

At a look, cells that are decided leave, and base is measured against base only as long as that is
not settled itself. Cells that look slower at the end and could not be told may get a time of their
own (``confirm_seconds``): the levels of all looks are spent over both times together.

The measurements go into a document of plain data, see `results.regression.document`. It is saved
after every launch pair, so nothing measured is lost, whatever ends the session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import (
    counting,
    leaving,
    looks,
    pace,
    plan,
    references,
    versions,
    worker_pairs,
)
from benchmarks.regression.failures import STATES, WRONG_GRADIENTS, CannotStart, CellFailed
from benchmarks.regression.leaving import Chosen
from benchmarks.regression.pace import Pace, PartTimer, Shape
from benchmarks.regression.promises import Promises
from benchmarks.regression.references import References
from benchmarks.regression.versions import Side
from benchmarks.regression.worker_pairs import METRICS, ROLES, LaunchTimes
from results.records.record import utc_now
from results.regression import scheduling
from results.regression.notes import add_notes

Compute = Callable[[Mapping[str, Side], Sequence[Cell], References], None]
UNKNOWN_REQUEST = "has no attribute 'do_"  # in the error of a worker that lacks a request
MOST = "a session takes no more launch pairs"
STARTS = 3  # attempts at a launch pair whose workers do not start


class ComparisonSession:
    """Measure the cells of a document and write their times into it.

    Args:
        sides: base and head, by name.
        cells: the cells, in the order of ``document["cells"]``.
        document: as `results.regression.document.new_document` makes it.
        began: when the budget started to run, by ``time.monotonic``; after it, the time for
            confirming, ``document["confirm_seconds"]``.
        save: called with the document after every launch pair, and at the end.
        report: called with a line of progress now and then.
        warn: called with a line that the user must read.
        compute: fills the references of the cells.
    """

    def __init__(
        self,
        sides: Mapping[str, Side],
        cells: Sequence[Cell],
        document: dict[str, Any],
        *,
        began: float,
        save: Callable[[dict[str, Any]], None],
        report: Callable[[str], None],
        warn: Callable[[str], None],
        compute: Compute = references.compute_references,
    ) -> None:
        self.sides, self.cells, self.document = sides, list(cells), document
        self.save, self.report, self.warn, self.compute = save, report, warn, compute
        self.began, self.budget = began, float(document["budget_seconds"])
        self.whole = self.budget + float(document.get("confirm_seconds", 0.0))
        self.device = cells[0].device
        self.seed = int(document["seed"])
        self.metrics = METRICS if self.device == "cpu" else METRICS[:1]
        self.failures: dict[tuple[Cell, str], int] = {}
        self.parts, self.pace = PartTimer(), Pace()
        self.promises = Promises(document, warn)
        self.cell_seconds = plan.CELL_SECONDS

    def run(self) -> None:
        """Measure everything.

        Raises:
            CannotStart: the workers of a side do not start at all.
        """
        refs = References()
        try:
            self.report("float64 references of both sides, then their counts")
            with self.parts.spending("references"):
                self.compute(self.sides, self.cells, refs)
            for cell, (state, why) in refs.excluded.items():
                self._exclude(cell, state, why)
            self._check_base()
            with self.parts.spending("counting"):
                counter = counting.Counting(self.sides, self.device, refs, self._count_failure)
                counter.fill(self.document, self.cells, self.remaining(), self.warn)
            if not self.document.get("counts_only"):
                self._measure_all(refs)
            self.document["finished"] = utc_now()
        finally:
            refs.close()
            self.document["seconds_by_part"] = self.parts.copy()
            self.save(self.document)

    def remaining(self) -> list[Cell]:
        """Return the cells that are still measured."""
        entries = zip(self.cells, self.document["cells"], strict=True)
        return [c for c, one in entries if one["state"] == "ok" and not one.get("left_after")]

    def roles(self) -> tuple[str, ...]:
        """Return the roles that are measured: base, head, and the control while it is needed."""
        with_control = self.document["design"].get("control_pairs") is None
        return ROLES if with_control else ROLES[:2]

    def _shape(self) -> Shape:
        """Return what the next launch pair consists of."""
        cells = self.remaining()
        owners = plan.by_owner(cells).values()
        starts = sum(len(plan.distinct_frameworks(of_one)) for of_one in owners)
        return Shape(max(1, starts), max(1, len(cells)), len(self.roles()))

    def _entry(self, cell: Cell) -> dict[str, Any]:
        """Return the part of the document that is about a cell."""
        entry: dict[str, Any] = self.document["cells"][self.cells.index(cell)]
        return entry

    def _exclude(self, cell: Cell, state: str, why: str) -> None:
        """Stop measuring a cell, and discard the times that it has.

        Args:
            cell: the cell.
            state: of the cell in the document, such as ``failed_in_head``.
            why: the reason, for the reader of the result.
        """
        told = versions.without_trees(why, self.sides.values())
        self._entry(cell).update(state=state, why=told, seconds={})

    def _check_base(self) -> None:
        """Raise `CannotStart` where no cell at all runs on base: then base itself is broken."""
        entries = self.document["cells"]
        if all(entry["state"] == "only_in_head" for entry in entries):
            why = entries[0]["why"]
            if UNKNOWN_REQUEST in why:
                why = f"its workers speak an older protocol ({why}); compare with a later commit"
            raise CannotStart(f"nothing of this selection runs on BASE: {why}")

    def _measure_all(self, refs: References) -> None:
        """Measure until all is decided or the budget is spent, then what is to be confirmed.

        The reason why no more was measured goes into ``document["stopped"]``.
        """
        if self._measure_until(refs, self.budget, None) or self.whole == self.budget:
            return
        standing = scheduling.standing_of(self.document)
        chosen = None
        if standing is not None:
            chosen = leaving.choose_to_confirm(self.document, standing)
        if standing is None or chosen is None:
            return
        leaving.leave(self.document, standing, *leaving.undecided(standing, chosen))
        self._measure_until(refs, self.whole, chosen)

    def _measure_until(self, refs: References, end: float, chosen: Chosen | None) -> bool:
        """Measure launch pairs until all is decided or the time is over.

        Args:
            refs: the problems' files and references.
            end: seconds after the session began.
            chosen: what alone is to be decided; None: all.

        Returns:
            Whether there is nothing left to decide.
        """
        while self.remaining():
            count, left = self.document["pairs"], self.began + end - time.monotonic()
            spent = left < self.pace.expected(self._shape())
            if count and (spent or count >= plan.MOST_PAIRS):
                self.document["stopped"] = "the budget was spent" if spent else MOST
                taken = looks.take_last_look(self.document, end / self.whole)
                return taken and self._all_decided(chosen, 0.0)
            if count == 2:
                looks.warn_of_no_verdict(count, left, self.pace.expected(self._shape()), self.warn)
            minutes = max(0.0, left) / 60
            self.report(f"launch pair {count + 1}, {minutes:.1f} min of the budget left")
            self._measure_one(refs, count)
            passed = (time.monotonic() - self.began) / self.whole
            if not self.remaining() or not looks.take_due_look(self.document, passed):
                continue
            if self._all_decided(chosen, end):
                self.document["stopped"] = "every cell was decided"
                return True
        return True

    def _all_decided(self, chosen: Chosen | None, end: float) -> bool:
        """Return whether a look has left nothing to decide; else let what it decided leave.

        Args:
            chosen: as of `_measure_until`.
            end: of the time, in seconds after the session began; 0 where nothing follows.
        """
        standing = scheduling.standing_of(self.document)
        if standing is None:
            return False
        cells, frameworks = leaving.undecided(standing, chosen)
        if not cells and not frameworks:
            return True
        if end:
            leaving.leave(self.document, standing, cells, frameworks)
            left = self.began + end - time.monotonic()
            self.promises.say(standing, cells, left, self.pace.expected(self._shape()))
        return False

    def _measure_one(self, refs: References, index: int) -> None:
        """Measure the next launch pair, and learn from it how long pairs take."""
        before, start, shape = self.parts.copy(), time.monotonic(), self._shape()
        self._measure_pair(refs, index)
        seconds, after = time.monotonic() - start, self.parts.copy()
        known = sum(after[part] - before[part] for part in pace.PARTS)
        self.parts.seconds["other"] += max(0.0, seconds - known)
        self.pace.add(shape, seconds, after["starting"] - before["starting"])
        if index:  # the first launch pair compiles
            overhead = pace.overhead_of(before, self.parts.seconds)
            allowed = looks.seconds_to_first(index + 1, self.began + self.budget - time.monotonic())
            self.cell_seconds = pace.cell_seconds(
                overhead, shape, plan.CELL_SECONDS, plan.MOST_CELL_SECONDS, allowed
            )
        self.document["pair_seconds"] = [*self.document.get("pair_seconds", []), seconds]
        self.document["seconds_by_part"] = self.parts.copy()
        self.save(self.document)

    def _measure_pair(self, refs: References, index: int) -> None:
        """Measure launch pair number ``index`` of all cells, and add its times to the document.

        After a failure the launch pair is measured again, without the cell if the cell was
        excluded.

        Raises:
            CannotStart: the workers did not start in `STARTS` attempts, or base runs no cell.
        """
        for attempt in range(STARTS):
            try:
                times = self._measure_owners(refs, index)
                if not times:
                    break
                self._add(times)
                return
            except CellFailed as error:
                self._count_failure(error)
                if not self.remaining():
                    break
            except WorkerError as error:
                if attempt == STARTS - 1:
                    raise CannotStart(f"the workers do not start: {error}") from None
        if self.remaining():  # only cells failed, and with every attempt fewer are left
            self._measure_pair(refs, index)
        else:
            self._check_base()

    def _measure_owners(self, refs: References, index: int) -> dict[Cell, LaunchTimes]:
        """Measure launch pair number ``index`` of all cells, in fresh workers for each owner.

        A user's file never shares a process with another file, nor with this suite's scenarios.

        Returns:
            As `_measure_cells`.

        Raises:
            CellFailed: as `_measure_cells`.
            WorkerError: a worker does not start.
        """
        rng = np.random.default_rng([self.seed, index])
        times: dict[Cell, LaunchTimes] = {}
        for owner, cells in plan.by_owner(self.remaining()).items():
            frameworks = plan.distinct_frameworks(cells)
            with worker_pairs.start_worker_pairs(
                self.sides,
                frameworks,
                self.device,
                index,
                self.parts,
                owner,
                roles=self.roles(),
                cell_seconds=self.cell_seconds,
            ) as workers:
                times |= self._measure_cells(cells, workers, refs, rng)
                if owner is not None:
                    add_notes(self.document, workers.notes(owner))
        return times

    def _measure_cells(
        self,
        cells: Sequence[Cell],
        workers: worker_pairs.WorkerPairs,
        refs: References,
        rng: np.random.Generator,
    ) -> dict[Cell, LaunchTimes]:
        """Measure the cells of one owner one after another in the workers of one launch pair.

        Args:
            cells: those that have not failed.
            workers: of their owner.
            refs: the problems' files and references.
            rng: draws the order of the roles.

        Returns:
            Cell → metric → seconds per call of each role, for the cells that could be measured.

        Raises:
            CellFailed: a cell failed in such a way that the workers are of no more use.
        """
        times = {}
        for cell in cells:
            try:
                turns = workers.measure(cell, refs.files[cell.problem], refs.paths[cell], rng)
            except CellFailed as error:
                if not error.idle:  # some worker still has to answer, so these are of no more use
                    raise
                self._count_failure(error)
                workers.close(cell)
                continue
            workers.close(cell)
            times[cell] = worker_pairs.launch_times(turns, self.metrics)
        return times

    def _add(self, times: Mapping[Cell, LaunchTimes]) -> None:
        """Add the times of one launch pair to the document."""
        for cell, metrics in times.items():
            rows = self._entry(cell)["seconds"]
            for metric, seconds in metrics.items():
                rows.setdefault(metric, []).append(seconds)
        self.document["pairs"] += 1

    def _count_failure(self, error: CellFailed) -> None:
        """Exclude the cell if it would fail again, or if this is its second failure in a role."""
        key = error.cell, error.role
        self.failures[key] = self.failures.get(key, 0) + 1
        if error.repeatable or self.failures[key] > 1:
            state = STATES[error.role, error.outcome == WRONG_GRADIENTS]
            if state == "only_in_head" and (self.document["pairs"] or not error.reported):
                state = "failed"  # base ran the cell before, or never said that it cannot
            self._exclude(error.cell, state, str(error))
