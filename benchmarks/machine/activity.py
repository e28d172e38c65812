"""What else goes on in the machine: load, memory, busy processes, and counters over a while."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.machine.cgroup import throttled_periods
from benchmarks.machine.host import Host
from benchmarks.machine.processor import CPUS

LABEL_LETTERS = 40
WORKER = re.compile(r"benchmarks\.\S+\.worker")  # started as a module, by whatever of ours measures


@dataclass(frozen=True)
class Process:
    """A process with the CPU seconds it has used so far."""

    pid: int
    parent: int
    name: str
    command: str
    seconds: float

    @property
    def label(self) -> str:
        """The name with the first words after it: that of an interpreter alone says little."""
        words = self.command.split()[1:3]
        return " ".join([self.name, *words])[:LABEL_LETTERS]


def load_average(host: Host) -> list[float] | None:
    """Processes that ran or wanted to, on average over 1, 5 and 15 minutes."""
    told = (host.text("proc/loadavg") or "").split()[:3]
    if told:
        return [float(value) for value in told]
    asked = getattr(os, "getloadavg", None)
    try:
        return list(asked()) if asked and host.real else None
    except OSError:
        return None


def memory(host: Host) -> dict[str, int | None]:
    """Bytes of memory in all, to be had now, and of swap in use."""
    lines = (line.partition(":") for line in (host.text("proc/meminfo") or "").splitlines())
    told = {name: int(value.split()[0]) * 1024 for name, _, value in lines if value.split()}
    total, free = told.get("SwapTotal"), told.get("SwapFree")
    return {
        "memory_bytes": told.get("MemTotal") or _physical(host),
        "memory_available_bytes": told.get("MemAvailable"),
        "swap_used_bytes": None if total is None or free is None else total - free,
    }


def _physical(host: Host) -> int | None:
    try:
        pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # a system without these names
        return None
    return pages if host.real else None


def processes(host: Host) -> dict[int, Process] | None:
    """Every process to be seen, by number; None on a system without ``/proc``."""
    found = {}
    for path in host.found("proc/[0-9]*"):
        one = _process(host, path)
        if one:
            found[one.pid] = one
    return found or None


def _process(host: Host, path: str) -> Process | None:
    # the name stands in brackets and may hold any character, brackets too (proc(5), stat)
    front, _, back = (host.text(f"{path}/stat") or "").rpartition(")")
    fields = back.split()
    if len(fields) < 13:  # it ended meanwhile
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
    """A process and everything that came from it."""
    members, added = {pid}, True
    while added:
        more = {one.pid for one in table.values() if one.parent in members} - members
        members, added = members | more, bool(more)
    return members


def busiest(
    before: Mapping[int, Process], after: Mapping[int, Process], elapsed: float, own: int
) -> list[tuple[Process, float]]:
    """The processes that are not ours, with the CPUs they kept busy over ``elapsed`` seconds."""
    ours = family(after, own)
    used = [
        (one, (one.seconds - before[pid].seconds) / elapsed)
        for pid, one in after.items()
        if pid in before and pid not in ours
    ]
    return sorted((pair for pair in used if pair[1] > 0), key=lambda pair: -pair[1])


def other_sessions(table: Mapping[int, Process], own: int) -> dict[int, int]:
    """Sessions of this suite that are measuring beside ours: their process → its workers."""
    ours, found = family(table, own), dict[int, int]()
    for one in table.values():
        if any(map(WORKER.fullmatch, one.command.split())) and one.pid not in ours:
            found[one.parent] = found.get(one.parent, 0) + 1
    return found


def counters(host: Host) -> dict[str, int | None]:
    """What only ever grows: take it before and after a while, and see `difference`."""
    cpu = (host.text("proc/stat") or "").partition("\n")[0].split()[1:9]
    ticks = [int(value) for value in cpu]
    events = dict(line.split()[:2] for line in (host.text("proc/vmstat") or "").splitlines())
    swapped = [int(events[name]) for name in ("pswpin", "pswpout") if name in events]
    heat = [host.number(path) for path in host.found(f"{CPUS}/cpu*/thermal_throttle/core_*_count")]
    counted = [count for count in heat if count is not None]
    return {
        "cpu_ticks": sum(ticks) if len(ticks) == 8 else None,
        "stolen_ticks": ticks[7] if len(ticks) == 8 else None,
        "swapped_pages": sum(swapped) if swapped else None,
        "heat_throttles": sum(counted) if counted else None,
        "quota_throttles": throttled_periods(host),
    }


def difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, int | None]:
    """By how much each counter grew; None where it is not to be had."""
    return {
        name: None if after[name] is None or before[name] is None else after[name] - before[name]
        for name in after
    }
