"""What ties a worker to its parent beside the pipes: a mark of the cell it is at, and a lifeline.

The mark is memory that both have mapped. Writing it wakes nobody, so that it can be written before
every sample, and it can still be read when the worker has been killed. The lifeline is a pipe
that nothing is ever written to: when the parent's end closes, also because the parent was killed,
the kernel kills the worker, whatever it is doing, so that none is left to disturb what is measured
next.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import signal
import struct
import time

VARIABLE = "CASCADE_BENCH_TETHER"
_LAYOUT = struct.Struct("=d120s")  # since when (monotonic seconds), the cell's name


class Heartbeat:
    """Where a worker is: ``since`` when, and at which ``cell`` (None: at none)."""

    def __init__(self, fd: int | None = None) -> None:
        self.fd = os.memfd_create("cascade-bench-mark") if fd is None else fd
        if fd is None:
            os.ftruncate(self.fd, _LAYOUT.size)
        self._shared = mmap.mmap(self.fd, _LAYOUT.size)

    def at(self, cell: str | None) -> None:
        """The worker's part: it is at this cell from now on."""
        _LAYOUT.pack_into(self._shared, 0, time.monotonic(), (cell or "").encode())

    @property
    def since(self) -> float:
        return float(_LAYOUT.unpack_from(self._shared)[0])

    @property
    def cell(self) -> str | None:
        name: bytes = _LAYOUT.unpack_from(self._shared)[1]
        return name.rstrip(b"\0").decode(errors="replace") or None


class WorkerLink:
    """The parent's ends: the mark to read, the lifeline to hold."""

    def __init__(self) -> None:
        self.mark = Heartbeat()
        self._far, near = os.pipe()
        self._lifeline = os.fdopen(near, "wb", buffering=0)

    @property
    def fds(self) -> tuple[int, int]:
        """What the worker must inherit, in the order of `environment`."""
        return self.mark.fd, self._far

    @property
    def environment(self) -> dict[str, str]:
        return {VARIABLE: ",".join(map(str, self.fds))}

    def handed_over(self) -> None:
        """The worker has its ends: ours of them can go."""
        for fd in self.fds:
            os.close(fd)

    def cut(self) -> None:
        """Let the lifeline go."""
        self._lifeline.close()


def tied() -> Heartbeat:
    """The worker's part: die with the parent; the mark, which nobody reads if there is none."""
    given = os.environ.pop(VARIABLE, None)
    if given is None:
        return Heartbeat()
    mark, lifeline = map(int, given.split(","))
    _die_when_closed(lifeline)
    return Heartbeat(mark)


def _die_when_closed(pipe: int) -> None:
    """Have the kernel send SIGKILL at the pipe's next event, which is the end of its writer.

    See F_SETOWN, F_SETSIG and O_ASYNC in fcntl(2). A thread that waits for the end would need the
    interpreter's lock, which a worker that hangs may never give back.
    """
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
