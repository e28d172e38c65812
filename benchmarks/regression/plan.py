"""Plan a comparison: its cells, its duration, and the slowdowns that it can detect."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks.harness.protocol.cells import DEFAULT_MODES, Cell
from benchmarks.harness.protocol.ranks import DISTRIBUTED
from benchmarks.harness.selection import cost
from benchmarks.harness.selection.options import ALL, Selection, SelectionError
from benchmarks.regression.case_cells import CaseCell
from benchmarks.scenarios import CATALOGUE, SIZES
from results.records.record import CELL_FIELDS


class DefaultCell(NamedTuple):
    """Name one of the default cells, once for both frameworks.

    ``torch`` and ``jax`` are the strategy or recipe of that framework.
    """

    kind: str
    scenario: str
    variant: str
    phase: str
    torch: str
    jax: str


# Each of these is limited by something else: dispatch, matrix products, convolutions, an
# optimizer, a freeze. At size small a call takes a millisecond or more, so that a few per cent can
# be told from noise.
DEFAULT_CELLS = (
    DefaultCell("backward", "conv_cascade", "-", "gradient", "summed", "summed"),
    DefaultCell("backward", "linear_cascade", "-", "gradient", "summed", "summed"),
    DefaultCell(
        "backward", "stacked_cascade", "n4", "gradient", "separate_retained", "separate_retained"
    ),
    DefaultCell("backward", "stacked_cascade", "n2", "step", "summed", "summed"),
    DefaultCell("freeze", "frozen_prefix", "-", "step", "requires_grad_false", "partition"),
)
DEFAULT_SIZE = "small"

# The first look, in launch pairs; each further one comes after so many times as many, and the last
# one where the budget ends. No session measures more pairs than the last number.
FIRST_LOOK, LOOK_GROWTH, MOST_PAIRS = 10, 1.3, 200
# The turns of a cell in one launch pair, in seconds: the best of those tried in docs/trial.md.
TURN_SECONDS, CELL_SECONDS, LEAST_TURNS = 0.008, 0.25, 4
# Each role of a cell is timed for longer, up to so many seconds, where else less than half of a
# launch pair would be timing.
MOST_CELL_SECONDS = 0.6
QUANTILE, DROPPED = 5.0, 3
ROLES = 3  # workers of each framework in a launch pair: base, head, and the control
# Estimates in seconds on two cores: starting the three workers of a framework; preparing a cell
# in all of them; and, once a session, the worktrees, references, compilations and verdicts.
START_SECONDS, PREPARE_SECONDS = 2.6, 0.75
SESSION_SECONDS = 15.0

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_seconds(text: str, option: str = "--budget") -> float:
    """Convert a duration such as ``90``, ``90s``, ``10m`` or ``1h`` to seconds.

    Args:
        text: the duration.
        option: that it is the value of, for the error.

    Raises:
        SelectionError: the text is no such duration, or not above 0.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(s|m|min|h|)\s*", text)
    seconds = float(match[1]) * _UNITS[match[2]] if match else 0.0
    if not 0 < seconds < math.inf:
        raise SelectionError(f"{option} {text!r}: give a time such as 10m, 90s or 1h")
    return seconds


def choose_cells(
    selected: Mapping[str, tuple[str, ...] | None], device: str, installed: Collection[str]
) -> list[Cell]:
    """Return the cells to compare: the selected ones, or `DEFAULT_CELLS` if none are selected.

    A selection without a size takes `DEFAULT_SIZE`, where the scenario has that size. A baseline
    strategy is only included if it was selected: cells are not compared with each other here.

    Args:
        selected: names by field of `Selection`, None for a field that the user left out.
        device: ``cpu`` or ``cuda``.
        installed: frameworks that at least one side has; cells of others are left out.

    Raises:
        SelectionError: no cell is left to compare, or a framework that was selected by name is
            installed on neither side.
    """
    _refuse_frameworks_of_no_side(selected.get("framework") or (), installed)
    external = any(scenario.file for scenario in CATALOGUE.values())
    if not external and not any(names for field, names in selected.items() if field != "framework"):
        cells = _default_cells(device)
    else:
        size = selected.get("size") or _size(Selection(scenario=selected.get("scenario")))
        fields: dict[str, Any] = {**selected, "size": size}
        cells = Selection(**fields, device=device).require_cells()
    refuse_several_ranks(cells)
    frameworks = selected.get("framework") or tuple(installed)
    strategies = selected.get("strategy") or (ALL,)
    cells = [
        cell
        for cell in cells
        if (cell.framework in frameworks or ALL in frameworks)
        and (cell.strategy in strategies or ALL in strategies)
        and cell.unsupported_reason() is None
    ]
    if not cells:
        raise SelectionError(
            "nothing to compare: no cell of this selection can be measured with what is installed "
            f"({', '.join(installed)}); see `cascade-bench list`"
        )
    return cells


