"""Read which operations took how long from the trace that a framework's profiler has written.

Both frameworks write Chrome's trace format: a list of events, each with a thread, a beginning and a
duration in microseconds. The wall time of each call is divided among the operations that run: at
each moment evenly among the threads that are inside one, on each thread to the innermost. What is
left is idle: nothing ran but the interpreter, the dispatch of the next operation, or a wait.
"""

from __future__ import annotations

import gzip
import itertools
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

CALL = "cascade-bench call"  # as in `profiling.CALL` of both implementations
DEVICE_WORK = ("kernel", "gpu_memcpy", "gpu_memset")  # torch's categories of what a GPU runs
MICROSECOND = 1e-6

Thread = tuple[Any, Any]  # process and thread


class TraceError(ValueError):
    """A trace that cannot be read; the message is one line."""


class OperationTime(TypedDict):
    """One operation of a call."""

    name: str  # with the shapes of its arguments (torch) or without the number that XLA gave it
    count: float  # how often a call runs it
    seconds: float  # of wall time in a call


class TracedCalls(TypedDict):
    """What the calls in a trace consisted of, on the average of one."""

    calls: int  # of the trace, that were averaged
    seconds: float  # wall time, under the profiler
    idle: float  # seconds in which no operation ran
    operations: list[OperationTime]  # the longest first


class Span(NamedTuple):
    """An event that counts as an operation, in microseconds."""

    begin: float
    end: float
    name: str
    thread: Thread


def read(path: Path, framework: str) -> TracedCalls:
    """Read a trace file and return what its calls consisted of.

    Args:
        path: ``.json.gz`` file in Chrome's trace format.
        framework: ``torch`` or ``jax``, which mark their operations differently.

    Raises:
        TraceError: it is no such file, or it has no call.
    """
    try:
        with gzip.open(path) as file:
            events = [one for one in json.load(file)["traceEvents"] if one.get("ph") == "X"]
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TraceError(f"{path} is no trace of a profiler ({type(error).__name__})") from error
    return summarise(events, framework)


def summarise(events: Sequence[Mapping[str, Any]], framework: str) -> TracedCalls:
    """Return what the calls in these events consisted of, on the average of the faster half.

    In the slower half something else may have had the processor, which would pass for idle time.

    Raises:
        TraceError: there is no call among them.
    """
    calls = _calls(events)
    device_work = [one for one in events if one.get("cat") in DEVICE_WORK]
    if not calls:
        raise TraceError("the profiler has recorded no call: its trace is empty or was cut off")
    calls = sorted(dict.fromkeys(calls), key=lambda call: call[1] - call[0])
    calls = calls[: math.ceil(len(calls) / 2)]
    operations = _operations(device_work or events, framework)
    inside = [span for span in operations if _call_of(span, calls) is not None]
    seconds: dict[str, float] = defaultdict(float)
    idle = 0.0
    for begin, end in calls:
        own = [span for span in inside if span.begin < end and span.end > begin]
        idle += _divide(own, begin, end, seconds)
    counts = Counter(span.name for span in inside)
    each = MICROSECOND / len(calls)
    return {
        "calls": len(calls),
        "seconds": sum(end - begin for begin, end in calls) * each,
        "idle": idle * each,
        "operations": [
            {"name": name, "count": counts[name] / len(calls), "seconds": taken * each}
            for name, taken in sorted(seconds.items(), key=lambda one: -one[1])
        ],
    }


def _calls(events: Iterable[Mapping[str, Any]]) -> list[tuple[float, float]]:
    """Return beginning and end of each call, as the host marked them, in microseconds.

    torch marks them on a GPU too, from the first kernel to the last.
    """
    marks = [one for one in events if one.get("name") == CALL]
    of_the_host = [one for one in marks if one.get("cat", "user_annotation") == "user_annotation"]
    return [(float(one["ts"]), float(one["ts"]) + float(one["dur"])) for one in of_the_host]


def _operations(events: Iterable[Mapping[str, Any]], framework: str) -> list[Span]:
    """Return the events that are operations of a framework."""
    named = _torch_name if framework == "torch" else _jax_name
    spans = []
    for event in events:
        if name := named(event):
            begin = float(event["ts"])
            thread = event.get("pid"), event.get("tid")
            spans.append(Span(begin, begin + float(event["dur"]), name, thread))
    return spans


def _torch_name(event: Mapping[str, Any]) -> str | None:
    """Return the name of an operation in torch with its shapes; None for any other event."""
    name = str(event["name"])
    if event.get("cat") in DEVICE_WORK:
        return name
    if event.get("cat") != "cpu_op":
        return None
    if name.startswith("autograd::engine") or "Backward0" in name or "AccumulateGrad" in name:
        return "autograd engine"
    shapes = [shape for shape in event.get("args", {}).get("Input Dims", []) if shape]
    text = ", ".join("×".join(map(str, shape)) for shape in shapes if _is_shape(shape))
    return f"{name.removeprefix('aten::')} {text}".rstrip()


def _is_shape(shape: Any) -> bool:
    """Return whether the shape is that of one tensor: a list of tensors has a list of shapes."""
    return isinstance(shape, list) and not any(isinstance(part, list) for part in shape)


def _jax_name(event: Mapping[str, Any]) -> str | None:
    """Return the name of an HLO operation without its number; None for any other event."""
    name = event.get("args", {}).get("hlo_op")
    return re.sub(r"(\.(\d+|clone|remat\d*))+$", "", str(name)) if name else None


def _call_of(span: Span, calls: Sequence[tuple[float, float]]) -> int | None:
    """Return the place of the call that a span begins in; None where it is outside of all."""
    return next((i for i, (begin, end) in enumerate(calls) if begin <= span.begin < end), None)


def _divide(spans: Sequence[Span], begin: float, end: float, seconds: dict[str, float]) -> float:
    """Divide the time from ``begin`` to ``end`` among the spans that run in it.

    Args:
        spans: that overlap this time.
        begin, end: of a call.
        seconds: name → time, to which the shares are added.

    Returns:
        The time in which none ran.
    """
    marks = sorted({begin, end, *(_clipped(t, begin, end) for s in spans for t in s[:2])})
    starting: dict[float, list[Span]] = defaultdict(list)
    ending: dict[float, list[Span]] = defaultdict(list)
    for span in spans:
        starting[_clipped(span.begin, begin, end)].append(span)
        ending[_clipped(span.end, begin, end)].append(span)
    running: dict[Thread, list[Span]] = defaultdict(list)
    idle = 0.0
    for now, following in itertools.pairwise(marks):
        for span in ending[now]:
            if span in running[span.thread]:
                running[span.thread].remove(span)
        for span in sorted(starting[now], key=lambda one: -one.end):
            if _clipped(span.end, begin, end) > now:
                running[span.thread].append(span)
        innermost = [stack[-1].name for stack in running.values() if stack]
        for name in innermost:
            seconds[name] += (following - now) / len(innermost)
        idle += 0.0 if innermost else following - now
    return idle


def _clipped(time: float, begin: float, end: float) -> float:
    """Return a time, or the end of the call that it is beyond."""
    return min(max(time, begin), end) if math.isfinite(time) else begin
