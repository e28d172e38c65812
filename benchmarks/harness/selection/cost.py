"""Estimate how long measuring a selection of cells takes, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.harness.protocol.cells import EAGER, Cell, groups
from benchmarks.harness.protocol.ranks import DISTRIBUTED, split_mode
from benchmarks.harness.selection.options import Selection
from benchmarks.harness.worker import clock, trend

# Nominal seconds of a call over two networks on 2 CPU cores, rounded from measured runs; only `gpu`
# is a guess.
CALL_SECONDS = {
    "seed": 4e-4,
    "small": 1.5e-3,
    "medium": 2e-2,
    "large": 2e-1,
    "large_batch32": 3e-2,
    "gpu": 5e-2,
}
LIGHT = {"stacked_cascade": 0.4}  # at sizes above `small`, the share of those seconds that it takes
# strategies with a backward pass for each loss
SEPARATE = ("separate_retained", "separate_grad", "separate_pullbacks")
DISPATCH_SECONDS = 3e-2  # of a call over two networks in eager JAX, at any size
# per cell and two networks, once in a session: to trace, to compile and to count
COMPILE_SECONDS = {"compile": 7.0, "compile_networks": 5.0}
CACHED_COMPILE_SECONDS = 0.4  # in every launch after the first, from the cache of compiled programs
START_SECONDS = 2.0  # to start a worker and import its framework; two start at a time
CANARY_SECONDS = 0.25  # per launch
# per cell and launch: trace, compile or load, check the gradients
PREPARE_SECONDS = {"torch": 0.05, "jax": 0.25}
MEMORY_SECONDS = {"torch": 2.0, "jax": 2.5}  # per cell: a process of its own, one at a time
MEMORY_CALLS = 6
REFERENCE_SECONDS = 1.0  # per problem: references of both frameworks in float64, flow proven
REFERENCE_CALLS = 5  # float32 calls, of the summed loss and of each loss alone, that take as long
LEAST_BLOCKS = 4  # of a cell in each launch
CELL_SECONDS = clock.CELL_SECONDS  # of sampling, for each cell and launch, by default


@dataclass(frozen=True)
class Cost:
    """Count cells and groups, with the estimated wall time in seconds.

    ``unsupported`` cells were selected but cannot exist; they are not among ``cells``.
    """

    cells: int
    groups: int
    unsupported: int
    seconds: float


def estimate(chosen: Selection, launches: int, cell_seconds: float, memory: bool = False) -> Cost:
    """Estimate the cost of measuring a selection.

    Args:
        chosen: the selected cells.
        launches: worker processes for each group.
        cell_seconds: of sampling, for each cell and launch.
        memory: whether peak memory is measured too.

    Raises:
        SelectionError: the selection has no cell.
    """
    return estimate_cells(chosen.require_cells(), launches, cell_seconds, memory)


def estimate_cells(
    selected: Sequence[Cell], launches: int, cell_seconds: float, memory: bool = False
) -> Cost:
    """Estimate the cost of measuring these cells; the other arguments are those of `estimate`."""
    possible = [cell for cell in selected if not cell.unsupported_reason()]
    by_group = groups(possible)
    problems = {(cell.scenario, cell.variant, cell.size): cell for cell in possible}
    frameworks = {cell.framework for cell in possible}
    seconds = (START_SECONDS / 2 + CANARY_SECONDS) * launches * len(frameworks)
    leaders = {(cell.framework, cell.mode) for cell in possible if cell.kind == DISTRIBUTED}
    seconds += sum(split_mode(mode)[1] * START_SECONDS for _, mode in leaders) * launches
    seconds += sum(map(_reference_seconds, problems.values()))
    seconds += sum(_group_seconds(members, launches, cell_seconds) for members in by_group.values())
    if memory:
        seconds += sum(map(_memory_seconds, possible))
    return Cost(len(possible), len(by_group), len(selected) - len(possible), seconds)


def _reference_seconds(cell: Cell) -> float:
    """Estimate the seconds to compute the references of a cell's problem and to prove its flow."""
    summed, separate = (replace(cell, strategy=name) for name in ("summed", SEPARATE[0]))
    walks = _walk_seconds(summed) + _walk_seconds(separate)
    return REFERENCE_SECONDS + REFERENCE_CALLS * walks


def _group_seconds(members: Sequence[Cell], launches: int, cell_seconds: float) -> float:
    """Estimate the seconds to prepare and time the cells of a group in all launches."""
    return sum(_cell_seconds(cell, launches, cell_seconds) for cell in members)


def _cell_seconds(cell: Cell, launches: int, cell_seconds: float) -> float:
    """Estimate the seconds to prepare, warm up and time one cell in all launches."""
    call = call_seconds(cell)
    testable = trend.LEAST * call <= clock.WARM_LIMIT
    warming = call * (trend.LEAST if testable else clock.WARM_CALLS)
    each = max(cell_seconds, LEAST_BLOCKS * call) + max(clock.WARM_SECONDS, warming)
    each += PREPARE_SECONDS[cell.framework] / 2 + 2 * call
    return launches * each + _compile_seconds(cell, launches)


def _compile_seconds(cell: Cell, launches: int) -> float:
    """Estimate the seconds to compile a cell in all launches, in torch's compiled modes.

    It is 0 in other modes: JAX compiles as part of preparing.
    """
    if cell.mode not in COMPILE_SECONDS:
        return 0.0
    each = COMPILE_SECONDS[cell.mode] + (launches - 1) * CACHED_COMPILE_SECONDS
    return each * len(_networks(cell)) / 2


def _memory_seconds(cell: Cell) -> float:
    """Estimate the seconds to measure a cell's peak memory, in a process of its own.

    For torch on a GPU, which needs no such process, this is too much.
    """
    return MEMORY_SECONDS[cell.framework] + MEMORY_CALLS * call_seconds(cell)


def call_seconds(cell: Cell) -> float:
    """Return the nominal seconds of one call on 2 CPU cores."""
    by_operation = cell.framework == "jax" and cell.mode == EAGER
    dispatch = DISPATCH_SECONDS * len(_networks(cell)) / 2 if by_operation else 0.0
    return _walk_seconds(cell) + dispatch


def _walk_seconds(cell: Cell) -> float:
    """Estimate the seconds of forward and backward through the networks, without dispatch.

    A strategy with a backward pass for each loss walks through some networks several times.
    """
    walked = len(_networks(cell))
    if cell.strategy in SEPARATE:
        walked = sum(map(len, cell.spec.variants[cell.variant].flow.values()))
    light = 1.0 if cell.size in ("seed", "small") else LIGHT.get(cell.scenario, 1.0)
    return light * CALL_SECONDS[cell.size] * walked / 2


def _networks(cell: Cell) -> tuple[str, ...]:
    """Return the names of the networks of a cell's variant."""
    return cell.spec.variants[cell.variant].networks
