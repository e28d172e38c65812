"""Find the figures of a comparison by name: a row of a way in a phase, and what it holds."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

USUAL_PHASE = {"backward": "backward", "freeze": "step"}

Row = Mapping[str, Any]  # of a comparison's document: the figures of a way in a phase


@dataclass(frozen=True)
class Interval:
    """Hold an estimate with its interval; times are in seconds.

    With too few processes launched there is no interval: ``low`` is then 0 and ``high`` infinite,
    so that ``low > 1.1`` or ``high < 2`` fails and does not pass by accident.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio(Interval):
    """Hold the time of a way divided by that of its baseline, with its interval.

    Attributes:
        baseline: the way at ratio 1, such as ``summed``.
        verdict: ``slower``, ``faster``, ``equal`` or ``not told``.
        confidence: how often an interval made so holds the true ratio, such as 0.95.
        launches: processes that both ways were timed in.
    """

    baseline: str
    verdict: str
    confidence: float
    launches: int


def find_row(
    rows: Sequence[Row], way: str, phase: str | None = None, framework: str | None = None
) -> Row:
    """Return the row of a way.

    Args:
        rows: one for each framework, way and phase.
        way: a strategy or a recipe.
        phase: None for the usual one of its kind; where that was not measured, the first that was.
        framework: None where one was measured.

    Raises:
        ValueError: there is no such row, or there are several; the text says what there is.
    """
    of_framework = [row for row in rows if framework in (None, row["framework"])]
    if not of_framework:
        raise ValueError(
            f"nothing was measured of {framework or 'this case'}: print the result to see why; "
            "where time was short, give a larger budget, such as budget=120"
        )
    of_way = _rows_of_way(of_framework, way)
    frameworks = list(dict.fromkeys(row["framework"] for row in of_way))
    if len(frameworks) > 1:
        raise ValueError(f"{way!r} was measured in {' and '.join(frameworks)}; give framework=")
    phases = {row["phase"]: row for row in of_way}
    if phase is None:
        return usual_row(phases, of_way[0]["kind"])
    if phase not in phases:
        raise ValueError(f"{way!r} has no phase {phase!r}; measured: {', '.join(phases)}")
    return phases[phase]


def _rows_of_way(rows: Sequence[Row], way: str) -> list[Row]:
    """Return the rows of a way; raise `ValueError`, with the nearest name, where there is none."""
    ways = list(dict.fromkeys(row["way"] for row in rows))
    if way not in ways:
        near = difflib.get_close_matches(way, ways, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"measured: {', '.join(ways)}"
        raise ValueError(f"{way!r} was not measured; {hint}")
    return [row for row in rows if row["way"] == way]


def usual_row(phases: Mapping[str, Row], kind: str) -> Row:
    """Return the row of the usual phase of a kind; the first row where that was not measured.

    Args:
        phases: phase → its row, of one way.
        kind: ``backward`` or ``freeze``.
    """
    return phases.get(USUAL_PHASE.get(kind, ""), next(iter(phases.values())))


def find_pair_row(pair: Mapping[str, Any] | None, way: str, phase: str | None) -> Row:
    """Return the row of a way that was timed in both frameworks.

    Args:
        pair: how the two frameworks of a file compare; None where one was measured.
        way: its name in torch.
        phase: as in `find_row`.

    Raises:
        ValueError: there is no such row; the text says why.
    """
    if pair is None or pair["problem"]:
        why = pair["problem"] if pair else "one framework was measured"
        raise ValueError(f"JAX cannot be compared with torch: {why}")
    phases = {row["phase"]: row for row in pair["rows"] if row["way"] == way}
    if not phases or phase not in (None, *phases):
        timed = [f"{row['way']} in phase {row['phase']}" for row in pair["rows"]]
        asked = f"{way!r}" + (f" in phase {phase!r}" if phase else "")
        listed = ", ".join(timed) or "nothing"
        raise ValueError(f"{asked} was not timed in both frameworks; timed in both: {listed}")
    return phases[phase] if phase else usual_row(phases, next(iter(phases.values()))["kind"])


def figure_of(row: Row, name: str) -> Mapping[str, Any]:
    """Return a figure of a row, such as its ``ratio``.

    Raises:
        ValueError: the row has none; the text says what became of it.
    """
    if row.get(name) is None:
        reasons = [row.get("outcome"), row.get("equivalence"), row.get("why")]
        because = ": ".join(str(one) for one in reasons if one not in (None, "", "ok", "pass"))
        if name == "ratio" and row.get("way") == row.get("baseline"):
            because = because or "it is the baseline that the others are compared with"
        because = because or f"{row.get('baseline')!r}, the baseline, was not measured"
        raise ValueError(f"{row['way']!r} in phase {row['phase']} has no {name}: {because}")
    figure: Mapping[str, Any] = row[name]
    return figure


def interval_of(figure: Mapping[str, Any]) -> Interval:
    """Return an estimate with its interval, from a figure of a row."""
    return Interval(**_bounds(figure))


def ratio_of(figure: Mapping[str, Any], baseline: str, verdict: str) -> Ratio:
    """Return a ratio with its interval, from a figure of a row.

    Args:
        figure: the ratio, with its ``confidence`` and ``launches``.
        baseline: the way at ratio 1.
        verdict: of the row.
    """
    return Ratio(
        **_bounds(figure),
        baseline=baseline,
        verdict=verdict,
        confidence=figure["confidence"],
        launches=figure["launches"],
    )


def _bounds(figure: Mapping[str, Any]) -> dict[str, float]:
    """Return estimate, low and high of a figure; bounds that it lacks are the widest there are."""
    low, high = figure.get("low"), figure.get("high")
    return {
        "estimate": figure["estimate"],
        "low": 0.0 if low is None else low,
        "high": math.inf if high is None else high,
    }
