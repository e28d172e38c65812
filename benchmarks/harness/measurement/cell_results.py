"""Hold the results of a group's cells, and find the cell that made a worker fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from benchmarks.harness.launches.worker_errors import (
    WorkerCrashed,
    WorkerError,
    format_error,
    outcome_of,
)
from benchmarks.harness.measurement.job import CellOutcome
from benchmarks.harness.protocol.count_messages import OperationCount
from benchmarks.harness.protocol.messages import PreparedCell
from benchmarks.harness.worker import gate

# Below so many FLOPs the time of a call is dispatch, and a share of the matrix peak says nothing.
PEAK_FLOPS = 1e8

Products = list[list[float]]  # FLOPs of a matrix product, and how often a call computes it


@dataclass
class CellResult:
    """Hold the outcome of one cell, with a list of samples (seconds per call) for each launch.

    ``steady`` says for each launch whether its times had no trend left after warming up.
    ``peak_seconds`` is, for each launch, how long the cell's matrix products take at their best.
    """

    outcome: str = "ok"
    why: str | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    samples: list[list[float]] = field(default_factory=list)
    steady: list[bool | None] = field(default_factory=list)
    peak_seconds: list[float] = field(default_factory=list)

    def fail(self, outcome: str, why: str) -> None:
        """Set the outcome, and drop every sample: a cell that failed has no time."""
        self.outcome, self.why = outcome, why
        self.samples, self.steady, self.peak_seconds = [], [], []


class CellResults:
    """Hold the results of all cells of a group, by strategy or recipe."""

    def __init__(self, strategies: Iterable[str]) -> None:
        self._results = {strategy: CellResult() for strategy in strategies}
        self.products: dict[str, Products] = {}
        self.operations: dict[str, list[OperationCount]] = {}
        self._excused = False

    def __getitem__(self, name: str) -> CellResult:
        return self._results[name]

    def alive(self) -> list[str]:
        """Return the names of the cells that have not failed."""
        return [name for name, result in self._results.items() if result.outcome == "ok"]

    def outcomes(self) -> dict[str, CellOutcome]:
        """Return strategy or recipe → its result as plain data."""
        return {name: cast("CellOutcome", asdict(one)) for name, one in self._results.items()}

    def fail_all(self, outcome: str, why: str) -> None:
        """Fail every cell that is still alive."""
        for name in self.alive():
            self._results[name].fail(outcome, why)

    def blame(self, error: WorkerError) -> None:
        """Fail the cell that the worker was working on when it failed.

        If it was working on none, the whole group fails. The first worker that dies like that is
        excused: something outside may have killed it.
        """
        if error.cell in self._results:
            self._results[error.cell].fail(error.outcome, str(error))
        elif isinstance(error, WorkerCrashed) and not self._excused:
            self._excused = True
        else:
            self.fail_all(error.outcome, str(error))

    def add_prepared(self, prepared: Mapping[str, PreparedCell]) -> None:
        """Take over one launch's answer to ``prepare``: figures, or the error, of each cell."""
        for name, cell in prepared.items():
            result = self._results[name]
            if "error" in cell:
                result.fail(outcome_of(cell["error"]), format_error(cell["error"]))
            elif result.outcome == "ok":
                self._add_checked(name, result, cell)

    def _add_checked(self, name: str, result: CellResult, cell: PreparedCell) -> None:
        """Keep the first launch's figures, and the worst gradient error of all launches.

        Wrong gradients in any launch fail the cell.
        """
        if not result.figures:
            bulk = ("products", "operations")  # too much for a record; what follows of them stays
            result.figures = {key: value for key, value in cell.items() if key not in bulk}
            if products := cell.get("products"):
                self.products[name] = products
            if operations := cell.get("operations"):
                self.operations[name] = operations
        error, worst = cell["gradient_error"], result.figures["gradient_error"]
        if error and worst:
            result.figures["gradient_error"] = gate.larger_errors(error, worst)
        if cell["equivalence"] != "pass":
            result.figures["equivalence"] = cell["equivalence"]
            result.fail("wrong_gradients", cell["equivalence"])

    def has_matrix_peak(self, name: str) -> bool:
        """Return whether a cell's work is matrix products, and enough of them to have a peak."""
        products, flops = self.products.get(name), self._results[name].figures.get("flops")
        total = sum(each * count for each, count in products or [])
        return bool(flops and total >= PEAK_FLOPS and abs(total / flops - 1) < 0.05)

    def peak_seconds(self, name: str, timed: str, best: Mapping[str, float]) -> float:
        """Return how long a cell's matrix products take at their best, in seconds per call.

        Only the products of the cell ``timed`` are timed. The other cells of the group compute
        products of the same shapes in other numbers, so their sum goes by FLOPs.

        Args:
            name: the cell.
            timed: the cell whose products were timed.
            best: ``product/<index>`` → the shortest seconds of that product of ``timed``.
        """
        per_flop = sum(
            best[f"product/{i}"] * count for i, (_, count) in enumerate(self.products[timed])
        ) / sum(each * count for each, count in self.products[timed])
        return per_flop * sum(each * count for each, count in self.products[name])