def refuse_several_ranks(cells: Iterable[Cell]) -> None:
    """Raise `SelectionError` if a cell is of several ranks: no versions are compared by it.

    The workers of two versions take turns; ranks of two versions would stand in each other's way.
    """
    if any(cell.kind == DISTRIBUTED for cell in cells):
        raise SelectionError(
            f"--kind {DISTRIBUTED}: two versions are compared in one process each; give --kind "
            "backward, freeze, or both"
        )


def _refuse_frameworks_of_no_side(names: Iterable[str], installed: Collection[str]) -> None:
    """Raise `SelectionError` if no side has any framework, or one that was selected by name."""
    if not installed:
        raise SelectionError(
            "nothing to compare: neither torch nor jax is installed on either side; install one: "
            "pip install torch, or: pip install jax flax optax"
        )
    named = Selection(framework=tuple(names)).framework or ()
    missing = [name for name in named if name not in installed]
    if missing:
        raise SelectionError(
            f"--framework {' and '.join(missing)}: installed on neither side; leave it out, or "
            f"select what there is: --framework {','.join(installed)}"
        )


def _default_cells(device: str) -> list[Cell]:
    """Return `DEFAULT_CELLS` as cells of both frameworks, each in its default mode."""
    return [
        Cell(
            cell.kind, cell.scenario, cell.variant, DEFAULT_SIZE, framework,
            DEFAULT_MODES[framework],
            getattr(cell, framework), cell.phase, device,
        )
        for framework in ("torch", "jax")
        for cell in DEFAULT_CELLS
    ]  # fmt: skip


def _size(selection: Selection) -> tuple[str, ...]:
    """Return the size to compare: `DEFAULT_SIZE` if a selected scenario has it, else the first."""
    scenarios = selection.scenarios()
    if any(DEFAULT_SIZE in scenario.sizes for scenario in scenarios):
        return (DEFAULT_SIZE,)
    return tuple(size for size in SIZES if any(size in one.sizes for one in scenarios))[:1]


def distinct_problems(cells: Iterable[Cell]) -> list[tuple[str, str, str]]:
    """Return the problems of the cells, see `Cell.problem`, each once."""
    return list(dict.fromkeys(cell.problem for cell in cells))


def distinct_frameworks(cells: Iterable[Cell]) -> list[str]:
    """Return the frameworks of the cells, each once."""
    return list(dict.fromkeys(cell.framework for cell in cells))


def by_owner(cells: Iterable[Cell]) -> dict[str | None, list[Cell]]:
    """Return the cells by their owner, see `Cell.owner`; each gets workers of its own."""
    owners: dict[str | None, list[Cell]] = {}
    for cell in cells:
        owners.setdefault(cell.owner, []).append(cell)
    return owners


def estimate_pair_seconds(cells: Sequence[Cell]) -> float:
    """Estimate the seconds that one launch pair of all cells takes on 2 CPU cores."""
    starts: dict[tuple[str | None, str], float] = {}
    for cell in cells:
        workers = cell.owner, cell.framework
        starts[workers] = max(starts.get(workers, START_SECONDS), _start_seconds(cell))
    return sum(starts.values()) + sum(map(_cell_seconds, cells))


def estimate_full_pair_seconds(cells: Sequence[Cell]) -> float:
    """Estimate the seconds of a launch pair of which half is timing, as far as that is allowed.

    Where a budget is small, pairs take no longer than `estimate_pair_seconds`.
    """
    shortest, least = estimate_pair_seconds(cells), ROLES * CELL_SECONDS * len(cells)
    overhead = max(0.0, shortest - least)
    return overhead + max(least, min(overhead, ROLES * MOST_CELL_SECONDS * len(cells)))


def _start_seconds(cell: Cell) -> float:
    """Estimate the seconds to start the three workers that a cell needs, two at a time."""
    return ROLES / 2 * cell.pace.start if isinstance(cell, CaseCell) else START_SECONDS


def _cell_seconds(cell: Cell) -> float:
    """Estimate the seconds to prepare, warm up and time one cell in the three roles."""
    if isinstance(cell, CaseCell):
        call, prepare = cell.pace.call, PREPARE_SECONDS + ROLES / 2 * cell.pace.later
    else:
        call, prepare = cost.call_seconds(cell), PREPARE_SECONDS
    return prepare + ROLES * max(CELL_SECONDS, LEAST_TURNS * call) + 2 * ROLES * call


def pairs_within(seconds: float, pair_seconds: float) -> int:
    """Return how many launch pairs fit into a time, at most `MOST_PAIRS`."""
    return max(0, min(MOST_PAIRS, math.floor(seconds / pair_seconds)))


def plain_cells(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    """Return the cells as dictionaries of the fields that name them."""
    return [{name: getattr(cell, name) for name in CELL_FIELDS} for cell in cells]
