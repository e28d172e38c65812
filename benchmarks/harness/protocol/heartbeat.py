"""Tie a worker to its parent beside the pipes: by shared memory, and by a parent-death pipe.

The heartbeat is memory that both processes have mapped; it holds the cell that the worker is at.
Writing it wakes nobody, so that a worker can write it before every sample, and the parent can still
read it when the worker has been killed. Nothing is ever written to the parent-death pipe. When the
parent's end closes, also because the parent was killed, the worker is killed, whatever it is doing,
so that no old worker disturbs the next measurement: on Linux by the kernel, elsewhere by a shell
that waits for the close beside the worker.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
import struct
import subprocess
import tempfile
from functools import partial
from time import monotonic  # by its own name: a user's code may put another function into `time`

# Holds the worker's file descriptors of the heartbeat and of the pipe, as in "7,8". Workers of
# older versions read the same variable, so its name stays.
VARIABLE = "CASCADE_BENCH_TETHER"
LAYOUT = struct.Struct("=d120s")  # when the cell began (monotonic seconds), the cell's name
# Waits for the end of its input, and kills the process group $1 if its leader still is the parent
# of this shell: the leader may have ended by itself, and its number be another process's by now.
# The pipe is the shell's input, as a shell need not know descriptors of two digits (dash does not).
WATCH = """
read -r line
[ "$(ps -o ppid= -p $$ | tr -d ' ')" = "$1" ] && kill -KILL "-$1"
"""


class Heartbeat:
    """Hold, in shared memory, the cell that a worker is at and since when.

    Args:
        fd: file descriptor of the memory; None makes new memory.
    """

    def __init__(self, fd: int | None = None) -> None:
        self.fd = _nameless_file() if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, LAYOUT.size)
        self._shared = mmap.mmap(self.fd, LAYOUT.size)

    def set_cell(self, cell: str | None) -> None:
        """Note that the worker is at this cell from now on; None is for no cell."""
        LAYOUT.pack_into(self._shared, 0, monotonic(), (cell or "").encode())

    def detach(self) -> None:
        """Write to memory of its own from here on: a forked child is at no cell of the parent's."""
        self._shared = mmap.mmap(-1, LAYOUT.size)

    @property
    def since(self) -> float:
        """Return when `cell` was set last, in seconds of the monotonic clock."""
        return float(LAYOUT.unpack_from(self._shared)[0])

    @property
    def cell(self) -> str | None:
        """Return the strategy or recipe that the worker is at, None if it is at none."""
        name: bytes = LAYOUT.unpack_from(self._shared)[1]
        return name.rstrip(b"\0").decode(errors="replace") or None


class WorkerLink:
    """Hold the parent's ends: the heartbeat to read, and the parent-death pipe to keep open."""

    def __init__(self) -> None:
        self.heartbeat = Heartbeat()
        self._worker_end, parent_end = os.pipe()
        self._parent_end = os.fdopen(parent_end, "wb", buffering=0)

    @property
    def fds(self) -> tuple[int, int]:
        """Return the file descriptors for the worker to inherit, in the order of `environment`."""
        return self.heartbeat.fd, self._worker_end

    @property
    def environment(self) -> dict[str, str]:
        """Return the environment variable by which the worker learns of `fds`."""
        return {VARIABLE: ",".join(map(str, self.fds))}

    def close_worker_ends(self) -> None:
        """Close the parent's copies of `fds`, once the worker has been started with its own."""
        for fd in self.fds:
            os.close(fd)

    def close(self) -> None:
        """Close the parent's end of the parent-death pipe; a worker that still lives is killed."""
        self._parent_end.close()


def connect_to_parent() -> Heartbeat:
    """Have this worker die with its parent, and return the heartbeat that the parent reads.

    A process that was started by hand has no parent to die with; nobody reads its heartbeat.
    """
    descriptors = os.environ.pop(VARIABLE, None)
    if descriptors is None:
        return Heartbeat()
    memory, pipe = map(int, descriptors.split(","))
    for descriptor in (memory, pipe):
        os.set_inheritable(descriptor, False)
    if hasattr(fcntl, "F_SETSIG"):
        _die_when_closed(pipe)
        os.register_at_fork(after_in_child=partial(_die_when_closed_too, pipe))
    else:
        _start_watcher(pipe)
    heartbeat = Heartbeat(memory)
    os.register_at_fork(after_in_child=heartbeat.detach)
    return heartbeat


def _nameless_file() -> int:
    """Return the descriptor of a file without a name, in memory where the system has such files."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("cascade-bench-heartbeat")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _start_watcher(pipe: int) -> None:
    """Start a shell that kills this process, and its group, once the pipe's last writer closes it.

    For systems whose kernel sends no signal then (macOS, the BSDs). Forked children are in the
    group; one in a session of its own lives on. When the parent ends the worker, it ends the group,
    and the shell with it.
    """
    subprocess.Popen(
        ["/bin/sh", "-c", WATCH, "watcher", str(os.getpid())],
        stdin=pipe,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _die_when_closed(pipe: int) -> None:
    """Have the kernel send SIGKILL at the pipe's next event: the close of its last writer.

    See F_SETOWN, F_SETSIG and O_ASYNC in fcntl(2). A thread that waits for the close would need the
    interpreter's lock, which a worker that hangs may never give back.
    """
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)


def _die_when_closed_too(pipe: int) -> None:
    """Have a forked child die with the pipe's last writer as well, also in a session of its own.

    It opens the pipe anew: what it has inherited sends the signal to its parent alone.
    """
    _die_when_closed(os.open(f"/proc/self/fd/{pipe}", os.O_RDONLY | os.O_NONBLOCK))
