"""Hide from this process and its children what Linux alone has, as on macOS.

Python imports this file at its start where its folder is on ``PYTHONPATH``. Calls that Linux alone
has are then absent from `os`, `fcntl` and `resource`, and no file under ``/proc`` and ``/sys`` can
be opened or listed.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import sys
from typing import Any

ABSENT = {
    os: ("memfd_create", "pidfd_open", "sched_getaffinity", "sched_setaffinity", "eventfd"),
    fcntl: ("F_SETSIG", "F_GETSIG", "F_NOTIFY"),
}
FOLDERS = ("/proc", "/sys")
LIBRARY = ctypes.CDLL(None)


class WithoutPrctl:
    """Stand for the C library, without the functions that Linux or its C library alone has."""

    def __getattr__(self, name: str) -> Any:
        if name in ("prctl", "malloc_trim"):
            raise AttributeError(name)
        return getattr(LIBRARY, name)


def refuse(event: str, arguments: tuple[Any, ...]) -> None:
    """Refuse to open or to list what stands under `FOLDERS`, as an audit hook."""
    if event in ("open", "os.listdir", "os.scandir") and str(arguments[0]).startswith(FOLDERS):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(arguments[0]))


def exists_elsewhere(path: Any, **options: Any) -> os.stat_result:
    """Return the status of a file, unless it stands under `FOLDERS`."""
    if str(path).startswith(FOLDERS):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    return status(path, **options)


def load(name: Any, *arguments: Any, **options: Any) -> Any:
    """Load a library; the program's own, the C library, is one without Linux's functions."""
    return WithoutPrctl() if name is None else load_any(name, *arguments, **options)


usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
os.cpu_count = lambda: usable  # the cores of that other system are all its own
for module, names in ABSENT.items():
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
status, os.stat = os.stat, exists_elsewhere
load_any, ctypes.CDLL = ctypes.CDLL, load  # type: ignore[assignment, misc]
sys.addaudithook(refuse)
