"""Ask ranks what the two parts of their cells' calls take alone: computing, and exchanging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness.launches.launch import Launch, WorkerError, WorkerFailed
from benchmarks.harness.measurement.job import GroupJob
from benchmarks.harness.protocol.ranks import DISTRIBUTED, PREDICTED_PHASE


def are_predicted(job: GroupJob) -> bool:
    """Return whether the cells of a group are such that their parts can be timed alone."""
    return job["kind"] == DISTRIBUTED and job["phase"] == PREDICTED_PHASE


def of_cells(
    launch: Launch, names: Sequence[str], limit: float
) -> tuple[dict[str, dict[str, Any]], bool]:
    """Return the parts of each cell as figures, and whether the launch must be replaced.

    Args:
        launch: that has prepared the cells.
        names: of the cells.
        limit: seconds that it may take.

    Returns:
        Cell → ``alone``, see `count_messages.AloneSeconds`; where that failed ``alone_why``.
    """
    try:
        alone = launch.ask("alone", limit, cells=list(names))
    except WorkerError as error:
        why = f"the ranks could not compute and exchange alone: {error}"
        return {name: {"alone_why": why} for name in names}, not isinstance(error, WorkerFailed)
    return {name: {"alone": alone[name]} for name in names}, False
