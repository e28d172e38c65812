"""Say what the controller asks of an engine, and what an engine tells."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from benchmarks.cluster.unit import UnitAnswer, UnitJob


@dataclass(frozen=True)
class Started:
    """A node has begun with a unit."""

    unit: str
    node: str


@dataclass(frozen=True)
class Finished:
    """A node has answered."""

    unit: str
    node: str
    answer: UnitAnswer


@dataclass(frozen=True)
class Lost:
    """There will be no answer: the node, or the process on it, has ended."""

    unit: str
    node: str | None  # None where no node had begun with the unit
    reason: str


Event = Started | Finished | Lost


class Backend(Protocol):
    """Bring units to nodes, one at a time to each."""

    def submit(self, units: Sequence[UnitJob], avoiding: Collection[str] = ()) -> None:
        """Take units, in the order in which they should begin.

        Args:
            units: to measure.
            avoiding: nodes that these units go to only where there is no other.
        """
        ...

    def wait(self, seconds: float) -> list[Event]:
        """Return what has happened since the last call; wait so long for the first of it."""
        ...

    def exclude(self, node: str) -> None:
        """Give a node nothing more."""
        ...

    def nodes(self) -> int:
        """Return how many nodes are known that may get units."""
        ...

    def hopeless(self) -> str | None:
        """Return why no node will ever take the units that wait; None while one may."""
        ...

    def close(self) -> None:
        """Cancel whatever waits or runs, and end the processes on the nodes."""
        ...
