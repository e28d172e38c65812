"""Name what looks slower at the end of a comparison and was not told, and what would decide it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from results.regression import outlook, scheduling
from results.regression.document import Finding


def suspects_of(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what looks slower and could not be told, the slowest first.

    Args:
        document: of the comparison; one of two stored runs has none.

    Returns:
        For each the ``name`` of the cell, or of the framework whose cells share the change; the
        ``slowdown`` that it seems to have; ``pairs``, after how many launch pairs 4 of 5 such
        slowdowns are told, and ``budget_seconds`` for them, both None where no number suffices or
        where it is what all cells of a framework share.
    """
    if "cells" not in document:
        return []
    standing = scheduling.standing_of(document)
    if standing is None:
        return []
    chosen = outlook.suspicious(standing, math.log1p(document["design"]["margin"]))
    suspects = []
    for place in chosen["cells"]:
        pairs = outlook.pairs_to_decide(document, standing, place)
        cell = standing.rows.entries[place]["cell"]
        suspects.append(
            {
                "name": Finding(cell, "", "", {}, None, None).name,
                "slowdown": _slowdown(standing, standing.rows.of_cell(place)),
                "pairs": int(pairs) if math.isfinite(pairs) else None,
                "budget_seconds": _budget(document, pairs),
            }
        )
    for framework in chosen["frameworks"]:
        places = standing.rows.of_framework(framework)
        suspects.append(
            {
                "name": f"all {framework} cells together",
                "slowdown": _slowdown(standing, places),
                "pairs": None,
                "budget_seconds": None,
            }
        )
    return sorted(suspects, key=lambda one: -one["slowdown"])


def _slowdown(standing: scheduling.Standing, places: Mapping[str, int]) -> float:
    """Return the largest slowdown of these rows; 0.03 is 3 %."""
    logs = standing.session.rows.log_ratio
    return math.expm1(max(float(logs[row]) for row in places.values()))


def _budget(document: Mapping[str, Any], pairs: float) -> float | None:
    """Return the seconds that a comparison of so many launch pairs takes here, or None.

    They are those that this one took, with pairs as long as its last ones for what is missing.
    """
    seconds = document.get("pair_seconds")
    if not seconds or not math.isfinite(pairs):
        return None
    last = seconds[-3:]
    further = max(0.0, pairs - document["pairs"]) * sum(last) / len(last)
    spent = document["budget_seconds"] + float(document.get("confirm_seconds") or 0.0)
    return spent + further


def suspect_text(suspect: Mapping[str, Any], budget: float) -> str:
    """Return in a line what looks slower, and which budget would decide it.

    Args:
        suspect: as of `suspects_of`.
        budget: of the comparison, in seconds.
    """
    start = f"looks slower, not told: {suspect['name']} {100 * suspect['slowdown']:+.1f} %"
    if suspect["budget_seconds"] is None:
        return f"{start}; a larger --budget, or --confirm 3m, goes on with it"
    minutes = max(math.ceil(suspect["budget_seconds"] / 60), math.ceil(budget / 60) + 1)
    return (
        f"{start}; were it so, {suspect['pairs']} launch pairs would tell in 4 of 5 cases: "
        f"--budget {minutes}m, or --confirm {max(1, minutes - math.ceil(budget / 60))}m, which "
        "goes on with this alone"
    )


def time_text(document: Mapping[str, Any]) -> str | None:
    """Return in a line what the seconds of the comparison went to; None where it is not known."""
    parts = document.get("seconds_by_part")
    whole = sum(parts.values()) if parts else 0.0
    if not parts or not whole:
        return None
    shares = ", ".join(
        f"{name} {100 * seconds / whole:.0f} %" for name, seconds in parts.items() if seconds
    )
    return f"time: {whole:.0f} s: {shares}"
