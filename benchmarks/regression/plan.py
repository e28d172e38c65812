"""What a comparison measures, how long that takes, and what it can then see."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import scipy.special

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.selection import cost
from benchmarks.harness.selection.options import Selection, SelectionError
from benchmarks.scenarios import CATALOGUE, SIZES, Scenario
from results.statistics import launch_pairs

# In the order of kind, scenario, variant, phase, and the strategy in torch and in jax: cells that
# dispatch, matrix products, convolutions, an optimizer and a freeze each have a part in. At size
# small a call takes a millisecond or more, so that a few per cent can be told from noise.
DEFAULT = (
    ("backward", "conv_cascade", "-", "gradient", "summed", "summed"),
    ("backward", "linear_cascade", "-", "gradient", "summed", "summed"),
    ("backward", "stacked_cascade", "n4", "gradient", "separate_retained", "separate_retained"),
    ("backward", "stacked_cascade", "n2", "step", "summed", "summed"),
    ("freeze", "frozen_prefix", "-", "step", "requires_grad_false", "partition"),
)
SIZE = "small"
USUAL = {"torch": "eager", "jax": "jit"}

LOOKS = launch_pairs.LOOKS
FURTHER = (36, 54, 80)  # looks that a larger budget has time for
# The turns of a cell in one launch pair, as the trial found them best: see docs/trial.md.
TURN, CELL_SECONDS, LEAST_TURNS = 0.008, 0.25, 4
QUANTILE, DROPPED = 5.0, 3
ROLES = 3  # base, head, and base again
# of a launch pair, seconds: the three workers of a framework, on two cores; a cell in them
START_SECONDS, PREPARE_SECONDS = 2.6, 0.75
SESSION_SECONDS = 15.0  # trees, references, the first compilation, the verdicts
# What the ratio of a launch pair spreads by, its standard deviation: cells of a millisecond and
# more on a 2-core virtual machine, quiet and beside a bursty neighbour (docs/trial.md).
SPREADS = (0.011, 0.018)
POWER = 0.8

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """``90``, ``90s``, ``10m`` or ``1h`` in seconds.

    Raises:
        SelectionError: it is none of these, or not above 0.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*(s|m|min|h|)\s*", text)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds < math.inf:
        raise SelectionError(f"--budget {text!r}: give a time such as 10m, 90s or 1h")
    return seconds


def cells(
    asked: Mapping[str, tuple[str, ...] | None], device: str, installed: Collection[str]
) -> list[Cell]:
    """The cells to compare: those asked for, or `DEFAULT`.

    Of a selection that names no size, `SIZE`, where the scenario has it. A baseline comes along
    only where it was asked for: here no cell is compared with another.

    Args:
        asked: `Selection`'s fields, None where nothing was said.
        installed: the frameworks that at least one side has; others are left out unless they
            were asked for by name.

    Raises:
        SelectionError: nothing is left to compare.
    """
    own = [scenario for scenario in CATALOGUE.values() if scenario.file]
    if not own and not any(value for name, value in asked.items() if name != "framework"):
        found = _default(device)
        wanted = asked.get("framework") or tuple(installed)
    else:
        size = asked.get("size") or _size(Selection(scenario=asked.get("scenario")).scenarios())
        named: dict[str, Any] = {**asked, "size": size}
        found = Selection(**named, device=device).demand()
        wanted = asked.get("framework") or tuple(installed)
    strategies = asked.get("strategy")
    found = [
        cell
        for cell in found
        if (cell.framework in wanted or "all" in wanted)
        and (not strategies or cell.strategy in strategies or "all" in strategies)
        and cell.unsupported() is None
    ]
    if not found:
        raise SelectionError(
            "nothing to compare: no cell of this selection can be measured with what is installed "
            f"({', '.join(installed) or 'neither torch nor jax'}); see `cascade-bench list`"
        )
    return found


def _default(device: str) -> list[Cell]:
    ways = [("torch", 4), ("jax", 5)]
    return [
        Cell(row[0], row[1], row[2], SIZE, framework, USUAL[framework], row[place], row[3], device)
        for framework, place in ways
        for row in DEFAULT
    ]


def _size(chosen: Sequence[Scenario]) -> tuple[str, ...]:
    if any(SIZE in scenario.sizes for scenario in chosen):
        return (SIZE,)
    return tuple(size for size in SIZES if any(size in scenario.sizes for scenario in chosen))[:1]


def problems(chosen: Iterable[Cell]) -> list[tuple[str, str, str]]:
    """Scenario, variant and size, each once."""
    return list(dict.fromkeys((cell.scenario, cell.variant, cell.size) for cell in chosen))


def frameworks(chosen: Iterable[Cell]) -> list[str]:
    """Those of the cells, each once."""
    return list(dict.fromkeys(cell.framework for cell in chosen))


def pair_seconds(chosen: Sequence[Cell]) -> float:
    """About how long a launch pair takes on 2 CPU cores."""
    each = sum(_cell_seconds(cell) for cell in chosen)
    return START_SECONDS * len(frameworks(chosen)) + each


def _cell_seconds(cell: Cell) -> float:
    call = cost.call_seconds(cell)
    return PREPARE_SECONDS + ROLES * max(CELL_SECONDS, LEAST_TURNS * call) + 2 * ROLES * call


def looks_within(pairs: int) -> tuple[int, ...]:
    """The looks that so many launch pairs allow; empty under the first."""
    return tuple(count for count in (*LOOKS, *FURTHER) if count <= pairs)


def pairs_within(seconds: float, pair: float) -> int:
    """How many launch pairs fit, of those that are ever looked at."""
    return max(0, min((*LOOKS, *FURTHER)[-1], math.floor(seconds / pair)))


def smallest_seen(pairs: int, rows: int, level: float, margin: float) -> tuple[float, ...]:
    """The smallest slowdown of one cell that is found with `POWER`, for each of `SPREADS`.

    A cell must be beyond the margin, and its adjusted p under the level of a look: of ``rows``
    tests Holm's first step takes the level over their number. An approximation by the normal
    distribution of what the trial measured, and about as good.
    """
    quantile = -float(scipy.special.ndtri(level / rows / 2))
    power = float(scipy.special.ndtri(POWER))
    found = []
    for spread in SPREADS:
        error = spread / math.sqrt(pairs)
        needed = max(math.log1p(margin) + power * error, (quantile + power) * error)
        found.append(math.expm1(needed))
    return tuple(found)


def described(chosen: Iterable[Cell]) -> list[dict[str, Any]]:
    """The cells as plain data."""
    return [vars(cell).copy() for cell in chosen]
