"""Say what the rest of a comparison's budget can still find, and which cells look suspicious."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.regression.decision import Rows, design_of
from results.regression.scheduling import Standing
from results.statistics import detectable, look_levels
from results.statistics.detectable import POWER, LastTest, Noise
from results.statistics.verdict import INCONCLUSIVE, half_widths

WANTED = 0.03  # the slowdown that a budget should be able to find
# A promise is told again when it left the range that was told, or moved by more than this.
MOVED = 0.25


def last_test(document: Mapping[str, Any], rows: Rows, pairs: int) -> LastTest:
    """Return how cells are tested if the next look is the last one, where the budget ends.

    Args:
        document: of the comparison.
        rows: its measurements.
        pairs: launch pairs at that look.
    """
    settings = document["design"]
    design = design_of(settings, rows.group_of)
    looks, shares = [*settings["taken"], pairs], [*settings["shares"], 1.0]
    levels = look_levels.spent_levels(design.groups, tuple(looks), tuple(shares), design.alpha)
    tests = len(rows.group_of) + len(rows.groups)
    return LastTest(design.bound, levels.difference[-1], tests)


def noise_of(standing: Standing, cells: Sequence[int]) -> Noise:
    """Return the noise of these cells, each in the metric in which it is less.

    Args:
        standing: after the last look.
        cells: places in ``rows.entries``.
    """
    rows, session = standing.rows, standing.session
    best = [
        min(rows.of_cell(place).values(), key=lambda row: session.rows.standard_error[row])
        for place in cells
    ]
    errors, dof = session.rows.standard_error[best], session.rows.dof[best]
    return detectable.noise_of(errors, dof, np.asarray(rows.counts)[best])


def promise(
    document: Mapping[str, Any], standing: Standing, cells: Sequence[int], pairs: int
) -> dict[str, Any]:
    """Return which slowdown of one of these cells the session will find by the end of its budget.

    Args:
        document: of the comparison.
        standing: after the last look.
        cells: places in ``rows.entries``; at least one.
        pairs: launch pairs that the budget has time for in all.

    Returns:
        The entry of ``document["promises"]``; see `schema.Promise`.
    """
    noise = noise_of(standing, cells)
    test = last_test(document, standing.rows, max(pairs, noise.pairs + 1))
    detected = detectable.detectable(noise, test, max(pairs, noise.pairs))
    needed = detectable.pairs_needed(WANTED, noise, test)
    return {
        "pairs": document["pairs"],
        "pairs_in_all": pairs,
        "cells": len(cells),
        "power": POWER,
        "slowdown": _finite(detected.slowdown),
        "low": _finite(detected.low),
        "high": _finite(detected.high),
        "pairs_for_3_percent": _finite(needed),
        "seconds_for_3_percent": None,
    }


def _finite(value: float) -> float | None:
    """Return the value, or None where it is infinite, which JSON cannot say."""
    return value if math.isfinite(value) else None


def has_changed(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> bool:
    """Return whether a promise differs so much from the one told before that it is told again."""
    if before is None or (before["slowdown"] is None) != (now["slowdown"] is None):
        return True
    if now["slowdown"] is None:
        return False
    low, high = before["low"] or 0.0, before["high"] or math.inf
    moved = abs(now["slowdown"] / before["slowdown"] - 1) > MOVED
    return bool(moved or not low <= now["slowdown"] <= high)


def suspicious(standing: Standing, bound: float) -> dict[str, list[Any]]:
    """Return what looks slower at the end and could not be told.

    That is what is undecided with an estimate beyond the margin and a 95 % interval above 1, in
    any metric.

    Args:
        standing: after the last look.
        bound: the margin as a log ratio.

    Returns:
        ``cells``, places in ``rows.entries``; and ``frameworks``, whose shared change it is.
    """
    rows, estimates = standing.rows, standing.session.rows
    slower = (estimates.log_ratio > bound) & (estimates.log_ratio > half_widths(estimates))

    def is_suspicious(verdict: str, places: Mapping[str, int]) -> bool:
        return verdict == INCONCLUSIVE and bool(slower[list(places.values())].any())

    return {
        "cells": [p for p, v in enumerate(standing.cells) if is_suspicious(v, rows.of_cell(p))],
        "frameworks": [
            name for name, v in standing.shared.items() if is_suspicious(v, rows.of_framework(name))
        ],
    }


def pairs_to_decide(document: Mapping[str, Any], standing: Standing, cell: int) -> float:
    """Return how many launch pairs a suspicious cell would need, were it as slow as it seems.

    Args:
        document: of the comparison.
        standing: after the last look.
        cell: its place in ``rows.entries``.
    """
    estimates = standing.session.rows
    rows = list(standing.rows.of_cell(cell).values())
    best = min(rows, key=lambda row: estimates.standard_error[row])
    slowdown = math.expm1(float(estimates.log_ratio[best]))
    settings = document["design"]
    design = design_of(settings, standing.rows.group_of)
    tests = len(standing.rows.group_of) + len(standing.rows.groups)
    test = LastTest(design.bound, design.levels.difference[-1] or design.alpha, tests)
    return detectable.pairs_needed(slowdown, noise_of(standing, [cell]), test)
