"""Queue units in the order of submission, for engines that have them assigned one by one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from benchmarks.cluster.unit import UnitJob


class UnitQueue:
    """Hold the units that no node has begun with."""

    def __init__(self) -> None:
        self._units: list[tuple[UnitJob, frozenset[str]]] = []

    def __len__(self) -> int:
        return len(self._units)

    def add(self, units: Sequence[UnitJob], avoiding: Collection[str]) -> None:
        """Add units at the end; one that comes back from a node goes to the front.

        Args:
            units: in the order in which they should begin.
            avoiding: nodes that they go to only where there is no other.
        """
        added = [(job, frozenset(avoiding)) for job in units]
        self._units = added + self._units if avoiding else self._units + added

    def take_for(self, node: str, others: Iterable[str]) -> UnitJob | None:
        """Return the next unit for a node; None where there is none.

        Args:
            node: that has nothing to do.
            others: every other node that may get units.
        """
        rest = set(others)
        for index, (job, avoided) in enumerate(self._units):
            if node not in avoided or rest <= avoided:
                del self._units[index]
                return job
        return None
