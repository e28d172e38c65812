"""One run of measuring at a time: two on one machine would each disturb the other's times."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from pathlib import Path

from results.records.record import utc_now


class Busy(Exception):
    """Another run has the machine, or nobody can tell: one line for the person who asked."""


class Lock:
    """Held by a process from `take` to `release`, or to its death: then the kernel releases it.

    The file stands in the temporary folder, one for each user, so that runs of different check-outs
    meet at it too; it is never removed, since removing it would let a third run in beside a second
    that waits for it.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir()) / f"cascade-bench-{os.getuid()}.lock"
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock and note in the file whose it is.

        Raises `Busy` where another has it, or where the file cannot be opened.
        """
        try:  # not through a link that another user may have laid there
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Busy(
                f"cannot open {self.path}: {error.strerror}; it keeps two runs from disturbing "
                "each other: remove it, or set TMPDIR to a folder of your own"
            ) from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(fd)
            os.close(fd)
            raise Busy(
                f"another run is measuring on this machine ({holder}), and each would disturb the "
                "other's times; wait until it has ended, or stop it"
            ) from None
        self._fd = fd
        os.ftruncate(fd, 0)
        note = {"pid": os.getpid(), "since": utc_now(), "folder": str(Path.cwd())}
        os.pwrite(fd, json.dumps(note).encode(), 0)

    def release(self) -> None:
        """Let the next one in; nothing happens where the lock was not taken."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(fd: int) -> str:
    """Who has the lock, as it wrote; it may be just about to."""
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        return f"process {note['pid']} since {note['since']} in {note['folder']}"
    except (ValueError, KeyError, TypeError):
        return "it has just begun"
