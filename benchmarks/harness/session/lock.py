"""Let only one session measure on a machine: two would disturb each other's times."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import tempfile
from pathlib import Path

from results.records.record import utc_now


class Busy(Exception):
    """Raised when another session holds the lock, or its file cannot be opened.

    The message is one line for the user.
    """


class Lock:
    """Lock a file from `take` to `release`; the kernel releases it if the process dies.

    The file is in the temporary folder, one for each user, so that sessions of different check-outs
    use the same one. It is never removed: a third session would create and lock a new file, while a
    second one still waits for the lock on the removed one.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.gettempdir()) / f"cascade-bench-{os.getuid()}.lock"
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock, and write into the file which process holds it.

        Raises:
            Busy: another process holds the lock, or the file cannot be opened or locked.
        """
        try:  # do not follow a link: another user may have put it there
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
        except OSError as error:
            os.close(fd)
            raise Busy(
                f"cannot lock {self.path}: {error.strerror}; the file system of that folder has no "
                "locks, which keep two runs from disturbing each other: set TMPDIR to a folder on "
                "a local disk"
            ) from None
        self._fd = fd
        note = {"pid": os.getpid(), "since": utc_now(), "folder": str(Path.cwd())}
        with contextlib.suppress(OSError):  # on a full disk the lock holds without its note
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps(note).encode(), 0)

    def release(self) -> None:
        """Release the lock, if this object holds it."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _holder(fd: int) -> str:
    """Return words about the process that holds the lock, from its note in the lock file."""
    try:
        note = json.loads(os.pread(fd, 4096, 0))
        return f"process {note['pid']} since {note['since']} in {note['folder']}"
    except (ValueError, KeyError, TypeError):
        return "it has just begun"
