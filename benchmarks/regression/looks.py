"""Take the looks of a comparison: the interim analyses that may end it early, and the last one.

Each function reads and updates ``document["design"]``: ``taken`` are the looks made so far, as
numbers of launch pairs, and ``shares`` the share of the session's time that had passed at each.
What level a look has follows from these; see `results.statistics.look_levels`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from benchmarks.regression import plan


def next_look(document: dict[str, Any]) -> int:
    """Return after how many launch pairs the next look is, if the budget lasts until then.

    That depends on nothing measured: looks chosen by the results would raise the rate of false
    alarms.
    """
    taken = document["design"]["taken"]
    return math.ceil(plan.LOOK_GROWTH * taken[-1]) if taken else plan.FIRST_LOOK


def seconds_to_first(pairs: int, seconds_left: float) -> float:
    """Return how long a launch pair may take for the first look to be reached; infinite after it.

    A pair more than there must be is counted, as pairs differ in how long they take.

    Args:
        pairs: launch pairs measured.
        seconds_left: of the budget.
    """
    missing = plan.FIRST_LOOK - pairs
    return seconds_left / (missing + 1) if missing > 0 else math.inf


def warn_of_no_verdict(
    pairs: int, seconds_left: float, pair_seconds: float, warn: Callable[[str], None]
) -> None:
    """Warn if the budget ends before the first verdict.

    Args:
        pairs: launch pairs measured.
        seconds_left: of the budget.
        pair_seconds: that a launch pair takes.
        warn: called with a line that the user must read.
    """
    total = pairs + plan.pairs_within(seconds_left, pair_seconds)
    if total < plan.FIRST_LOOK:
        warn(
            f"a launch pair takes {pair_seconds:.0f} s here: the budget has time for about {total} "
            f"of them, and the first verdict takes {plan.FIRST_LOOK}; give a larger --budget, or "
            "select fewer cells"
        )


def take_due_look(document: dict[str, Any], share: float) -> bool:
    """Take the look that is due after this launch pair, if one is; return whether one was.

    Args:
        document: of the comparison.
        share: of the session's time that has passed.
    """
    if document["pairs"] < next_look(document):
        return False
    _take(document, share)
    return True


def take_last_look(document: dict[str, Any], share: float) -> bool:
    """Take a look where the budget ends; return whether there is a verdict.

    A look after the same launch pair is made the last one: it may use up what the share allows.
    Before the launch pairs of the first look there is no verdict.

    Args:
        document: of the comparison.
        share: of the session's time that has passed: 1 where nothing follows.
    """
    design, pairs = document["design"], document["pairs"]
    if pairs < plan.FIRST_LOOK:
        return False
    if design["taken"] and design["taken"][-1] == pairs:
        design["shares"] = [*design["shares"][:-1], max(share, design["shares"][-1])]
    else:
        _take(document, share)
    return True


def _take(document: dict[str, Any], share: float) -> None:
    """Add a look after the launch pairs measured so far."""
    design = document["design"]
    least = design["shares"][-1] if design["shares"] else 1e-6
    design["taken"] = [*design["taken"], document["pairs"]]
    design["shares"] = [*design["shares"], min(1.0, max(share, least))]
