"""Name why a cell cannot be timed, by which side, and which state its document then holds."""

from __future__ import annotations

from benchmarks.harness.protocol.cells import Cell

WRONG_GRADIENTS = "wrong_gradients"

# (role that failed, whether its gradients were wrong) → state of the cell in the document
STATES = {
    ("base", True): "wrong_in_base",
    ("control", True): "wrong_in_base",
    ("head", True): "wrong_in_head",
    ("base", False): "only_in_head",
    ("control", False): "failed",
    ("head", False): "failed_in_head",
    ("both", True): "failed",
    ("both", False): "failed",
}


class CannotStart(Exception):
    """The workers of a side do not start; the message is one line that says which and why."""


class CellFailed(Exception):
    """Report that a cell cannot be timed in this launch pair; the message says why.

    ``role`` is one of `ROLES`, or ``both`` where base and head fail; ``outcome`` is one of the
    outcomes of a record. ``repeatable`` says that another attempt would fail as well. After an
    error with ``idle`` every worker has answered, so the same workers can go on with the next
    cell. ``reported`` says that the worker itself gave the reason. Otherwise it died, hung or ran
    out of memory, which does not show that its code lacks the cell.
    """

    def __init__(
        self,
        cell: Cell,
        role: str,
        outcome: str,
        message: str,
        *,
        repeatable: bool,
        idle: bool = False,
        reported: bool = False,
    ) -> None:
        super().__init__(message)
        self.cell, self.role, self.outcome = cell, role, outcome
        self.repeatable, self.idle, self.reported = repeatable, idle, reported
