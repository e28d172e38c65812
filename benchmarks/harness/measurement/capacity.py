"""Find out whether all launches of a group can hold their problem in memory at once."""

from __future__ import annotations

from pathlib import Path

from benchmarks.machine import activity
from benchmarks.machine.host import Host

SHARE = 0.8  # of the available memory that may be used; the rest is a reserve for timed calls


def exceeds_memory(pid: int, others: int, host: Host | None = None) -> bool:
    """Return whether ``others`` more processes like this one would not fit into memory.

    Each is expected to need as much as this one has used at its peak so far, compiling included.
    Where the system does not report memory, the processes are assumed to fit.

    Args:
        pid: number of the process.
        others: how many more processes there would be.
        host: where to read memory from; None: this machine.
    """
    machine = host or Host(Path("/"))
    peak = activity.process_memory(machine, pid, "VmHWM")
    free = activity.memory(machine)["memory_available_bytes"]
    return peak is not None and free is not None and others * peak > SHARE * free
