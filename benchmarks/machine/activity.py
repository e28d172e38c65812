"""Read the load of the machine: memory, busy processes, and counters that only grow."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.machine import cgroup
from benchmarks.machine.host import Host
from benchmarks.machine.processor import CPUS

LABEL_LETTERS = 40
WORKER = re.compile(r"benchmarks\.\S+\.worker")  # the module name of a worker, in its command


@dataclass(frozen=True)
class Process:
    """Hold a process and the CPU seconds that it has used so far."""

    pid: int
    parent: int
    name: str
    command: str
    seconds: float

    @property
    def label(self) -> str:
        """Return the name and two words of the command: an interpreter's name alone says little."""
        words = self.command.split()[1:3]
        return " ".join([self.name, *words])[:LABEL_LETTERS]


def load_average(host: Host) -> list[float] | None:
    """Return the average number of runnable processes over 1, 5 and 15 minutes; None if unknown."""
    averages = (host.text("proc/loadavg") or "").split()[:3]
    if averages:
        return [float(value) for value in averages]
    getloadavg = getattr(os, "getloadavg", None)
    try:
        return list(getloadavg()) if getloadavg and host.real else None
    except OSError:
        return None


def memory(host: Host) -> dict[str, int | None]:
    """Return the bytes of memory in total, of memory available now, and of swap in use.

    In a container it is the memory that its limit leaves to it, where that is less.
    """
    lines = (line.partition(":") for line in (host.text("proc/meminfo") or "").splitlines())
    sizes = {name: int(value.split()[0]) * 1024 for name, _, value in lines if value.split()}
    total, free = sizes.get("SwapTotal"), sizes.get("SwapFree")
    most, left = cgroup.memory(host) or (None, None)
    return {
        "memory_bytes": _less(sizes.get("MemTotal") or _physical(host), most),
        "memory_available_bytes": _less(sizes.get("MemAvailable"), left),
        "swap_used_bytes": None if total is None or free is None else total - free,
    }


def _less(one: int | None, other: int | None) -> int | None:
    """Return the smaller one of two numbers, of which either may not be known."""
    return min((number for number in (one, other) if number is not None), default=None)


def process_memory(host: Host, pid: int | str, field: str) -> int | None:
    """Return a memory figure of a process in bytes, such as ``VmRSS`` or ``VmHWM``.

    It is read from ``/proc/PID/status`` (proc(5)), whose unit kB is 1024 bytes; ``pid`` may be
    ``self``. None if the system does not count it.
    """
    for line in (host.text(f"proc/{pid}/status") or "").splitlines():
        name, _, value = line.partition(":")
        number = value.split()[:1]
        if name == field and number and number[0].isdigit():
            return int(number[0]) * 1024
    return None


def _physical(host: Host) -> int | None:
    """Return the bytes of physical memory by POSIX; None if the system does not say."""
    try:
        pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # the system does not know these names
        return None
    return pages if host.real else None


def processes(host: Host) -> dict[int, Process] | None:
    """Return every visible process by its id; None on a system without ``/proc``."""
    table = {}
    for path in host.glob("proc/[0-9]*"):
        one = _process(host, path)
        if one:
            table[one.pid] = one
    return table or None


def _process(host: Host, path: str) -> Process | None:
    """Return the process of a folder ``proc/<pid>``; None if it has ended meanwhile."""
    # the name stands in brackets and may hold any character, brackets too (proc(5), stat)
    front, _, back = (host.text(f"{path}/stat") or "").rpartition(")")
    fields = back.split()
    if len(fields) < 13:  # the process has ended meanwhile
        return None
    ticks = int(fields[11]) + int(fields[12])
    return Process(
        pid=int(front.partition(" ")[0]),
        parent=int(fields[1]),
        name=front.partition("(")[2],
        command=(host.text(f"{path}/cmdline") or "").replace("\0", " "),
        seconds=ticks / os.sysconf("SC_CLK_TCK"),
    )


def family(table: Mapping[int, Process], pid: int) -> set[int]:
    """Return the ids of a process and of all its descendants."""
    members, added = {pid}, True
    while added:
        more = {one.pid for one in table.values() if one.parent in members} - members
        members, added = members | more, bool(more)
    return members


def busiest(
    before: Mapping[int, Process], after: Mapping[int, Process], elapsed: float, own: int
) -> list[tuple[Process, float]]:
    """Return foreign processes, busiest first, each with the number of CPUs that it kept busy.

    Args:
        before: The processes at the start of the interval.
        after: The processes at its end.
        elapsed: The length of the interval in seconds.
        own: The id of our process, which is left out together with its descendants.
    """
    ours = family(after, own)
    used = [
        (one, (one.seconds - before[pid].seconds) / elapsed)
        for pid, one in after.items()
        if pid in before and pid not in ours
    ]
    return sorted((pair for pair in used if pair[1] > 0), key=lambda pair: -pair[1])


def other_sessions(table: Mapping[int, Process], own: int) -> dict[int, int]:
    """Return the sessions of this suite beside ours: process id → number of its workers."""
    ours, workers_of = family(table, own), dict[int, int]()
    for one in table.values():
        if any(map(WORKER.fullmatch, one.command.split())) and one.pid not in ours:
            workers_of[one.parent] = workers_of.get(one.parent, 0) + 1
    return workers_of


def counters(host: Host) -> dict[str, int | None]:
    """Return the system's counters of disturbances, which only grow; None where one is not counted.

    These are CPU time, CPU time stolen by the host, pages swapped, throttlings by heat and by
    quota. The `difference` of two readings says what happened between them.
    """
    cpu = (host.text("proc/stat") or "").partition("\n")[0].split()[1:9]
    ticks = [int(value) for value in cpu]
    events = dict(line.split()[:2] for line in (host.text("proc/vmstat") or "").splitlines())
    swapped = [int(events[name]) for name in ("pswpin", "pswpout") if name in events]
    heat = [host.number(path) for path in host.glob(f"{CPUS}/cpu*/thermal_throttle/core_*_count")]
    counted = [count for count in heat if count is not None]
    return {
        "cpu_ticks": sum(ticks) if len(ticks) == 8 else None,
        "stolen_ticks": ticks[7] if len(ticks) == 8 else None,
        "swapped_pages": sum(swapped) if swapped else None,
        "heat_throttles": sum(counted) if counted else None,
        "quota_throttles": cgroup.throttled_periods(host),
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int | None]:
    """Return by how much each counter grew; None where the system does not count it."""
    return {
        name: None if after[name] is None or before[name] is None else after[name] - before[name]
        for name in after
    }
