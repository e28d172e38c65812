"""Read the CPU quota of the control group (cgroup) that this process is in.

A quota is no affinity: the process sees every CPU, starts a thread on each, and is stopped for the
rest of each period once its threads have used the quota up together. A quota holds for all groups
below the one that it is set on, so the tightest on the way up counts.

Sources: the kernel's ``admin-guide/cgroup-v2`` (``cpu.max``) and ``scheduler/sched-bwc``
(``cpu.cfs_quota_us``).
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.machine.host import Host


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


def _folders(host: Host) -> Iterator[str]:
    """Yield the folders of this process's group and of those above it, nearest first.

    Both versions of cgroups are covered. In a container the path may be the host's, of which only
    the top is mounted: the way up reaches that.
    """
    for line in (host.text("proc/self/cgroup") or "").splitlines():
        controllers, _, path = line.partition(":")[2].partition(":")
        if not controllers:
            bases = ["sys/fs/cgroup", "sys/fs/cgroup/unified"]
        elif "cpu" in controllers.split(","):
            bases = [f"sys/fs/cgroup/{controllers}", "sys/fs/cgroup/cpu"]
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
