"""Say what it would take to tell what a comparison could not tell, in one line."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from results.regression.decision import WALL
from results.regression.document import DISTURBED, Analysis, Ratio
from results.statistics.verdict import INCONCLUSIVE

TOO_MANY = 1000  # launch pairs that nobody waits for


def what_is_needed(document: Mapping[str, Any], analysis: Analysis) -> str | None:
    """Return a sentence on the cells that were not told: how many, and what would tell them.

    An interval narrows with the square root of the launch pairs. It must fit between the estimate
    and the margin, on whichever side of it the estimate is; decisions demand more than the 95 %
    interval shown, so that the number of launch pairs is the least that can do.

    Args:
        document: of the comparison.
        analysis: its conclusions.

    Returns:
        None where every cell was told.
    """
    open_cells = [one for one in analysis.findings if one.verdict == INCONCLUSIVE]
    shared = [one for one in analysis.shifts if one.verdict == INCONCLUSIVE]
    if not open_cells and not shared:
        return None
    head = f"{len(open_cells)} of {len(analysis.findings)} cells not told"
    if not open_cells:
        head = f"what all {' and all '.join(one.framework for one in shared)} cells share not told"
    if "design" not in document:  # two saved runs
        return f"{head}: compare both versions in one session, `cascade-bench regress BASE`"
    if not analysis.pairs:
        return f"{head}: no verdict before {_first_look(document)} launch pairs; a longer --budget"
    if any(one.why == DISTURBED for one in open_cells):
        return f"{head}: base against base differed too, so a quieter machine, at another time"
    ratios = [one.ratios.get(WALL) for one in open_cells]
    ratios += [one.ratios.get(WALL) for one in shared]
    pairs = max(_pairs(ratio, document, analysis.pairs) for ratio in ratios)
    if not pairs:
        return f"{head}: they were not measured; a longer --budget"
    if pairs > TOO_MANY:
        return f"{head}: too near to the margin to be told, whatever the budget"
    more = f"{pairs} launch pairs or more instead of {analysis.pairs}"
    return f"{head}: {more}{_budget(document, pairs)}"


def _pairs(ratio: Ratio | None, document: Mapping[str, Any], measured: int) -> int:
    """Return how many launch pairs would narrow an interval enough; 0 without an interval."""
    if ratio is None or math.isinf(ratio.high):
        return 0
    margin = math.log1p(document["design"]["margin"])
    half = (math.log(ratio.high) - math.log(ratio.low)) / 2
    room = abs(margin - abs(math.log(ratio.estimate)))
    if room <= half / math.sqrt(TOO_MANY / measured):
        return TOO_MANY + 1
    return max(measured + 1, math.ceil(measured * (half / room) ** 2))


def _budget(document: Mapping[str, Any], pairs: int) -> str:
    """Return how long so many launch pairs take, as an option; nothing where that is not known."""
    if not document.get("finished") or not document["pairs"]:
        return ""
    began, ended = (datetime.fromisoformat(document[k]) for k in ("started", "finished"))
    minutes = (ended - began).total_seconds() / 60 / document["pairs"] * pairs
    longer = max(minutes, document["budget_seconds"] / 60 * pairs / document["pairs"])
    return f", such as --budget {math.ceil(longer)}m, or a quieter machine"


def _first_look(document: Mapping[str, Any]) -> int:
    """Return after how many launch pairs there is a first verdict."""
    looks = document["design"]["looks"]
    return looks[0] if looks else 10
