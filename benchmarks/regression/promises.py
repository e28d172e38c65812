"""Say during a comparison which slowdown the rest of its budget will find, from its own noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from benchmarks.regression import plan
from results.regression import outlook
from results.regression.scheduling import Standing


class Promises:
    """Keep the promises of a comparison in its document; print each that differs from the last.

    Args:
        document: of the comparison.
        warn: called with a line that the user must read.
    """

    def __init__(self, document: dict[str, Any], warn: Callable[[str], None]) -> None:
        self.document, self._warn = document, warn
        self._announced: Mapping[str, Any] | None = None

    def announce(
        self, standing: Standing, cells: Sequence[int], seconds_left: float, pair_seconds: float
    ) -> None:
        """Add a promise, and print it if it differs from the last that was printed.

        The first is on all cells, as any may have got slower; the others on those still undecided.

        Args:
            standing: after the look that was just taken.
            cells: that are undecided, as places in its rows.
            seconds_left: of the budget, or of the time for confirming after it.
            pair_seconds: that the next launch pair will take.
        """
        if not cells:
            return
        pairs = self.document["pairs"] + plan.pairs_within(seconds_left, max(pair_seconds, 1e-9))
        of = cells if self.document.get("promises") else range(len(standing.rows.entries))
        promise = outlook.promise(self.document, standing, of, pairs)
        needed = promise["pairs_for_3_percent"]
        if needed is not None:
            further = max(0.0, needed - self.document["pairs"]) * pair_seconds
            promise["seconds_for_3_percent"] = max(0.0, self._given() - seconds_left) + further
        self.document["promises"] = [*self.document.get("promises", []), promise]
        if outlook.has_changed(self._announced, promise):
            self._announced = promise
            self._warn(sentence(promise, self.document["budget_seconds"]))

    def _given(self) -> float:
        """Return the seconds that end where those left do: the budget, then with confirming."""
        document = self.document
        confirming = document["confirm_seconds"] if "confirming" in document else 0.0
        return float(document["budget_seconds"] + confirming)


def sentence(promise: Mapping[str, Any], budget: float) -> str:
    """Return a promise in words.

    Args:
        promise: an entry of ``document["promises"]``.
        budget: of the session, in seconds.
    """
    scope = "one cell" if promise["cells"] == 1 else f"any one of {promise['cells']} cells"
    start = f"after {promise['pairs']} launch pairs: with about {promise['pairs_in_all']} in all, "
    if promise["slowdown"] is None:
        return f"{start}no slowdown of {scope} could be found; give a larger --budget"
    slowdown, low, high = (_percent(promise[key]) for key in ("slowdown", "low", "high"))
    words = f"{start}4 of 5 slowdowns by {slowdown} % ({low} to {high}) of {scope} are found"
    needed = promise["seconds_for_3_percent"]
    if promise["slowdown"] <= outlook.WANTED:
        return words
    if needed is None:
        return f"{words}; +3 % cannot be seen here with any budget"
    minutes = max(math.ceil(needed / 60), math.ceil(budget / 60) + 1)
    return f"{words}; for +3 %: --budget {minutes}m"


def _percent(value: float | None) -> str:
    """Return a relative slowdown in percent; ``any`` for one that is not known to be finite."""
    return "any" if value is None else f"{100 * value:.1f}"
