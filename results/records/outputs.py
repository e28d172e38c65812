"""Check, before hours of measuring, that a file that will be written at the end can be written."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import NoReturn

from results.records.record import RecordError
from results.records.storage import check_writable


def check_file(path: Path | str, what: str) -> None:
    """Check that a file can be written; what it holds, if it exists, is left as it is.

    Args:
        path: of the file; its folder must exist.
        what: the option that names it, for the error.

    Raises:
        RecordError: one line that says why it cannot be written.
    """
    file = Path(path)
    try:
        mode = os.stat(file).st_mode if os.path.lexists(file) else None
        if mode is None:
            _check_new(file, what)
        elif stat.S_ISDIR(mode):
            _refuse(what, file, "is a folder; give a file in it")
        elif stat.S_ISREG(mode) or stat.S_ISCHR(mode):
            _check_open(file)
        else:
            _refuse(what, file, "is a pipe, a socket or a disk; give a regular file")
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        _refuse(what, file, f"cannot be written ({reason}); name another file")


def check_replaceable(path: Path | str, what: str) -> None:
    """Check that a file can be replaced by a new one of that name; create its folder if need be.

    Raises:
        RecordError: it cannot, or it is no regular file: replacing a device such as ``/dev/null``
            would remove it.
    """
    file = Path(path).absolute()
    if file.is_dir():
        _refuse(what, file, "is a folder; give a file in it")
    if os.path.lexists(file) and not file.is_file() and not file.is_symlink():
        _refuse(what, file, "is no regular file; give one, or leave the file out to print it")
    check_writable(file.parent)
    check_file(file, what)


def _check_new(file: Path, what: str) -> None:
    """Check that a file that does not exist can be created."""
    if not file.parent.is_dir():
        problem = "is no folder" if file.parent.exists() else "does not exist; create it first"
        _refuse(what, file, f"the folder {file.parent} {problem}")
    check_writable(file.parent)
    file.open("xb").close()  # a name may be too long for the file system
    file.unlink()


def _check_open(file: Path) -> None:
    """Check that an existing file, or a device, takes what is written to it."""
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.write(descriptor, b"")  # enough for /dev/full to say that it is full
    finally:
        os.close(descriptor)


def _refuse(what: str, file: Path, problem: str) -> NoReturn:
    raise RecordError(f"{what} {file}: {problem}")
