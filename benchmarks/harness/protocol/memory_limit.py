"""Limit a worker's memory, so that its cell fails before the whole machine runs out of memory."""

from __future__ import annotations

import os
import re
import resource

VARIABLE = "CASCADE_BENCH_WORKER_MEMORY"
_UNITS = {"MiB": 2**20, "GiB": 2**30}
# What C++ libraries write on stderr before they abort, when no exception reaches Python.
_OUT_OF_MEMORY = re.compile(
    r"bad_alloc|out of memory|cannot allocate memory|mmap error: 12|RESOURCE_EXHAUSTED",
    re.IGNORECASE,
)


class LimitError(Exception):
    """A limit that cannot be understood; the message is one line for the person who set it."""


def worker_memory() -> int | None:
    """Return the bytes that a worker may have, from the environment; None where no limit is set.

    Raises:
        LimitError: if the variable is not a whole number of MiB or GiB.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    match = re.fullmatch(r"([1-9]\d{0,5}) ?(MiB|GiB)", text.strip())
    if not match:
        raise LimitError(f"{VARIABLE}={text!r}: give whole MiB or GiB, such as 512MiB or 8GiB")
    return int(match[1]) * _UNITS[match[2]]


def apply_limit() -> None:
    """Limit this process to `worker_memory` bytes of private writable memory, see getrlimit(2).

    The address space is not limited: XLA reserves far more of it than it uses. A lower limit that
    the process already has stays.
    """
    limit = worker_memory()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if limit is not None and (hard == resource.RLIM_INFINITY or limit < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def out_of_memory(last_words: str) -> bool:
    """Return whether a process that aborted wrote on stderr that it had no memory left.

    Args:
        last_words: the last lines of its stderr.
    """
    return bool(_OUT_OF_MEMORY.search(last_words))
