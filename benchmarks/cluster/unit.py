"""Declare units, which nodes measure, and their answers: plain JSON data, for any engine.

A unit is a problem (scenario, variant, size) with all its frameworks and groups. It is never split:
every ratio, that of torch to JAX included, is then of one machine and of one moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NotRequired, TypedDict

from benchmarks.harness.measurement.canaries import WORKER_KEYS
from benchmarks.harness.measurement.job import CanaryJob, CanaryResult, GroupJob, GroupResult
from benchmarks.harness.protocol.cells import Cell, groups
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.selection import cost
from benchmarks.harness.session import jobs

# of a unit's name, to which a precision mode is added that is not ieee
FIELDS = ("scenario", "variant", "size", "device", "dtype")


class Expected(TypedDict):
    """What the code and the packages of a node must be, so that it may measure."""

    versions: dict[str, str | None]  # package, or python → version; null: not installed
    commit: str | None  # of this repository; null where that is unknown
    code: str  # hash of the code that measures


class UnitJob(TypedDict):
    """A unit, on its way to a node."""

    unit: str  # its name
    groups: list[GroupJob]
    canaries: list[CanaryJob]  # one for each framework, device and dtype
    specs: list[str]  # files of the user's own scenarios
    expected: Expected
    seconds: float  # that it is estimated to take
    regress: NotRequired[list[str]]  # in place of groups: arguments of a comparison of two versions


class NodeReport(TypedDict):
    """The node that answers."""

    name: str
    machine: dict[str, Any]  # see `benchmarks.machine.environment.describe`


class FailedGroup(TypedDict):
    """The answer about a group at which the harness failed."""

    failed: str  # exception and message


class UnitAnswer(TypedDict):
    """The answer of a node about a unit."""

    unit: str
    node: NodeReport
    refused: str | None  # why the node does not measure: nothing of the unit was measured then
    canaries: list[CanaryResult]  # taken for this unit: empty where the node took them before
    groups: list[GroupResult | FailedGroup]  # in the order of the job
    document: NotRequired[dict[str, Any] | None]  # of a comparison; null where it failed
    message: NotRequired[str]  # by the comparison at its end, in a line
    lost: NotRequired[str]  # in place of all the rest: why there is no answer


def unit_name(cell: Cell) -> str:
    """Return the name of the unit that a cell belongs to."""
    lower = [] if cell.precision_mode == IEEE else [cell.precision_mode]
    return " ".join([*(getattr(cell, field) for field in FIELDS), *lower])


def by_unit(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Return the possible cells of each unit, by its name."""
    units: dict[str, list[Cell]] = {}
    for cell in cells:
        if not cell.unsupported_reason():
            units.setdefault(unit_name(cell), []).append(cell)
    return units


def unit_job(
    name: str,
    cells: Sequence[Cell],
    frameworks: Sequence[str],
    settings: Mapping[str, Any],
    limit: float,
    expected: Expected,
) -> UnitJob:
    """Return the job of measuring a unit.

    Args:
        name: of the unit.
        cells: all of it.
        frameworks: all that the session measures.
        settings: of the session, see `jobs.settings_of`.
        limit: seconds that a worker may take for an answer about a cell.
        expected: what a node's code and packages must be.
    """
    members = list(groups(cells).values())
    group_jobs = [jobs.group_job(group, frameworks, settings, limit) for group in members]
    for job, group in zip(group_jobs, members, strict=True):
        job["precision"] = jobs.stopping_rule(group[0], settings)
    estimated = cost.estimate_cells(
        cells, settings["launches"], settings["cell_seconds"], settings["memory"]
    )
    return {
        "unit": name,
        "groups": group_jobs,
        "canaries": _canary_jobs(cells, settings, limit),
        "specs": sorted({str(cell.spec.file) for cell in cells if cell.spec.file}),
        "expected": expected,
        "seconds": estimated.seconds,
    }


def _canary_jobs(
    cells: Sequence[Cell], settings: Mapping[str, Any], limit: float
) -> list[CanaryJob]:
    """Return the canaries to take before these cells: one job for each kind of worker."""
    kinds = dict.fromkeys(tuple(getattr(cell, key) for key in WORKER_KEYS) for cell in cells)
    return [
        {
            "framework": framework,
            "device": device,
            "dtype": dtype,
            "launches": settings["launches"],
            "limit": limit,
            "seed": settings["seed"],
        }
        for framework, device, dtype in kinds
    ]


def longest_first(units: Sequence[UnitJob]) -> list[UnitJob]:
    """Return the units in the order of submission: those that take longest first.

    A long unit that began last would keep one node at work while all others have nothing to do.
    """
    return sorted(units, key=lambda job: -job["seconds"])
