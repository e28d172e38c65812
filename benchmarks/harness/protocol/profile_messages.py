"""Declare the messages that say what a cell does, apart from how long it takes."""

from __future__ import annotations

from typing import TypedDict

from benchmarks.harness.protocol.count_messages import CountedWork
from benchmarks.harness.protocol.messages import CellName


class Footprint(CountedWork):
    """What one call of a cell does and holds, counted and not timed, and what compiling it took."""

    # torch: operation → how often one call dispatches it; JAX: HLO opcode → instructions of the
    # optimised program; null where it is not compiled whole
    operations: dict[str, int] | None  # by name
    held_bytes: int | None  # torch: most that tensors made by the call hold; JAX: by XLA's plan
    aliased_bytes: int | None  # JAX: of arguments that outputs overwrite; null where not known
    trace_seconds: float | None  # null where tracing is not timed apart
    compile_seconds: float | None  # null where compiling is not timed apart


class ProfileRequest(CellName):
    """The cell to profile, and the file for the trace."""

    calls: int  # under the profiler
    trace: str  # .json.gz to write, in Chrome's trace format; each call is an event `CALL`


class ProfiledCalls(TypedDict):
    """How long calls take without the profiler, beside which those of the trace are slower."""

    seconds: float  # median of single calls, without the profiler
    calls: int  # in the trace
