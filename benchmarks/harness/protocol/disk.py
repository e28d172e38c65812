"""Say which folder cannot be written, and what to do, where a write fails for lack of room.

NumPy and Python name no folder when a disk is full: "[Errno 28] No space left on device" is all.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# no room, a quota, a limit on files, a disk that is read-only, a folder of somebody else
OF_STORAGE = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
}
FULL = os.strerror(errno.ENOSPC)


class DiskError(OSError):
    """Raised where files of the temporary folder cannot be written; the message is one line."""


def is_of_storage(error: OSError) -> bool:
    """Return whether an error says that a disk has no room, or that a folder is not writable."""
    return isinstance(error, DiskError) or error.errno in OF_STORAGE


def message(error: OSError, path: str | Path | None = None) -> str:
    """Return one line that names the folder, what is wrong with it, and the way out.

    Args:
        error: of the write.
        path: what was to be written; None: the error's own file, or the temporary folder.
    """
    if isinstance(error, DiskError):
        return str(error)
    where = path or error.filename
    folder = Path(where).parent if where else Path(tempfile.gettempdir())
    return f"cannot write to {folder}: {error.strerror or error}; {way_out()}"


def way_out() -> str:
    """Return what to do where the temporary folder has no room."""
    return (
        f"free some space in {tempfile.gettempdir()}, or set TMPDIR=FOLDER to a folder with room "
        "that you can write to"
    )


@contextmanager
def writing(path: str | Path) -> Iterator[None]:
    """Turn the error of a write to a temporary file into a `DiskError` that names its folder."""
    try:
        yield
    except OSError as error:
        if not is_of_storage(error):
            raise
        raise DiskError(message(error, path)) from error
