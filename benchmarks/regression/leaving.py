"""Let cells leave a comparison at a look, and choose what is confirmed after its budget.

Each function reads and updates the document of the comparison.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from results.regression import outlook, scheduling
from results.regression.scheduling import Standing
from results.regression.schema import ComparedCell


@dataclass(frozen=True)
class Chosen:
    """Name what alone is to be decided while confirming: cells, and shares of frameworks."""

    entries: Sequence[ComparedCell]
    frameworks: Sequence[str]


def undecided(standing: Standing, chosen: Chosen | None) -> tuple[list[int], list[str]]:
    """Return the cells, as places in the rows, and the frameworks that are undecided.

    Args:
        standing: after the last look.
        chosen: to which both are restricted; None: all.
    """
    cells, frameworks = standing.undecided_cells(), standing.undecided_frameworks()
    if chosen is None:
        return cells, frameworks
    entries = standing.rows.entries
    cells = [place for place in cells if any(entries[place] is one for one in chosen.entries)]
    return cells, [name for name in frameworks if name in chosen.frameworks]


def choose_to_confirm(document: dict[str, Any], standing: Standing) -> Chosen | None:
    """Choose what looks slower and could not be told; None if nothing does.

    The choice is kept in ``document["confirming"]``.
    """
    bound = math.log1p(document["design"]["margin"])
    places = outlook.suspicious(standing, bound)
    entries = [standing.rows.entries[place] for place in places["cells"]]
    chosen = Chosen(entries, places["frameworks"])
    if not (chosen.entries or chosen.frameworks):
        return None
    document["confirming"] = {
        "cells": [dict(one["cell"]) for one in chosen.entries],
        "frameworks": list(chosen.frameworks),
        "pairs": document["pairs"],
    }
    return chosen


def start_confirming(document: dict[str, Any]) -> Chosen | None:
    """Choose what is confirmed after the budget, and let all other cells leave.

    Returns:
        What is confirmed; None where nothing is, such as before the first look.
    """
    standing = scheduling.standing_of(document)
    chosen = None if standing is None else choose_to_confirm(document, standing)
    if standing is None or chosen is None:
        return None
    leave(document, standing, *undecided(standing, chosen))
    return chosen


def all_decided(
    document: dict[str, Any],
    chosen: Chosen | None,
    announce: Callable[[Standing, list[int]], None] | None,
) -> bool:
    """Return whether a look has left nothing to decide; else let what it decided leave.

    Args:
        document: of the comparison.
        chosen: what alone is to be decided; None: all.
        announce: called with the state after the look and with the undecided cells, as places in
            its rows, after the others have left; None where no launch pair follows: nothing leaves.
    """
    standing = scheduling.standing_of(document)
    if standing is None:
        return False
    cells, frameworks = undecided(standing, chosen)
    if not cells and not frameworks:
        return True
    if announce:
        leave(document, standing, cells, frameworks)
        announce(standing, cells)
    return False


def leave(
    document: dict[str, Any],
    standing: Standing,
    cells: Sequence[int],
    frameworks: Sequence[str],
) -> None:
    """Mark the cells that need not be measured for these to be decided, and drop the control.

    Args:
        document: of the comparison.
        standing: after the last look.
        cells: to be decided, as places in its rows.
        frameworks: whose shared change is to be decided.
    """
    going_on = scheduling.cells_to_measure(standing, cells, frameworks)
    for place, entry in enumerate(standing.rows.entries):
        if place not in going_on and not entry.get("left_after"):
            entry["left_after"] = document["pairs"]
    design = document["design"]
    if design.get("control_pairs") is None and not scheduling.needs_control(
        document, standing, going_on
    ):
        design["control_pairs"] = document["pairs"]
