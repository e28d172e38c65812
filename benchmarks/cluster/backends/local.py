"""Measure units on this machine, one after another: a cluster of one node, to try it out."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

from benchmarks.cluster import remote
from benchmarks.cluster.backend import Event, Finished, Lost, Started
from benchmarks.cluster.backends.unit_queue import UnitQueue
from benchmarks.cluster.settings import ClusterSettings
from benchmarks.cluster.unit import UnitJob


class LocalBackend:
    """Have one process of this machine measure; see `benchmarks.cluster.backend.Backend`.

    Args:
        settings: what the cluster file says.
        session: unused; every engine takes it.
        start: starts the process that measures, from a place and a name.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        session: str,
        start: Callable[[dict[str, Any], str], Any] = remote.NodeProcess,
    ) -> None:
        self._place, self._start = settings.place, start
        self._name = socket.gethostname()
        self._queue = UnitQueue()
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._process: Any = None
        self._busy = self._excluded = self._closed = False

    def submit(self, units: Sequence[UnitJob], avoiding: Collection[str] = ()) -> None:
        """Take units."""
        self._queue.add(units, avoiding)
        self._begin_next()

    def _begin_next(self) -> None:
        """Begin with the next unit, unless one is being measured."""
        if self._busy or self._excluded:
            return
        job = self._queue.take_for(self._name, ())
        if job:
            self._busy = True
            self._events.put(Started(job["unit"], self._name))
            threading.Thread(target=self._measure, args=(job,), daemon=True).start()

    def _measure(self, job: UnitJob) -> None:
        """Measure a unit in this thread, and note what came of it."""
        try:
            if self._process is None or not self._process.alive():
                self._process = self._start(self._place, self._name)
            answer: Any = self._process.ask(json.dumps(job))
        except Exception as error:  # such as no such folder: the thread has no other way to tell
            answer = {"lost": f"{type(error).__name__}: {error}"}
        lost = answer.get("lost")
        event = Lost(job["unit"], self._name, lost) if lost else None
        self._events.put(event or Finished(job["unit"], self._name, answer))

    def wait(self, seconds: float) -> list[Event]:
        """Return the next event, or none after so many seconds."""
        with contextlib.suppress(queue.Empty):
            event = self._events.get(timeout=seconds)
            if not isinstance(event, Started):
                self._busy = False
                self._begin_next()
            return [event]
        return []

    def exclude(self, node: str) -> None:
        """Measure nothing more: this is the only node."""
        self._excluded = True

    def nodes(self) -> int:
        """Return 1, or 0 where this machine refused."""
        return 0 if self._excluded else 1

    def hopeless(self) -> str | None:
        """Return that no node is left, where this machine refused."""
        return "no node is left" if self._excluded and not self._busy else None

    def close(self) -> None:
        """End the process that measures."""
        self._excluded = True
        if self._process is not None:
            self._process.end()
