"""Read the CPU quota, and the limit of memory, of the control group (cgroup) of this process.

A quota is no affinity: the process sees every CPU, starts a thread on each, and is stopped for the
rest of each period once its threads have used the quota up together. A quota holds for all groups
below the one that it is set on, so the tightest on the way up counts. So it is with memory, of
which ``/proc/meminfo`` tells that of the whole machine.

Sources: the kernel's ``admin-guide/cgroup-v2`` (``cpu.max``, ``memory.max``),
``scheduler/sched-bwc`` (``cpu.cfs_quota_us``) and ``admin-guide/cgroup-v1/memory``.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.machine.host import Host

# names of the files with the limit and with what is held, and of what could be given back at once
MEMORY = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)
UNLIMITED = 2**60  # bytes; the first version writes a number near 2^63 where there is no limit


def quota_cpus(host: Host) -> float | None:
    """Return the quota in CPUs, such as 1.5; None if there is no limit."""
    quotas = [quota for folder in _folders(host) if (quota := _quota(host, folder)) is not None]
    return min(quotas, default=None)


def throttled_periods(host: Host) -> int | None:
    """Return how often the quota has stopped this process's group so far; None if not counted."""
    for folder in _folders(host):
        for line in (host.text(f"{folder}/cpu.stat") or "").splitlines():
            name, _, value = line.partition(" ")
            if name == "nr_throttled" and value.isdigit():
                return int(value)
    return None


def memory(host: Host) -> tuple[int, int] | None:
    """Return the most bytes that may be held, and how many of them are free; None if unlimited."""
    found = [one for folder in _folders(host, "memory") if (one := _memory(host, folder))]
    return (min(most for most, _ in found), min(free for _, free in found)) if found else None


def _memory(host: Host, folder: str) -> tuple[int, int] | None:
    """Return the limit that is set on the group itself, and what is free; None if there is none."""
    for limit, current, reclaimable in MEMORY:
        most, held = (host.number(f"{folder}/{name}") for name in (limit, current))
        if most is not None and held is not None and most < UNLIMITED:
            lines = (host.text(f"{folder}/memory.stat") or "").splitlines()
            known = dict(line.split(" ", 1) for line in lines if " " in line)
            return most, max(0, most - held + int(known.get(reclaimable, 0)))
    return None


def _folders(host: Host, controller: str = "cpu") -> Iterator[str]:
    """Yield the folders of this process's group and of those above it, nearest first.

    Both versions of cgroups are covered. In a container the path may be the host's, of which only
    the top is mounted: the way up reaches that.
    """
    for line in (host.text("proc/self/cgroup") or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:
            bases = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif controller in controllers.split(","):
            bases = [f"sys/fs/cgroup/{controllers}", f"sys/fs/cgroup/{controller}"]
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for base in bases:
            yield from ("/".join([base, *parts[:n]]) for n in range(len(parts), -1, -1))


def _quota(host: Host, folder: str) -> float | None:
    """Return the quota that is set on the group itself, in CPUs; None if there is none."""
    both = (host.text(f"{folder}/cpu.max") or "").split()
    if not both:
        both = [host.text(f"{folder}/cpu.cfs_{name}_us") or "" for name in ("quota", "period")]
    try:
        quota, period = (int(value) for value in both)
    except ValueError:  # "max", or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None
