"""Provide a clock that only fake programs move on: exact on a busy machine too."""

from __future__ import annotations

import pytest

from benchmarks.harness.worker import clock


class FakeClock:
    """A program, and at once the clock that its calls move on.

    Args:
        first: seconds that the first run takes beside the others.
        parts: seconds of each ``prepare``, ``run``, ``wait`` and ``reset``; 0 by default.

    Attributes:
        now: the time in seconds.
        log: the calls made, in order.
    """

    def __init__(self, *, first: float = 0.0, **parts: float) -> None:
        self.now, self.first = 0.0, first
        self.parts = {"prepare": 0.0, "run": 0.0, "wait": 0.0, "reset": 0.0} | parts
        self.log: list[str] = []

    def replace_clock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have the harness's clock read the time from this object."""
        monkeypatch.setattr(clock, "perf_counter", self.perf_counter)
        monkeypatch.setattr(clock, "process_time", self.process_time)

    def perf_counter(self) -> float:
        return self.now

    def process_time(self) -> float:
        return self.now

    def prepare(self) -> None:
        self._advance("prepare")

    def run(self, carry: None) -> None:
        self.now += 0.0 if "run" in self.log else self.first
        self._advance("run")

    def wait(self, result: None) -> None:
        self._advance("wait")

    def reset(self) -> None:
        self._advance("reset")

    def _advance(self, part: str) -> None:
        """Let the time of a part pass, and log it."""
        self.now += self.parts[part]
        self.log.append(part)
