"""Pin workers to cores, so that two that are timed in turns use the same one.

Where a system cannot pin (macOS), the workers run where it puts them: that is noisier, and what a
control of the same code shows of it is part of every verdict.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from benchmarks.harness.launches.launch import Launch


def available_cores() -> list[int]:
    """Return the numbers of the cores that this process may use, in order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def taskset_prefix(core: int) -> tuple[str, ...]:
    """Return the words before a worker's command that start all its threads on one core.

    This is the argument ``prefix`` of `Launch`; empty where the system cannot pin.
    """
    return ("taskset", "-c", str(core)) if _can_pin() else ()


def pin(launch: Launch, core: int) -> None:
    """Move every thread of a running worker to one core, where the system can pin."""
    if not _can_pin():
        return
    for thread in Path(f"/proc/{launch.pid}/task").iterdir():
        with contextlib.suppress(ProcessLookupError):  # the thread has ended meanwhile
            os.sched_setaffinity(int(thread.name), {core})


def _can_pin() -> bool:
    """Return whether threads can be bound to a core here, when they start and while they run."""
    tasks = Path("/proc/self/task")
    return hasattr(os, "sched_setaffinity") and tasks.is_dir() and bool(shutil.which("taskset"))
