"""Read a file that may be anything: no device is waited for, and nothing too large is read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

TOO_LARGE = "is larger than {} MiB, the most that is read"


class Unreadable(Exception):
    """Raised where a file cannot be read; its text follows the file's name: ``is a folder``."""


def read_regular(path: Path | str, most: int) -> bytes:
    """Return the contents of a regular file of at most ``most`` bytes.

    A link is followed. A pipe, a socket or a device, which might give nothing for ever or give
    without end, is refused without being read.

    Raises:
        Unreadable: there is no such file, it is no regular one, is too large or cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise Unreadable("does not exist") from None
    except IsADirectoryError:
        raise Unreadable("is a folder") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise Unreadable(_reason(error)) from error
    try:
        _demand_regular(os.fstat(descriptor), most)
        # the size that the system tells may be wrong, as of a file that grows, or in /proc
        with open(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Unreadable(_reason(error)) from error
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise Unreadable(TOO_LARGE.format(most // 2**20))
    return data


def _demand_regular(status: os.stat_result, most: int) -> None:
    """Raise `Unreadable` unless a file is a regular one of at most ``most`` bytes."""
    if stat.S_ISDIR(status.st_mode):
        raise Unreadable("is a folder")
    if not stat.S_ISREG(status.st_mode):
        raise Unreadable("is no regular file, but a pipe, a socket or a device")
    if status.st_size > most:
        raise Unreadable(TOO_LARGE.format(most // 2**20))


def _reason(error: Exception) -> str:
    """Return why a file cannot be opened or read, such as a link that leads back to itself."""
    return f"cannot be read ({getattr(error, 'strerror', None) or error})"
