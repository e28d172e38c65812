"""Find out whether groups fit into memory: all launches of one, and the next one beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.machine import activity
from benchmarks.machine.host import Host

SHARE = 0.8  # of the available memory that may be used; the rest is a reserve for timed calls
# idle workers may hold this share of the machine's memory together, and this much each in any case
IDLE_SHARE = 0.25
IDLE_BYTES = 2**30


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


def holding_too_much(pids: Sequence[int], host: Host | None = None) -> list[int]:
    """Return which idle workers hold memory that the next group may need: the largest of them.

    The C library keeps much of what a large problem has used after the problem is closed. Where the
    system does not report memory, none does.

    Args:
        pids: numbers of all idle workers.
        host: where to read memory from; None: this machine.
    """
    machine = host or Host(Path("/"))
    resident_bytes = {pid: activity.process_memory(machine, pid, "VmRSS") or 0 for pid in pids}
    total = activity.memory(machine)["memory_bytes"]
    if total is None or sum(resident_bytes.values()) <= IDLE_SHARE * total:
        return []
    return [pid for pid, size in resident_bytes.items() if size > IDLE_BYTES]
