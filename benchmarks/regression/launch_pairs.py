"""Measure launch pairs: all cells that are left, in fresh workers of base, head and control."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.launches.launch import WorkerError
from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import plan, worker_pairs
from benchmarks.regression.compared_cells import ComparedCells
from benchmarks.regression.failures import CannotStart, CellFailed
from benchmarks.regression.pace import PartTimer
from benchmarks.regression.references import References
from benchmarks.regression.versions import Side
from benchmarks.regression.worker_pairs import METRICS, LaunchTimes
from results.regression.notes import add_notes

STARTS = 3  # attempts at a launch pair whose workers do not start


class LaunchPairs:
    """Measure one launch pair after another, and write its times into the document.

    Args:
        sides: base and head, by name.
        cells: of the comparison.
        document: of the comparison.
        part_timer: to which the seconds of starting, preparing and timing are added.
    """

    def __init__(
        self,
        sides: Mapping[str, Side],
        cells: ComparedCells,
        document: dict[str, Any],
        part_timer: PartTimer,
    ) -> None:
        self.sides, self.cells, self.document, self.part_timer = sides, cells, document, part_timer
        self.device = cells.selected[0].device
        self.metrics = METRICS if self.device == "cpu" else METRICS[:1]
        self.seed = int(document["seed"])

    def measure(self, refs: References, index: int, cell_seconds: float) -> None:
        """Measure launch pair number ``index`` of all cells, and add its times to the document.

        After a failure the launch pair is measured again, without the cell if the cell was
        excluded.

        Args:
            refs: the problems' files and references.
            index: of the launch pair, from 0.
            cell_seconds: for which each role of each cell is timed.

        Raises:
            CannotStart: the workers did not start in `STARTS` attempts, or base runs no cell.
        """
        for attempt in range(STARTS):
            try:
                times = self._measure_owners(refs, index, cell_seconds)
                if not times:
                    break
                self.cells.add_times(times)
                return
            except CellFailed as error:
                self.cells.count_failure(error)
                if not self.cells.remaining():
                    break
            except WorkerError as error:
                if attempt == STARTS - 1:
                    raise CannotStart(f"the workers do not start: {error}") from None
        if self.cells.remaining():  # only cells failed, and with every attempt fewer are left
            self.measure(refs, index, cell_seconds)
        else:
            self.cells.check_base()

    def _measure_owners(
        self, refs: References, index: int, cell_seconds: float
    ) -> dict[Cell, LaunchTimes]:
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
        for owner, cells in plan.by_owner(self.cells.remaining()).items():
            frameworks = plan.distinct_frameworks(cells)
            with worker_pairs.start_worker_pairs(
                self.sides,
                frameworks,
                self.device,
                index,
                self.part_timer,
                owner,
                roles=self.cells.roles(),
                cell_seconds=cell_seconds,
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
                self.cells.count_failure(error)
                workers.close(cell)
                continue
            workers.close(cell)
            times[cell] = worker_pairs.launch_times(turns, self.metrics)
        return times
