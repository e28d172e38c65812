"""Start the workers of both sides that compute references, and have both sides work at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from benchmarks.harness.launches import signal_safe_wait
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.paths import ROOT
from benchmarks.regression import worker_pairs
from benchmarks.regression.versions import Side

T = TypeVar("T")
OURS = ("benchmarks", "results", "impl_torch", "impl_jax", "cascade_bench")


class SideLaunches:
    """Start a worker of each side, framework and dtype when it is first needed.

    One thread per side asks for workers. After `end` no worker is started any more. A worker runs
    the code of one owner, see `Launch`, and is replaced when that of another is asked for.
    """

    def __init__(self, sides: Mapping[str, Side]) -> None:
        self.sides = sides
        self.started: dict[tuple[str, str, str], Launch] = {}
        self.ended = False
        self.lock = threading.Lock()

    def get(self, side: str, framework: str, owner: str | None, dtype: str = "float64") -> Launch:
        """Return the worker of a side (``base`` or ``head``), framework and dtype.

        A new one is started if there is none, if it died, or if it runs another owner's code.
        """
        key = side, framework, dtype
        with self.lock:
            if self.ended:
                raise WorkerError("the session was stopped")
            if key in self.started and self.started[key].owner != owner:
                self.started[key].kill()
            if key not in self.started or self.started[key].dead:
                self.started[key] = worker_pairs.start_worker(
                    self.sides[side], framework, "cpu", dtype, owner=owner
                )
            return self.started[key]

    def end(self) -> None:
        """Kill all workers."""
        self.ended = True  # before waiting for the lock: a second Ctrl-C may interrupt the wait
        with self.lock:
            for launch in self.started.values():
                launch.kill_nowait()
            for launch in self.started.values():
                launch.kill()


def on_both_sides(
    sides: Iterable[str], work: Callable[[str], T], end: Callable[[], object]
) -> dict[str, T]:
    """Return side → what the work returns for it; all sides work at once, on a core each.

    Args:
        sides: their names.
        work: called with each name, in a thread of its own.
        end: ends what the threads wait for; called where Ctrl-C or an error ends the wait.
    """
    names = list(sides)
    with ThreadPoolExecutor(len(names)) as pool:
        try:
            futures = {name: pool.submit(work, name) for name in names}
            return {name: signal_safe_wait.result(future) for name, future in futures.items()}
        except BaseException:  # Ctrl-C: else the threads may wait minutes for their workers
            end()
            raise


def loaded_from_origin(side: Side, launch: Launch) -> list[str]:
    """Return the files that a worker has loaded from the repository instead of its side's tree.

    They would be the same on both sides. This suite's own are not among them.
    """
    if side.origin is None:
        return []
    ours = [str(ROOT / name) for name in OURS]
    loaded: list[str] = launch.ask("loaded", folder=side.origin)
    return [file for file in loaded if not any(Path(file).is_relative_to(o) for o in ours)]
