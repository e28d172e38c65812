"""Run the suite's worker with one more request, which makes a cell slower by a known time.

It is the head of a live trial.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.harness.worker import server
from benchmarks.harness.worker.clock import Timed


class Slowed:
    """Wrap a program so that every call spins for some seconds inside the timed part."""

    def __init__(self, program: Timed, seconds: float) -> None:
        self.program, self.seconds = program, seconds
        self.prepare, self.run, self.reset = program.prepare, program.run, program.reset

    def wait(self, result: Any) -> None:
        """Wait as the program does, then spin."""
        self.program.wait(result)
        spin(self.seconds)


def spin(seconds: float) -> None:
    """Keep the core busy for this many seconds."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Worker(server.Worker):
    """Add the request ``slow`` to the harness's worker."""

    def do_slow(self, name: str, seconds: float) -> dict[str, Any]:
        """Make each further call of the cell longer by ``seconds``.

        ``name`` is the strategy or recipe by which the worker has the cell. The reply is empty.
        """
        self.programs[name] = Slowed(self.programs[name], seconds)
        return {}


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    server.main(Worker)
