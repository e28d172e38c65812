"""Read the resident memory of this process, and its peak, as the Linux kernel counts them.

The peak is ``VmHWM`` of proc(5), which writing 5 to ``/proc/self/clear_refs`` resets. Both figures
come from counters that each processor adds to the total in batches, so they lag by a few pages.
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
COUNTED_AT_ONCE = 32  # pages in a processor's batch, at least (percpu_counter_batch)


class Unmeasurable(RuntimeError):
    """Memory that cannot be measured on this system; the message says why."""


class ProcessMemory:
    """Read the bytes of this process that are resident in memory.

    Raises `Unmeasurable` where the kernel does not count them, or not for this process.
    """

    resettable = True

    def __init__(self) -> None:
        if not STATUS.exists():
            raise Unmeasurable(f"there is no {STATUS}: only Linux counts a process's peak")

    @property
    def resolution(self) -> int:
        """Return the bytes below which a difference of two readings is noise.

        Each processor lags by up to a batch of pages, either way. The sum of uniform lags has a
        standard deviation proportional to the root of their number: four times the batch by that
        root is nearly five standard deviations of a difference.
        """
        batch = max(COUNTED_AT_ONCE, 2 * (os.cpu_count() or 1))
        processors = len(os.sched_getaffinity(0))
        return int(4 * batch * math.sqrt(processors)) * resource.getpagesize()

    def in_use(self) -> int:
        """Return the bytes that are resident now, after the C library has returned free memory."""
        if hasattr(LIBC, "malloc_trim"):  # glibc has it; musl keeps no free memory
            LIBC.malloc_trim(0)
        return _read_bytes("VmRSS")

    def reset(self) -> None:
        """Have the kernel count the peak anew from here on."""
        try:
            CLEAR.write_text("5")
        except OSError as error:
            raise Unmeasurable(f"{CLEAR} cannot be written here: {error.strerror}") from None

    def peak(self) -> int:
        """Return the most bytes that were resident since `reset`."""
        return _read_bytes("VmHWM")


def forbid_huge_pages() -> None:
    """Stop using huge pages in this process: one counts whole, however little of it is used.

    Does nothing on a system without prctl(2), where `ProcessMemory` measures nothing either.
    """
    if hasattr(LIBC, "prctl"):
        LIBC.prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)


def _read_bytes(name: str) -> int:
    """Return a figure of ``/proc/self/status``, which the kernel gives in KiB, in bytes."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise Unmeasurable(f"{STATUS} has no {name}: this kernel does not count it")
