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
from functools import partial
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
        pids = list(_marked(f"{name}={value}".encode(), processes))
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not pids:
            return


def call_at_end(pid: int, function: Callable[[], Any]) -> None:
    """Call a function, in a thread, a moment after a child of this process has ended.

    The child is not waited for, so that whoever started it can still do that.
    """
    wait_for_end = _waiter(pid)

    def wait() -> None:
        """Wait until the process has ended, then call the function."""
        wait_for_end()
        time.sleep(DRAIN_SECONDS)
        function()

    threading.Thread(target=wait, daemon=True).start()


def _waiter(pid: int) -> Callable[[], None]:
    """Return a function that returns once a child has ended, and leaves it to be waited for.

    On Linux by a descriptor of the process, on macOS and the BSDs by a kernel event, elsewhere by
    waitid(2), also where Python knows of descriptors and the kernel does not, as before Linux 5.3.
    What must be taken while the child's number is its own is taken here.
    """
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return partial(_wait_for_descriptor, os.pidfd_open(pid))
    if hasattr(select, "kqueue"):
        return partial(_wait_for_event, select.kqueue(), pid)
    return partial(_wait_without_reaping, pid)


def _wait_for_descriptor(process: int) -> None:
    """Wait until the process of a descriptor has ended, and close the descriptor."""
    try:
        ended = select.poll()
        ended.register(process, select.POLLIN)
        ended.poll()
    finally:
        os.close(process)


def _wait_for_event(queue: Any, pid: int) -> None:
    """Wait for the kernel's event that a process has ended; return at once if it is gone."""
    kernel: Any = select  # of which macOS and the BSDs have more than is declared for Linux
    with contextlib.closing(queue), contextlib.suppress(ProcessLookupError):
        ending = kernel.kevent(
            pid,
            filter=kernel.KQ_FILTER_PROC,
            flags=kernel.KQ_EV_ADD | kernel.KQ_EV_ONESHOT,
            fflags=kernel.KQ_NOTE_EXIT,
        )
        queue.control([ending], 1)


def _wait_without_reaping(pid: int) -> None:
    """Wait by waitid(2) until a child has ended; return at once if it was waited for."""
    system: Any = os  # Python has waitid on macOS from 3.13 on alone, and there a kernel event is
    with contextlib.suppress(ChildProcessError):
        system.waitid(os.P_PID, pid, system.WEXITED | system.WNOWAIT)


def _marked(entry: bytes, processes: Path) -> Iterator[int]:
    """Yield the number of each process of this user whose environment has the entry.

    A process that has ended, and waits for its parent, shows no environment.
    """
    for folder in processes.glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is another user's
            if entry in (folder / "environ").read_bytes().split(b"\0"):
                yield int(folder.name)
