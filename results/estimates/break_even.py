"""Compute after how many calls a compiled mode has made up for the time of compiling.

Break-even is computed from the records of one run and belongs to no single record: two cells that
differ in nothing but the mode are measured in different groups.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from results.records.record import AnyRecord, cell_fields
from results.records.schema import Estimate
from results.statistics.verdict import MARGIN

EAGER = "eager"
# Two reasons for which a page has a word of its own.
NEVER = "never: compiled is slower"
INDISTINGUISHABLE = "no difference that can be told from noise"


@dataclass(frozen=True)
class BreakEven:
    """Hold the break-even of a cell in a compiled mode with its eager twin.

    The eager twin is the cell that differs in nothing but the mode. ``calls`` is the smallest
    number of calls N, the first included, after which the compiled mode has taken no more time than
    the eager one:

        first + (N - 1) compiled <= N eager,  so  N = ceil((first - compiled) / (eager - compiled)),

    where ``first`` is the first call's seconds, tracing and compiling among them. ``low`` and
    ``high`` are the same at the ends of the two times' intervals. All three are None where
    ``missing`` says why.
    """

    record: AnyRecord
    eager: AnyRecord | None
    calls: int | None = None
    low: int | None = None
    high: int | None = None
    missing: str | None = None


def break_evens(records: Iterable[AnyRecord]) -> list[BreakEven]:
    """Return the break-even of each compiled cell with outcome ``ok``, in the order of the records.

    Args:
        records: those of one run, its eager cells among them.
    """
    records = list(records)
    eager = {_without_mode(record): record for record in records if record["mode"] == EAGER}
    compiled = [r for r in records if r["mode"] != EAGER and r["outcome"] == "ok"]
    return [break_even(record, eager.get(_without_mode(record))) for record in compiled]


def break_even(record: AnyRecord, eager: AnyRecord | None) -> BreakEven:
    """Return the break-even of a compiled cell with its eager twin, or why there is none.

    Args:
        record: the record of the compiled cell.
        eager: that of the cell that differs in the mode only; None where the run lacks it.
    """
    missing = _missing_times(record, eager) or _no_first_call(record)
    if missing is not None:
        return BreakEven(record, eager, missing=missing)
    assert eager is not None
    return _break_even(
        record, eager, eager["seconds"], record["seconds"], record["first_call_seconds"]
    )


def _break_even(
    record: AnyRecord, eager: AnyRecord, slow: Estimate, fast: Estimate, first: float
) -> BreakEven:
    """Return the break-even from the two times, or why there is none.

    The two intervals must lie apart, the compiled one below, and the times beyond a margin. This is
    stricter than a test of the difference: two times whose intervals touch may differ all the same.
    But the two were not measured interleaved, and a number of calls should not rest on noise.

    Args:
        slow: the time of a call in the eager mode.
        fast: the time of a call in the compiled mode.
        first: seconds of the first compiled call.
    """
    if fast["low"] is None or fast["high"] is None or slow["low"] is None or slow["high"] is None:
        few = f"no verdict without intervals; there were {fast['launches']} launches"
        return BreakEven(record, eager, missing=few)
    if fast["low"] > slow["high"]:
        return BreakEven(record, eager, missing=NEVER)
    near = fast["estimate"] > (1 - MARGIN) * slow["estimate"]
    if near or fast["high"] >= slow["low"]:
        return BreakEven(record, eager, missing=INDISTINGUISHABLE)
    return BreakEven(
        record,
        eager,
        calls=_calls(first, slow["estimate"], fast["estimate"]),
        low=_calls(first, slow["high"], fast["low"]),
        high=_calls(first, slow["low"], fast["high"]),
    )


def _calls(first: float, eager: float, compiled: float) -> int:
    """Return the break-even number of calls from three times in seconds; see `BreakEven`."""
    return max(1, math.ceil((first - compiled) / (eager - compiled)))


def _missing_times(record: AnyRecord, eager: AnyRecord | None) -> str | None:
    """Return why the eager or the compiled time is not known; None if both are."""
    if eager is None:
        return "its eager twin is not part of this run"
    if eager["outcome"] != "ok":
        return f"its eager twin has outcome {eager['outcome']}"
    for one in (record, eager):
        if one["seconds"] is None:
            return f"{one['mode']} has no time: {one['missing'].get('seconds', 'not measured')}"
    return None


def _no_first_call(record: AnyRecord) -> str | None:
    """Return why the cost of compiling is not known, or is not of this cell alone; else None."""
    first, missing = record["first_call_seconds"], record["missing"]
    trace, compiling = record["trace_seconds"], record["compile_seconds"]
    if first is None:
        return f"no first call: {missing.get('first_call_seconds', 'not measured')}"
    if trace is None or compiling is None:
        return f"no compile time: {missing.get('compile_seconds', 'not measured')}"
    if first < trace + compiling:  # phase `backward`: compiled together with its forward pass
        return "compiling serves the forward pass too, which this phase does not time"
    return None


def _without_mode(record: AnyRecord) -> tuple[str, ...]:
    """Return the fields that a cell shares with its eager twin: all but the mode."""
    return cell_fields(record, without=("mode",))
