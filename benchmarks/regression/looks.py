"""Choose and take the looks of a comparison: the interim analyses that may end it early.

Each function reads and updates ``document["design"]``: ``looks`` are the planned ones, ``taken``
those made so far, both as numbers of launch pairs. See `results.statistics.launch_pairs` for the
test that is made at a look.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.regression import plan
from results.regression.document import undecided


def choose_looks(
    document: dict[str, Any],
    seconds_left: float,
    pair_seconds: float,
    warn: Callable[[str], None],
) -> None:
    """Plan the looks that the rest of the budget has time for; warn if it has time for none.

    This happens before any ratio is seen, and depends on how long a launch pair takes alone: looks
    chosen by the results would raise the rate of false alarms.

    Args:
        document: of the comparison; its planned looks are set.
        seconds_left: rest of the budget.
        pair_seconds: that a launch pair takes.
        warn: called with a line that the user must read.
    """
    total = document["pairs"] + plan.pairs_within(seconds_left, pair_seconds)
    looks = plan.looks_within(total)
    if not looks:
        warn(
            f"a launch pair takes {pair_seconds:.0f} s here: the budget has time for about {total} "
            f"of them, and the first verdict takes {plan.LOOKS[0]}; give a larger --budget, or "
            "select fewer cells"
        )
    document["design"]["looks"] = list(looks or plan.LOOKS[:1])


def look_decides(document: dict[str, Any]) -> bool:
    """Take the look that is due after this launch pair, if one is.

    Returns:
        Whether a look was taken and decides every cell, so that measuring can end.
    """
    design = document["design"]
    if document["pairs"] not in design["looks"]:
        return False
    design["taken"] = [*design["taken"], document["pairs"]]
    return not undecided(document)


def take_last_look(document: dict[str, Any]) -> None:
    """Take the next look early if the session ended between two looks.

    Only a session that took a look before can do so: the first look is never early.

    Args:
        document: of the comparison; the number of launch pairs is added to the looks taken.
    """
    design, pairs = document["design"], document["pairs"]
    design["looks"] = design["looks"] or list(plan.LOOKS[:1])
    further = [look for look in design["looks"] if look > max(design["taken"], default=0)]
    if design["taken"] and further and pairs > design["taken"][-1]:
        design["taken"] = [*design["taken"], pairs]
