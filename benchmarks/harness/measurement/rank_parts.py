"""Ask ranks what the two parts of their cells' calls take alone: computing, and exchanging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.measurement.job import GroupJob
from benchmarks.harness.protocol.ranks import DISTRIBUTED, PREDICTED_PHASE


def are_predicted(job: GroupJob) -> bool:
    """Return whether the cells of a group are such that their parts can be timed alone."""
    return job["kind"] == DISTRIBUTED and job["phase"] == PREDICTED_PHASE


def of_cells(launch: Launch, names: Sequence[str], limit: float) -> dict[str, dict[str, Any]]:
    """Return the parts of each cell as figures: ``alone``, or ``alone_why`` where that failed.

    A launch that dies of it is replaced before it is timed, as any other.

    Args:
        launch: that has prepared the cells.
        names: of the cells.
        limit: seconds that it may take.
    """
    try:
        alone = launch.ask("alone", limit, cells=list(names))
    except WorkerError as error:
        why = f"the ranks could not compute and exchange alone: {error}"
        return {name: {"alone_why": why} for name in names}
    return {name: {"alone": alone[name]} for name in names}
