"""A clock that is told the time, and programs that tell it: exact on a busy machine too."""

from __future__ import annotations


class Told:
    """A program, and the clock that it moves on: ``parts`` are the seconds of each of its calls.

    ``first`` is what the first run takes beside; ``log`` is what was done, in order.
    """

    def __init__(self, *, first: float = 0.0, **parts: float) -> None:
        self.now, self.first = 0.0, first
        self.parts = {"prepare": 0.0, "run": 0.0, "wait": 0.0, "reset": 0.0} | parts
        self.log: list[str] = []

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now

    def prepare(self) -> None:
        self._does("prepare")

    def run(self, carry: None) -> None:
        self.now += 0.0 if "run" in self.log else self.first
        self._does("run")

    def wait(self, result: None) -> None:
        self._does("wait")

    def reset(self) -> None:
        self._does("reset")

    def _does(self, what: str) -> None:
        self.now += self.parts[what]
        self.log.append(what)
