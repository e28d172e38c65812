"""How long a selection will take, said before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.harness import clock, steady
from benchmarks.harness.cells import Cell, groups
from benchmarks.harness.selection import Selection

# Nominal seconds of a call on 2 CPU cores, rounded from runs there; `gpu` is a guess, not measured.
CALL_SECONDS = {"seed": 4e-4, "small": 1.5e-3, "medium": 2e-2, "large": 2e-1, "gpu": 5e-2}
START_SECONDS = 2.0  # a worker's, its framework imported; two start at a time
CANARY_SECONDS = 0.25  # a launch's
PREPARE_SECONDS = {"torch": 0.05, "jax": 0.25}  # per cell and launch: trace, compile or load, gate
MEMORY_SECONDS = {"torch": 2.0, "jax": 2.5}  # per cell: a process of its own, one at a time
MEMORY_CALLS = 6
REFERENCE_SECONDS = 1.0  # per problem, both frameworks, in float64
LEAST_BLOCKS = 4


@dataclass(frozen=True)
class Cost:
    """Counts, and the estimated wall time in seconds."""

    cells: int
    groups: int
    unsupported: int
    seconds: float


def estimate(chosen: Selection, launches: int, cell_seconds: float, memory: bool = False) -> Cost:
    """The cost of measuring a selection with so many launches, and peak memory where asked for."""
    everything = chosen.demand()
    possible = [cell for cell in everything if not cell.unsupported()]
    found = groups(possible)
    problems = {(cell.scenario, cell.variant, cell.size) for cell in possible}
    frameworks = {cell.framework for cell in possible}
    seconds = (START_SECONDS / 2 + CANARY_SECONDS) * launches * len(frameworks)
    seconds += REFERENCE_SECONDS * len(problems)
    seconds += sum(_group_seconds(members, launches, cell_seconds) for members in found.values())
    if memory:
        seconds += sum(map(_memory_seconds, possible))
    return Cost(len(possible), len(found), len(everything) - len(possible), seconds)


def _group_seconds(members: Sequence[Cell], launches: int, cell_seconds: float) -> float:
    cell, call = members[0], _call_seconds(members[0])
    testable = steady.LEAST * call <= clock.WARM_LIMIT
    warming = call * (steady.LEAST if testable else clock.WARM_CALLS)
    per_cell = max(cell_seconds, LEAST_BLOCKS * call) + max(clock.WARM_SECONDS, warming)
    per_cell += PREPARE_SECONDS[cell.framework] / 2 + 2 * call
    return launches * len(members) * per_cell


def _memory_seconds(cell: Cell) -> float:
    """Also on a GPU, where torch takes none of it: better too long than too short."""
    return MEMORY_SECONDS[cell.framework] + MEMORY_CALLS * _call_seconds(cell)


def _call_seconds(cell: Cell) -> float:
    stages = len(cell.spec.variants[cell.variant].networks)
    return CALL_SECONDS[cell.size] * stages / 2
