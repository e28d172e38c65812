"""Describe what a session is to measure: its settings, and the job of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from benchmarks.harness.measurement.job import GroupJob, StoppingRule
from benchmarks.harness.measurement.stopping import PrecisionGoal
from benchmarks.harness.protocol import memory_limit
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import recording, resume
from results.statistics.moderation import NO_PRIOR, Prior


def settings_of(config: pytest.Config, cells: Sequence[Cell]) -> dict[str, Any]:
    """Return the settings that a run records, from the options of the command line."""
    option = config.getoption
    return {
        "launches": option("launches"),
        "cell_seconds": option("cell_seconds"),
        "seed": option("bench_seed"),
        "precision": option("precision"),
        "most_launches": option("most_launches"),
        "group_seconds": option("group_seconds"),
        "worker_memory": memory_limit.worker_memory(),
        "code": resume.code_digest(cells),
        "memory": option("memory"),
        "arguments": list(config.invocation_params.args),
        "scenarios": recording.describe_scenarios(cells),
    }


def group_job(
    members: Sequence[Cell], frameworks: Sequence[str], settings: Mapping[str, Any], limit: float
) -> GroupJob:
    """Return the job of measuring a group, without a rule for more launches.

    Args:
        members: the cells of the group.
        frameworks: all that the session measures; each computes a reference of what it can build.
        settings: of the session, see `settings_of`.
        limit: seconds that a worker may take for an answer about a cell.
    """
    cell = members[0]
    fields = {name: value for name, value in asdict(cell).items() if name != "strategy"}
    return GroupJob(
        **fields,  # type: ignore[typeddict-item]  # the fields of a cell are keys of a job
        strategies=[cell.strategy for cell in members],
        references=[f for f in frameworks if cell.spec.lacks(f) is None],
        file=str(cell.spec.file) if cell.spec.file else None,
        launches=settings["launches"],
        seconds=settings["cell_seconds"],
        limit=limit,
        seed=settings["seed"],
        precision=None,
        memory=settings["memory"],
    )


def stopping_rule(
    cell: Cell, settings: Mapping[str, Any], prior: Prior = NO_PRIOR
) -> StoppingRule | None:
    """Return how precise the group of this cell must be, or None without ``--precision``.

    Args:
        cell: one of the group.
        settings: of the session, see `settings_of`.
        prior: the spread of the framework's ratios so far in the session.
    """
    precision = settings["precision"]
    if precision is None:
        return None
    most, seconds = settings["most_launches"], settings["group_seconds"]
    return PrecisionGoal(precision, most, seconds, cell.baseline, prior).rule()
