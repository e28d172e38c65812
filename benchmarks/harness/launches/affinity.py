"""Pin workers to cores, so that two that are timed in turns use the same one. Linux only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from benchmarks.harness.launches.launch import Launch


def available_cores() -> list[int]:
    """Return the numbers of the cores that this process may use, in order."""
    return sorted(os.sched_getaffinity(0))


def taskset_prefix(core: int) -> tuple[str, ...]:
    """Return the words before a worker's command that start all its threads on one core.

    This is the argument ``prefix`` of `Launch`.
    """
    return "taskset", "-c", str(core)


def pin(launch: Launch, core: int) -> None:
    """Move every thread of a running worker to one core."""
    for thread in Path(f"/proc/{launch.pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # the thread has ended meanwhile
            os.sched_setaffinity(int(thread.name), {core})
