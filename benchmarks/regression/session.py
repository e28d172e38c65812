"""A comparison as it is measured: launch pairs until everything is decided or the time is up.

All that was taken stands in a document of plain data, see `results.regression`, which is saved
after every launch pair: whatever ends the session, nothing measured is lost.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import plan, references, worker_pairs
from benchmarks.regression.references import References
from benchmarks.regression.versions import Side
from benchmarks.regression.worker_pairs import METRICS, ROLES, CellFailed
from results.records.record import utc_now
from results.regression import document as regression

# what became of a cell, by the role in which it failed and whether it was wrong
STATES = {
    ("base", True): "wrong_in_base",
    ("again", True): "wrong_in_base",
    ("head", True): "wrong_in_head",
    ("base", False): "only_in_head",
    ("again", False): "failed",
    ("head", False): "failed_in_head",
    ("both", True): "failed",
    ("both", False): "failed",
}
UNKNOWN_REQUEST = "has no attribute 'do_"  # what a worker says that does not know a request
STARTS = 3  # of a launch pair whose workers do not start


class CannotStart(Exception):
    """The workers of a side do not start: one line that says which and why."""


class Session:
    """Measures a document's cells; ``save`` is called with it after every launch pair.

    ``tell`` is given a line now and then, of what is being done; ``remark`` one that must be read.
    """

    def __init__(
        self,
        sides: Mapping[str, Side],
        cells: Sequence[Cell],
        document: dict[str, Any],
        *,
        began: float,
        save: Callable[[dict[str, Any]], None],
        tell: Callable[[str], None],
        remark: Callable[[str], None],
    ) -> None:
        self.sides, self.cells, self.document = sides, list(cells), document
        self.save, self.tell, self.remark = save, tell, remark
        self.began, self.budget = began, float(document["budget_seconds"])
        self.device = cells[0].device
        self.seed = int(document["seed"])
        self.metrics = METRICS if self.device == "cpu" else METRICS[:1]
        self.failures: dict[tuple[Cell, str], int] = {}

    def run(self) -> None:
        """Fill the document.

        Raises:
            CannotStart: a side's workers do not start at all.
        """
        refs = References()
        try:
            self.tell("float64 references of both sides")
            references.taken(self.sides, self.cells, refs)
            for cell, (state, why) in refs.state.items():
                self._drop(cell, state, why)
            self._demand_base()
            self._pairs(refs)
            self.document["finished"] = utc_now()
        finally:
            refs.close()
            self.save(self.document)

    def alive(self) -> list[Cell]:
        """The cells that are still measured."""
        return [c for c in self.cells if self.document["cells"][self._place(c)]["state"] == "ok"]

    def _place(self, cell: Cell) -> int:
        return self.cells.index(cell)

    def _drop(self, cell: Cell, state: str, why: str) -> None:
        """It is not measured any more; what was taken of it does not count."""
        self.document["cells"][self._place(cell)] |= {"state": state, "why": why, "seconds": {}}

    def _demand_base(self) -> None:
        """Where nothing at all runs on base, it is base that does not build, not its cells."""
        states = [one["state"] for one in self.document["cells"]]
        if all(state == "only_in_head" for state in states):
            why = self.document["cells"][0]["why"]
            if UNKNOWN_REQUEST in why:
                why = f"its workers speak an older protocol ({why}); compare with a later commit"
            raise CannotStart(f"nothing of this selection runs on BASE: {why}")

    def _pairs(self, refs: References) -> None:
        took: list[float] = []
        while self.alive() and self.document["pairs"] < regression.most_pairs(self.document):
            count, start = self.document["pairs"], time.monotonic()
            left = self.began + self.budget - start
            longest = max(took[1:] or took, default=0.0)  # the first compiles, the others do not
            if count and left < longest:
                self.document["stopped"] = "the budget was spent"
                break
            if count >= 2 and not self.document["design"]["looks"]:
                self._choose_looks(left, longest)
            self.tell(f"launch pair {count + 1}, {max(0.0, left) / 60:.1f} min of the budget left")
            self._pair(refs, count)
            took.append(time.monotonic() - start)
            self.save(self.document)
            if self._decided():
                self.document["stopped"] = "every cell was decided"
                break
        else:
            if self.alive():
                self.document["stopped"] = "no further look was planned"
        self._last_look()

    def _choose_looks(self, left: float, pair: float) -> None:
        """Before any ratio is looked at: by how long a launch pair takes, and nothing else."""
        total = self.document["pairs"] + plan.pairs_within(left, pair)
        looks = plan.looks_within(total)
        if not looks:
            self.remark(
                f"a launch pair takes {pair:.0f} s here: the budget has time for about {total} of "
                f"them, and the first verdict takes {plan.LOOKS[0]}; give a larger --budget, or "
                "select fewer cells"
            )
        self.document["design"]["looks"] = list(looks or plan.LOOKS[:1])

    def _decided(self) -> bool:
        """At a look: whether it leaves nothing to be decided."""
        design = self.document["design"]
        if self.document["pairs"] not in design["looks"] or not self.alive():
            return False
        design["taken"] = [*design["taken"], self.document["pairs"]]
        return not regression.undecided(self.document)

    def _last_look(self) -> None:
        """Where the time ran out between two looks, the last one is had with what there is."""
        design, pairs = self.document["design"], self.document["pairs"]
        design["looks"] = design["looks"] or list(plan.LOOKS[:1])
        more = [look for look in design["looks"] if look > max(design["taken"], default=0)]
        if design["taken"] and more and pairs > design["taken"][-1]:
            design["taken"] = [*design["taken"], pairs]

    def _pair(self, refs: References, index: int) -> None:
        """One launch pair of all cells; what fails is dropped, or the pair taken again."""
        for attempt in range(STARTS):
            names = plan.frameworks(self.alive())
            try:
                with worker_pairs.started(self.sides, names, self.device, index) as workers:
                    taken = self._measured(workers, refs, index)
                if not taken:
                    break
                self._keep(taken)
                return
            except CellFailed as error:
                self._failed(error)
                if not self.alive():
                    break
            except WorkerError as error:
                if attempt == STARTS - 1:
                    raise CannotStart(f"the workers do not start: {error}") from None
        if self.alive():  # so far only cells failed, and each time one fewer is left
            self._pair(refs, index)
        else:
            self._demand_base()

    def _measured(
        self, workers: worker_pairs.WorkerPairs, refs: References, index: int
    ) -> dict[Cell, Any]:
        rng = np.random.default_rng([self.seed, index])
        taken = {}
        for cell in self.alive():
            files = refs.files[cell.scenario, cell.variant, cell.size]
            try:
                turns = workers.measure(cell, files, refs.of[cell], rng)
            except CellFailed as error:
                if not error.settled:  # some worker still owes an answer
                    raise
                self._failed(error)
                workers.close(cell)
                continue
            workers.close(cell)
            taken[cell] = {
                metric: [
                    regression.launch_quantile(turns[role][metric], plan.QUANTILE, plan.DROPPED)
                    for role in ROLES
                ]
                for metric in self.metrics
            }
        return taken

    def _keep(self, taken: Mapping[Cell, Mapping[str, list[float]]]) -> None:
        for cell, metrics in taken.items():
            kept = self.document["cells"][self._place(cell)]["seconds"]
            for metric, seconds in metrics.items():
                kept.setdefault(metric, []).append(seconds)
        self.document["pairs"] += 1

    def _failed(self, error: CellFailed) -> None:
        """Dropped where it would fail again, or failed twice; else the pair is tried again."""
        key = error.cell, error.role
        self.failures[key] = self.failures.get(key, 0) + 1
        if error.again or self.failures[key] > 1:
            state = STATES[error.role, error.outcome == worker_pairs.WRONG]
            if state == "only_in_head" and (self.document["pairs"] or not error.said):
                state = "failed"  # it has run on base before, or base was never heard on it
            self._drop(error.cell, state, str(error))
