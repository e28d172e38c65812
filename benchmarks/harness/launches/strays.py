"""End the processes that a user's code has started in a worker and left behind.

A worker is killed with its process group. A process in a session of its own is in another group,
and when its parent has ended nothing leads from the worker to it any more, but for its environment:
that it has inherited, with a variable that names the worker. Only Linux shows the environment of a
process, under ``/proc``; elsewhere such processes live on. So does one that was started with an
environment without the variable.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

VARIABLE = "CASCADE_BENCH_WORKER"
DRAIN_SECONDS = 1.0  # for what the process has written last to be read
ROUNDS = 5  # a process may start another one while the first is being ended


def new_mark() -> dict[str, str]:
    """Return the environment variable that marks one worker, and all that is started in it."""
    return {VARIABLE: secrets.token_hex(8)}


def end_strays(mark: dict[str, str], processes: Path = Path("/proc")) -> None:
    """Send SIGKILL to every process with this mark, other than this one.

    Args:
        mark: as `new_mark` returned it; the worker itself has ended.
        processes: where the system shows its processes.
    """
    ((name, value),) = mark.items()
    for _ in range(ROUNDS):
        found = list(_marked(f"{name}={value}".encode(), processes))
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not found:
            return


def call_at_end(pid: int, function: Callable[[], Any]) -> None:
    """Call a function, in a thread, a moment after a process has ended; never on an old Linux.

    The process is not waited for, so that its parent can still do that.
    """
    if hasattr(os, "pidfd_open"):
        process = os.pidfd_open(pid)

        def wait() -> None:
            """Wait until the process has ended, then call the function."""
            try:
                ended = select.poll()
                ended.register(process, select.POLLIN)
                ended.poll()
            finally:
                os.close(process)
            time.sleep(DRAIN_SECONDS)
            function()

        threading.Thread(target=wait, daemon=True).start()


def _marked(entry: bytes, processes: Path) -> Iterator[int]:
    """Yield the number of each process of this user whose environment has the entry.

    A process that has ended, and waits for its parent, shows no environment.
    """
    for folder in processes.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
