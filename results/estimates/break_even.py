"""After how many calls a compiled mode has paid for being compiled, against the eager mode.

A figure of its own, made from a run's records: two cells that differ in nothing but the mode are
measured in different groups, so it belongs to neither of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from results.records.record import CELL_FIELDS, Record

EAGER = "eager"
MARGIN = 0.01  # of a time: what is nearer than this is called equal
# two reasons of which a reader asks for the word
NEVER = "never: compiled is slower"
NOT_TOLD = "no difference that can be told from noise"


@dataclass(frozen=True)
class Payback:
    """A cell in a compiled mode beside its eager twin.

    ``calls`` is the smallest number of calls N, the first included, after which the compiled mode
    has taken no more time than the eager one:

        first + (N - 1) compiled <= N eager,  so  N = ceil((first - compiled) / (eager - compiled)),

    where ``first`` is the first call's seconds, tracing and compiling among them. ``low`` and
    ``high`` are the same at the ends of the two times' intervals. All three are None where
    ``missing`` says why.
    """

    record: Record
    eager: Record | None
    calls: int | None = None
    low: int | None = None
    high: int | None = None
    missing: str | None = None


def paybacks(records: Iterable[Record]) -> list[Payback]:
    """One for each ``ok`` cell that is not eager, in the order of the records."""
    records = list(records)
    eager = {_twin(record): record for record in records if record["mode"] == EAGER}
    compiled = [r for r in records if r["mode"] != EAGER and r["outcome"] == "ok"]
    return [payback(record, eager.get(_twin(record))) for record in compiled]


def payback(record: Record, eager: Record | None) -> Payback:
    """When this cell pays for being compiled, against its eager twin, or why that is not known."""
    why = _reason(record, eager)
    if why is not None:
        return Payback(record, eager, missing=why)
    assert eager is not None
    slow, fast, first = eager["seconds"], record["seconds"], record["first_call_seconds"]
    return Payback(
        record,
        eager,
        calls=_calls(first, slow["estimate"], fast["estimate"]),
        low=_calls(first, slow["high"], fast["low"]),
        high=_calls(first, slow["low"], fast["high"]),
    )


def _calls(first: float, eager: float, compiled: float) -> int:
    return max(1, math.ceil((first - compiled) / (eager - compiled)))


def _reason(record: Record, eager: Record | None) -> str | None:
    """Why there is no number of calls; None if there is one."""
    if eager is None:
        return "its eager twin is not part of this run"
    if eager["outcome"] != "ok":
        return f"its eager twin has outcome {eager['outcome']}"
    for one in (record, eager):
        if one["seconds"] is None:
            return f"{one['mode']} has no time: {one['missing'].get('seconds', 'not measured')}"
    return _no_first_call(record) or _not_faster(record["seconds"], eager["seconds"])


def _no_first_call(record: Record) -> str | None:
    first = record["first_call_seconds"]
    if first is None:
        return f"no first call: {record['missing'].get('first_call_seconds', 'not measured')}"
    parts = [record["trace_seconds"], record["compile_seconds"]]
    if None in parts:
        return f"no compile time: {record['missing'].get('compile_seconds', 'not measured')}"
    if first < sum(parts):  # phase `backward` of a graph that is compiled with its forward pass
        return "compiling serves the forward pass too, which this phase does not time"
    return None


def _not_faster(compiled: Mapping[str, Any], eager: Mapping[str, Any]) -> str | None:
    """The two intervals must lie apart, the compiled one below, and the times beyond a margin.

    Stricter than a test of the difference: two times whose intervals touch may differ all the
    same. But the two were not measured interleaved, and a payback is no place for a guess.
    """
    if None in (compiled["low"], compiled["high"], eager["low"], eager["high"]):
        return f"no verdict without intervals; there were {compiled['launches']} launches"
    if compiled["low"] > eager["high"]:
        return NEVER
    near = compiled["estimate"] > (1 - MARGIN) * eager["estimate"]
    if near or compiled["high"] >= eager["low"]:
        return NOT_TOLD
    return None


def _twin(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What a cell and its eager twin have in common."""
    return tuple(record[name] for name in CELL_FIELDS if name != "mode")
