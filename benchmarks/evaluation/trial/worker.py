"""The suite's worker that can also be made slower by a known time: the head of a live trial."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.worker import server
from benchmarks.harness.worker.clock import Timed


class Slowed:
    """A program whose every call spins for ``seconds`` more, inside the clock."""

    def __init__(self, program: Timed, seconds: float) -> None:
        self.program, self.seconds = program, seconds
        self.prepare, self.run, self.reset = program.prepare, program.run, program.reset

    def wait(self, result: Any) -> None:
        self.program.wait(result)
        spin(self.seconds)


def spin(seconds: float) -> None:
    """Keep the core busy for that long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Worker(server.Worker):
    """What the harness's worker can do, and being slow."""

    def do_slow(self, name: str, seconds: float) -> dict[str, Any]:
        """From now on each call of the cell takes ``seconds`` more."""
        self.programs[name] = Slowed(self.programs[name], seconds)
        return {}


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    server.main(Worker)
