"""Keep account of the cells of a comparison: which are measured, their times, their failures.

The cells, their states and times are data of the document; see `results.regression.document`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness.protocol.cells import Cell
from benchmarks.regression import versions
from benchmarks.regression.failures import STATES, WRONG_GRADIENTS, CannotStart, CellFailed
from benchmarks.regression.versions import Side
from benchmarks.regression.worker_pairs import ROLES, LaunchTimes

UNKNOWN_REQUEST = "has no attribute 'do_"  # in the error of a worker that lacks a request


class ComparedCells:
    """Hold the cells of a comparison, and write into its document what becomes of them.

    Args:
        cells: in the order of ``document["cells"]``.
        sides: base and head, by name; their folders are taken out of error messages.
        document: of the comparison.
    """

    def __init__(
        self, cells: Sequence[Cell], sides: Mapping[str, Side], document: dict[str, Any]
    ) -> None:
        self.selected, self.sides, self.document = list(cells), sides, document
        self.failures: dict[tuple[Cell, str], int] = {}

    def remaining(self) -> list[Cell]:
        """Return the cells that are still measured."""
        entries = zip(self.selected, self.document["cells"], strict=True)
        return [c for c, entry in entries if entry["state"] == "ok" and not entry.get("left_after")]

    def roles(self) -> tuple[str, ...]:
        """Return the roles that are measured: base, head, and the control while it is needed."""
        with_control = self.document["design"].get("control_pairs") is None
        return ROLES if with_control else ROLES[:2]

    def exclude(self, cell: Cell, state: str, why: str) -> None:
        """Stop measuring a cell, and discard the times that it has.

        Args:
            cell: the cell.
            state: of the cell in the document, such as ``failed_in_head``.
            why: the reason, for the reader of the result.
        """
        reason = versions.without_trees(why, self.sides.values())
        self._entry(cell).update(state=state, why=reason, seconds={})

    def check_base(self) -> None:
        """Raise `CannotStart` where no cell at all runs on base: then base itself is broken."""
        entries = self.document["cells"]
        if all(entry["state"] == "only_in_head" for entry in entries):
            why = entries[0]["why"]
            if UNKNOWN_REQUEST in why:
                why = f"its workers speak an older protocol ({why}); compare with a later commit"
            raise CannotStart(f"nothing of this selection runs on BASE: {why}")

    def add_times(self, times: Mapping[Cell, LaunchTimes]) -> None:
        """Add the times of one launch pair to the document."""
        for cell, metrics in times.items():
            rows = self._entry(cell)["seconds"]
            for metric, seconds in metrics.items():
                rows.setdefault(metric, []).append(seconds)
        self.document["pairs"] += 1

    def count_failure(self, error: CellFailed) -> None:
        """Exclude the cell if it would fail again, or if this is its second failure in a role."""
        key = error.cell, error.role
        self.failures[key] = self.failures.get(key, 0) + 1
        if error.repeatable or self.failures[key] > 1:
            state = STATES[error.role, error.outcome == WRONG_GRADIENTS]
            if state == "only_in_head" and (self.document["pairs"] or not error.reported):
                state = "failed"  # base ran the cell before, or never said that it cannot
            self.exclude(error.cell, state, str(error))

    def _entry(self, cell: Cell) -> dict[str, Any]:
        """Return the part of the document that is about a cell."""
        entry: dict[str, Any] = self.document["cells"][self.selected.index(cell)]
        return entry
