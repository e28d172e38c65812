"""Add up for how long workers did the work that a session is for.

Work is tracing, compiling, the first call, counting, warming up and measuring. The rest of the wall
time is the harness's own: starting workers, reading and comparing arrays, messages, saving.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import monotonic  # by its own name: a user's code may put another function into `time`

from benchmarks.harness.protocol.messages import Span


class BusyTimer:
    """Note when a worker begins and ends to work."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        """Note the begin and the end of a block of code, also where an exception ends it."""
        begin = monotonic()
        try:
            yield
        finally:
            self._spans.append((begin, monotonic()))

    def take_spans(self) -> list[Span]:
        """Return the spans (begin, end) noted since the last call, inner before outer blocks."""
        spans, self._spans = self._spans, []
        return spans


def seconds(spans: Iterable[Span]) -> float:
    """Return the length of the union of spans, in seconds.

    A moment at which several workers worked, or that lies in an inner and an outer block, counts
    once. Spans may come in any order: all processes of a machine share the monotonic clock.
    """
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
