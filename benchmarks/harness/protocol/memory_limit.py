"""A limit on a worker's memory: it fails with a typed outcome where the machine would suffer."""

from __future__ import annotations

import os
import re
import resource

VARIABLE = "CASCADE_BENCH_WORKER_MEMORY"
_UNITS = {"MiB": 2**20, "GiB": 2**30}
# how C++ libraries say it with their last breath, when no exception reaches Python
_LAST_WORDS = re.compile(
    r"bad_alloc|out of memory|cannot allocate memory|mmap error: 12|RESOURCE_EXHAUSTED",
    re.IGNORECASE,
)


class LimitError(Exception):
    """A limit that cannot be understood: one line for the person who set it."""


def worker_memory() -> int | None:
    """Bytes a worker may have, by the environment; None where nothing is set.

    Raises `LimitError`.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return None
    found = re.fullmatch(r"([1-9]\d{0,5}) ?(MiB|GiB)", text.strip())
    if not found:
        raise LimitError(f"{VARIABLE}={text!r}: give whole MiB or GiB, such as 512MiB or 8GiB")
    return int(found[1]) * _UNITS[found[2]]


def apply_limit() -> None:
    """Hold this process to `worker_memory`: private memory that it writes to, see getrlimit(2).

    Not its address space, of which XLA reserves far more than it uses. A limit that is there
    already and lower stays.
    """
    wanted = worker_memory()
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if wanted is not None and (hard == resource.RLIM_INFINITY or wanted < hard):
        resource.setrlimit(resource.RLIMIT_DATA, (wanted, wanted))


def out_of_memory(last_words: str) -> bool:
    """Whether what a dying process wrote on stderr says that it was for want of memory."""
    return bool(_LAST_WORDS.search(last_words))
