"""Split the difference between a cell and its baseline among the operations of both.

A comparison predicts a ratio from counted FLOPs. What the cell takes beyond that, or less, is
split: an operation, or idle time, contributes what it takes in the cell, less what it takes in the
baseline times the predicted ratio. These contributions add up to the whole gap exactly.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

IDLE = "idle: no operation ran"


@dataclass(frozen=True)
class Row:
    """What an operation takes in the cell and in its baseline.

    Attributes:
        name: of the operation, or `IDLE`.
        counts: how often a call of the cell, and one of the baseline, runs it.
        seconds: of a call of either.
        beyond: seconds by which it makes the cell slower than predicted; below 0: faster.
    """

    name: str
    counts: tuple[float, float]
    seconds: tuple[float, float]
    beyond: float


@dataclass(frozen=True)
class Explanation:
    """What a cell takes beside its baseline, and what makes the difference to the prediction.

    Attributes:
        predicted: ratio to the baseline by counted FLOPs; None where they cannot be counted, and
            then the gap is the whole difference to the baseline.
        measured: ratio to the baseline under the profiler.
        gap: seconds by which a call of the cell is slower than predicted.
        rows: the operations and the idle time, the largest contribution to the gap first.
    """

    predicted: float | None
    measured: float
    gap: float
    rows: tuple[Row, ...]


def explain(document: Mapping[str, Any]) -> Explanation:
    """Return what makes the difference between a cell and its baseline.

    Args:
        document: ``strategy`` and ``baseline``, each with ``flops`` (or None) and ``traced``:
            ``seconds``, ``idle`` and ``operations`` of a call.
    """
    sides = document["strategy"], document["baseline"]
    flops, traced = [one["flops"] for one in sides], [one["traced"] for one in sides]
    predicted = flops[0] / flops[1] if flops[0] is not None and flops[1] else None
    factor = 1.0 if predicted is None else predicted
    named = [{one["name"]: one for one in each["operations"]} for each in traced]
    nothing = {"count": 0.0, "seconds": 0.0}
    rows = [
        _row(name, [own.get(name, nothing) for own in named], factor)
        for name in dict.fromkeys([*named[0], *named[1]])
    ]
    rows.append(_row(IDLE, [{"count": 0.0, "seconds": one["idle"]} for one in traced], factor))
    return Explanation(
        predicted,
        traced[0]["seconds"] / traced[1]["seconds"],
        traced[0]["seconds"] - factor * traced[1]["seconds"],
        tuple(sorted(rows, key=lambda row: -abs(row.beyond))),
    )


def _row(name: str, both: list[Mapping[str, float]], factor: float) -> Row:
    """Return the row of an operation of cell and baseline."""
    counts, seconds = ((both[0][key], both[1][key]) for key in ("count", "seconds"))
    return Row(name, counts, seconds, seconds[0] - factor * seconds[1])
