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

from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import counting, leaving, looks, pace, plan, references
from benchmarks.regression.compared_cells import ComparedCells
from benchmarks.regression.launch_pairs import LaunchPairs
from benchmarks.regression.leaving import Chosen
from benchmarks.regression.pace import Pace, PartTimer, Shape
from benchmarks.regression.promises import Promises
from benchmarks.regression.references import References
from benchmarks.regression.versions import Side
from results.records.record import utc_now
from results.regression.scheduling import Standing

Compute = Callable[[Mapping[str, Side], Sequence[Cell], References], None]
MOST = "a session takes no more launch pairs"


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
        self.sides, self.cells = sides, ComparedCells(cells, sides, document)
        self.document = document
        self.save, self.report, self.warn, self.compute = save, report, warn, compute
        self.began, self.budget = began, float(document["budget_seconds"])
        self.whole_seconds = self.budget + float(document.get("confirm_seconds", 0.0))
        self.part_timer, self.pace = PartTimer(), Pace()
        self.launch_pairs = LaunchPairs(sides, self.cells, document, self.part_timer)
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
            with self.part_timer.spending("references"):
                self.compute(self.sides, self.cells.selected, refs)
            for cell, (state, why) in refs.excluded.items():
                self.cells.exclude(cell, state, why)
            self.cells.check_base()
            with self.part_timer.spending("counting"):
                counter = counting.Counting(
                    self.sides, self.launch_pairs.device, refs, self.cells.count_failure
                )
                counter.fill(self.document, self.cells.selected, self.cells.remaining(), self.warn)
            if not self.document.get("counts_only"):
                self._measure_all(refs)
            self.document["finished"] = utc_now()
        finally:
            refs.close()
            self.document["seconds_by_part"] = self.part_timer.copy()
            self.save(self.document)

    def _shape(self) -> Shape:
        """Return what the next launch pair consists of."""
        cells = self.cells.remaining()
        owners = plan.by_owner(cells).values()
        starts = sum(len(plan.distinct_frameworks(of_one)) for of_one in owners)
        return Shape(max(1, starts), max(1, len(cells)), len(self.cells.roles()))

    def _measure_all(self, refs: References) -> None:
        """Measure until all is decided or the budget is spent, then what is to be confirmed.

        The reason why no more was measured goes into ``document["stopped"]``.
        """
        if self._measure_until(refs, self.budget, None) or self.whole_seconds == self.budget:
            return
        chosen = leaving.start_confirming(self.document)
        if chosen is not None:
            self._measure_until(refs, self.whole_seconds, chosen)

    def _measure_until(self, refs: References, end: float, chosen: Chosen | None) -> bool:
        """Measure launch pairs until all is decided or the time is over.

        Args:
            refs: the problems' files and references.
            end: seconds after the session began.
            chosen: what alone is to be decided; None: all.

        Returns:
            Whether there is nothing left to decide.
        """
        while self.cells.remaining():
            count, seconds_left = self.document["pairs"], self.began + end - time.monotonic()
            spent = seconds_left < self.pace.expected(self._shape())
            if count and (spent or count >= plan.MOST_PAIRS):
                self.document["stopped"] = "the budget was spent" if spent else MOST
                taken = looks.take_last_look(self.document, end / self.whole_seconds)
                return taken and leaving.all_decided(self.document, chosen, None)
            if count == 2:
                looks.warn_of_no_verdict(
                    count, seconds_left, self.pace.expected(self._shape()), self.warn
                )
            minutes = max(0.0, seconds_left) / 60
            self.report(f"launch pair {count + 1}, {minutes:.1f} min of the budget left")
            self._measure_one(refs, count)
            passed = (time.monotonic() - self.began) / self.whole_seconds
            if not self.cells.remaining() or not looks.take_due_look(self.document, passed):
                continue
            if self._all_decided(chosen, end):
                self.document["stopped"] = "every cell was decided"
                return True
        return True

    def _all_decided(self, chosen: Chosen | None, end: float) -> bool:
        """Return whether a look has left nothing to decide; else promise what the rest will find.

        Args:
            chosen: as of `_measure_until`.
            end: of the time, in seconds after the session began.
        """

        def announce(standing: Standing, cells: Sequence[int]) -> None:
            seconds_left = self.began + end - time.monotonic()
            pair_seconds = self.pace.expected(self._shape())
            self.promises.announce(standing, cells, seconds_left, pair_seconds)

        return leaving.all_decided(self.document, chosen, announce)

    def _measure_one(self, refs: References, index: int) -> None:
        """Measure the next launch pair, and learn from it how long pairs take."""
        before, start, shape = self.part_timer.copy(), time.monotonic(), self._shape()
        self.launch_pairs.measure(refs, index, self.cell_seconds)
        seconds, after = time.monotonic() - start, self.part_timer.copy()
        known = sum(after[part] - before[part] for part in pace.PARTS)
        self.part_timer.seconds["other"] += max(0.0, seconds - known)
        self.pace.add(shape, seconds, after["starting"] - before["starting"])
        if index:  # the first launch pair compiles
            overhead = pace.overhead_of(before, self.part_timer.seconds)
            allowed = looks.seconds_to_first(index + 1, self.began + self.budget - time.monotonic())
            self.cell_seconds = pace.cell_seconds(
                overhead, shape, plan.CELL_SECONDS, plan.MOST_CELL_SECONDS, allowed
            )
        self.document["pair_seconds"] = [*self.document.get("pair_seconds", []), seconds]
        self.document["seconds_by_part"] = self.part_timer.copy()
        self.save(self.document)
