"""Memory of this process as the kernel counts it: pages that stand in memory, and the most ever.

The peak is ``VmHWM`` of proc(5), reset by writing 5 to ``/proc/self/clear_refs``; Linux alone has
them. Both are read off per-processor counters that are a few pages behind.
"""

from __future__ import annotations

import ctypes
import math
import os
import resource
from pathlib import Path

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
LIBC = ctypes.CDLL(None)
PR_SET_THP_DISABLE = 41  # prctl(2)
COUNTED_AT_ONCE = 32  # pages a processor counts for itself, at least (percpu_counter_batch)


class Unmeasurable(RuntimeError):
    """Why this system's memory cannot be told."""


class ProcessMemory:
    """The pages of this process that stand in memory, in bytes.

    Raises `Unmeasurable` where the kernel does not count them, or not for this process.
    """

    resettable = True

    def __init__(self) -> None:
        if not STATUS.exists():
            raise Unmeasurable(f"there is no {STATUS}: only Linux counts a process's peak")

    @property
    def resolution(self) -> int:
        """Bytes below which a difference of two readings says nothing.

        Each processor is up to a batch of pages behind, either way: uniform, so four times the
        batch by the root of their number is nearly five standard deviations of a difference.
        """
        batch = max(COUNTED_AT_ONCE, 2 * (os.cpu_count() or 1))
        processors = len(os.sched_getaffinity(0))
        return int(4 * batch * math.sqrt(processors)) * resource.getpagesize()

    def held(self) -> int:
        """What is resident now, after the C library has given back what is free."""
        if hasattr(LIBC, "malloc_trim"):  # glibc's; musl keeps nothing back
            LIBC.malloc_trim(0)
        return _figure("VmRSS")

    def reset(self) -> None:
        """From here on the peak is counted anew."""
        try:
            CLEAR.write_text("5")
        except OSError as error:
            raise Unmeasurable(f"{CLEAR} cannot be written here: {error.strerror}") from None

    def peak(self) -> int:
        """The most that was resident since `reset`."""
        return _figure("VmHWM")


def forbid_huge_pages() -> None:
    """From here on in this process: one counts whole, however little of it is used."""
    LIBC.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _figure(name: str) -> int:
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise Unmeasurable(f"{STATUS} has no {name}: this kernel does not count it")
