"""Keep account of what the seconds of launch pairs go to, and foresee how long the next takes."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.harness.protocol import busy_time
from benchmarks.harness.protocol.messages import Span

# What the seconds of a session go to. Starting includes the imports of the frameworks; building is
# tracing and compiling, in the workers; checking is the rest of a cell's preparation: arrays read,
# and gradients compared with the references.
PARTS = (
    "references", "counting", "starting", "building", "checking", "warming up", "timing", "other",
)  # fmt: skip


class PartTimer:
    """Add up the seconds of the parts of a session, each moment in one part."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(PARTS, 0.0)

    @contextmanager
    def spending(self, part: str) -> Iterator[None]:
        """Add the seconds spent inside to a part, also where an exception ends it."""
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[part] += time.monotonic() - begin

    @contextmanager
    def preparing(self, spans: list[Span]) -> Iterator[None]:
        """Add the seconds spent inside to building and to checking.

        Args:
            spans: to which the workers add when they build; it is emptied.
        """
        begin = time.monotonic()
        try:
            yield
        finally:
            whole = time.monotonic() - begin
            building = min(whole, busy_time.seconds(spans))
            spans.clear()
            self.seconds["building"] += building
            self.seconds["checking"] += whole - building

    def copy(self) -> dict[str, float]:
        """Return the seconds of each part so far."""
        return dict(self.seconds)


@dataclass(frozen=True)
class Shape:
    """What a launch pair consists of: workers of so many frameworks and roles, and cells."""

    frameworks: int
    cells: int
    roles: int


@dataclass
class Pace:
    """Foresee how long a launch pair takes, from those before.

    ``pairs`` has for each its shape, its seconds, and those of them that went into starting. The
    first pair compiles, and so counts only while there is no other.
    """

    pairs: list[tuple[Shape, float, float]] = field(default_factory=list)

    def add(self, shape: Shape, seconds: float, starting: float) -> None:
        """Add a launch pair that was measured."""
        self.pairs.append((shape, seconds, starting))

    def expected(self, shape: Shape) -> float:
        """Return the most seconds that one of the last three pairs would take in this shape.

        It is 0 before the first pair.
        Starting grows with the number of workers, the rest with cells and roles.
        """
        known = self.pairs[1:] or self.pairs
        return max((_scaled(one, shape) for one in known[-3:]), default=0.0)


def _scaled(pair: tuple[Shape, float, float], shape: Shape) -> float:
    """Return the seconds that a measured pair would have taken in another shape."""
    was, seconds, starting = pair
    workers = shape.frameworks * shape.roles / (was.frameworks * was.roles)
    turns = shape.cells * shape.roles / (was.cells * was.roles)
    return starting * workers + (seconds - starting) * turns


def cell_seconds(
    overhead: float, shape: Shape, least: float, most: float, allowed: float = math.inf
) -> float:
    """Return how long each role is timed in each cell, so that half of a pair is timing.

    Args:
        overhead: seconds of a pair that are not timing.
        shape: of the pair.
        least, most: seconds that are never passed.
        allowed: seconds that a pair may take, where the first verdict needs more of them; no pair
            is made longer beyond that.
    """
    turns = shape.cells * shape.roles
    longest = max(least, min(most, (allowed - overhead) / turns))
    return min(longest, max(least, overhead / turns))


def overhead_of(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Return the seconds between two states of a `PartTimer` that went into parts but timing."""
    return sum(after[part] - before[part] for part in PARTS if part not in ("timing", "references"))
