"""Read how long this process ran, and how long it was ready to run and waited for a processor."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

TASKS = Path("/proc/self/task")


class Spent(NamedTuple):
    """The nanoseconds that all threads of this process ran, and waited for a processor, so far."""

    ran: int
    waited: int


def read(tasks: Path = TASKS) -> Spent | None:
    """Return what the threads of this process have spent; None where the system does not count it.

    The kernel counts both in ``schedstat`` of each thread (Linux, Documentation/scheduler).

    Args:
        tasks: the folder with one folder for each thread.
    """
    rows = []
    try:
        for path in tasks.iterdir():
            rows.append([int(word) for word in (path / "schedstat").read_text().split()[:2]])
    except (OSError, ValueError):  # no such file, or a thread that has ended just now
        return None
    if not rows or any(len(row) != 2 for row in rows):
        return None
    return Spent(sum(row[0] for row in rows), sum(row[1] for row in rows))


def share_waited(before: Spent | None, after: Spent | None) -> float | None:
    """Return which share of its time this process waited for a processor; None where unknown.

    It is of the time in which it could have run: it leaves out sleeping and waiting for a result.
    """
    if before is None or after is None:
        return None
    ran, waited = after.ran - before.ran, after.waited - before.waited
    if ran < 0 or waited < 0:  # a thread has ended, and its time with it
        return None
    return waited / (ran + waited) if ran + waited else 0.0
