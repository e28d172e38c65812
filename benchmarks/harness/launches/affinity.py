"""Workers on chosen cores, so that two that take turns do so on the same one. Linux only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from benchmarks.harness.launches.launch import Launch


def usable() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0))


def started_on(core: int) -> tuple[str, ...]:
    """What stands in front of a worker's command, so that all its threads start on that core."""
    return "taskset", "-c", str(core)


def keep_on(launch: Launch, core: int) -> None:
    """Move every thread of a worker to one core."""
    for thread in Path(f"/proc/{launch.pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(int(thread.name), {core})
