"""How long workers were at the work that a session is for: the spans that they note, added up.

Work is tracing, compiling, the first call, counting, warming up, measuring. The rest of the wall
time is the harness's own: starting workers, reading and comparing arrays, speaking, saving.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

Span = tuple[float, float]  # begin and end, by the clock that all processes of a machine share


class BusyTimer:
    """What a worker has noted of its work since it last told."""

    def __init__(self) -> None:
        self._spans: list[Span] = []

    @contextmanager
    def working(self) -> Iterator[None]:
        """Note when this begins and ends, however it ends; one inside another counts once."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self._spans.append((begin, time.monotonic()))

    def told(self) -> list[Span]:
        """What was noted since this was last asked for."""
        spans, self._spans = self._spans, []
        return spans


def seconds(spans: Iterable[Span]) -> float:
    """The length of the union: what lies in several spans, of one worker or of two, counts once."""
    total, reached = 0.0, float("-inf")
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, reached))
        reached = max(reached, end)
    return total
