"""Hand units to an engine, take their answers, and decide what becomes of those without one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.cluster.backend import Backend, Event, Finished, Lost, Started
from benchmarks.cluster.unit import UnitAnswer, UnitJob, longest_first

WAIT_SECONDS = 0.5  # for news, after which progress is shown and Ctrl-C looked for
MOST_LOSSES = 2  # nodes that a unit may cost before it is given up
MOST_REFUSALS = 5  # nodes that may refuse a unit before it is given up


class Controller:
    """Have units measured; see `run`.

    Args:
        backend: the engine.
        took: is given each unit that was measured, with its answer, as it comes.
        failed: is given the name of each unit that no node measured, and the reason.

    Attributes:
        refused: node → why it gets nothing more.
        running: node → the unit that it measures.
        waiting: unit → its job, of those without an answer yet.
    """

    def __init__(
        self,
        backend: Backend,
        took: Callable[[UnitAnswer], None],
        failed: Callable[[str, str], None],
    ) -> None:
        self.backend = backend
        self._took, self._failed = took, failed
        self.refused: dict[str, str] = {}
        self.running: dict[str, str] = {}
        self.waiting: dict[str, UnitJob] = {}
        self._lost: dict[str, list[str]] = {}  # unit → a line for each time that it was lost
        self._avoided: dict[str, set[str]] = {}  # unit → nodes that it comes from

    def run(self, units: Sequence[UnitJob], show: Callable[[], None] = lambda: None) -> None:
        """Submit all units at once, the longest first, and take answers until none is missing.

        Args:
            units: to measure.
            show: is called after whatever has happened, and now and then.
        """
        self.waiting = {job["unit"]: job for job in units}
        self.backend.submit(longest_first(units))
        while self.waiting:
            for event in self.backend.wait(WAIT_SECONDS):
                self._take(event)
            show()
            reason = self.backend.hopeless() if self.waiting else None
            if reason:
                self._give_up_all(reason)

    def _take(self, event: Event) -> None:
        """Note an event; one about a unit that is settled already says nothing any more."""
        if event.unit not in self.waiting:
            return
        if isinstance(event, Started):
            self.running[event.node] = event.unit
            return
        if event.node is not None:
            self.running.pop(event.node, None)
        if isinstance(event, Lost):
            self._again_once(event)
        elif event.answer["refused"]:
            self._refused(event)
        else:
            self.waiting.pop(event.unit, None)
            self._took(event.answer)

    def _again_once(self, event: Lost) -> None:
        """Submit a lost unit again, to another node; give it up where that happened before."""
        lost = self._lost.setdefault(event.unit, [])
        lost.append(f"{event.node or 'no node yet'}: {event.reason}")
        if len(lost) >= MOST_LOSSES:
            self._give_up(event.unit, f"lost on {len(lost)} nodes: {'; '.join(lost)}")
        else:
            self._submit_again(event.unit, event.node)

    def _refused(self, event: Finished) -> None:
        """Give a node that refuses nothing more, and its unit to another one."""
        reason, name = str(event.answer["refused"]), event.answer["node"]["name"]
        self.refused.setdefault(name, reason)
        self.backend.exclude(event.node)
        if len(self._avoided.get(event.unit, ())) + 1 >= MOST_REFUSALS:
            self._give_up(event.unit, f"{MOST_REFUSALS} nodes refused; {name}: {reason}")
        else:
            self._submit_again(event.unit, event.node)

    def _submit_again(self, unit: str, node: str | None) -> None:
        """Submit a unit once more, to another node than the one it comes from, if there is one."""
        avoided = self._avoided.setdefault(unit, set())
        if node is not None:
            avoided.add(node)
        self.backend.submit([self.waiting[unit]], avoided)

    def _give_up(self, unit: str, reason: str) -> None:
        """Settle a unit that no node has measured."""
        del self.waiting[unit]
        self._failed(unit, reason)

    def _give_up_all(self, reason: str) -> None:
        """Settle every unit that waits: no node is left."""
        named = "; ".join(f"{node}: {why}" for node, why in self.refused.items())
        for unit in list(self.waiting):
            self._give_up(unit, f"{reason}{': ' if named else ''}{named}")
