"""Describe the processor: its model, the CPUs that may be used, and its settings.

The source is ``/proc`` and ``/sys`` on Linux (the kernel's ``admin-guide/pm/cpufreq`` and
``admin-guide/cputopology``), ``sysctl`` on macOS. Whatever the system does not say is None.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from typing import Any

from benchmarks.machine.cgroup import quota_cpus
from benchmarks.machine.host import Host

CPUS = "sys/devices/system/cpu"
# libraries choose their code by these; a hypervisor can hide some of them although the name of the
# processor stays the same
INSTRUCTIONS = (
    "sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx_vnni",
    "amx_tile", "amx_bf16", "amx_int8", "asimd", "asimddp", "bf16", "i8mm", "sve", "sve2",
)  # fmt: skip
VIRTUAL_MAKERS = ("qemu", "kvm", "vmware", "virtualbox", "xen", "bochs", "openstack", "parallels")


def stable(host: Host) -> dict[str, Any]:
    """Return what identifies the processor and the share of it that may be used.

    The keys are those of a machine's description, such as ``cpu`` and ``usable``.
    """
    blocks = _cpuinfo(host)
    cpus = usable_cpus(host)
    return {
        "cpu": _name(host, blocks),
        "cpu_revision": _revision(blocks),
        "instructions": _instructions(blocks),
        "cores": len(_online(host)),
        "usable": {
            "cpus": len(cpus),
            "cores": _physical_cores(host, cpus),
            "kinds": _kinds(host, blocks, cpus),
        },
        "quota_cpus": quota_cpus(host),
    }


def settings(host: Host) -> dict[str, Any]:
    """Return the processor's settings and states, which are no part of the machine's identity.

    The keys are those of a machine's description, such as ``governor`` and ``clock_mhz``.
    """
    blocks, cpus = _cpuinfo(host), usable_cpus(host)
    return {
        "affinity": cpus,
        "isolated": sorted(cpu_list(host.text(f"{CPUS}/isolated") or "") & set(cpus)),
        "governor": _governors(host, cpus),
        "turbo": _turbo(host),
        "smt": _switch(host, f"{CPUS}/smt/active"),
        "clock_mhz": _clock(host, blocks, cpus),
        "virtual": _virtual(host, blocks),
        "container": _container(host),
        "on_battery": _on_battery(host),
    }


def usable_cpus(host: Host) -> list[int]:
    """Return the numbers of the CPUs that this process may run on, sorted."""
    online, allowed = _online(host), host.affinity()
    return sorted(online if allowed is None else allowed)


def cpu_list(text: str) -> set[int]:
    """Return the CPUs of a list as the kernel writes it: ``0-3,8`` is 0, 1, 2, 3 and 8."""
    numbers: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.strip().isdigit():
            numbers |= set(range(int(first), int(last or first) + 1))
    return numbers


def _online(host: Host) -> set[int]:
    """Return the numbers of the CPUs that are switched on."""
    return cpu_list(host.text(f"{CPUS}/online") or "") or set(range(os.cpu_count() or 1))


def _cpuinfo(host: Host) -> list[dict[str, str]]:
    """Return the fields of each CPU's block in ``/proc/cpuinfo``, in the order of the file."""
    blocks = (host.text("proc/cpuinfo") or "").split("\n\n")
    pairs = ((line.partition(":") for line in block.splitlines()) for block in blocks)
    return [{key.strip(): value.strip() for key, _, value in block} for block in pairs]


def _name(host: Host, blocks: list[dict[str, str]]) -> str:
    """Return the model of the processor, or of each kind of core that it has."""
    names = {block["model name"] for block in blocks if block.get("model name")}
    if not names:  # ARM has numbers instead, a pair for each kind of core
        names = {
            f"ARM implementer {block.get('CPU implementer', '?')} part {block['CPU part']}"
            for block in blocks
            if block.get("CPU part")
        }
    name = " + ".join(sorted(names))
    if not name and host.real:
        name = host.call(["sysctl", "-n", "machdep.cpu.brand_string"]) or platform.processor()
    return name or platform.machine()


def _revision(blocks: list[dict[str, str]]) -> str | None:
    """Return family, model and stepping of the processor, such as ``25/1/1``; None if unknown.

    A cloud gives several generations the same name.
    """
    for names in (("cpu family", "model", "stepping"), ("CPU variant", "CPU revision")):
        values = [blocks[0].get(name) for name in names]
        if all(values):
            return "/".join(str(value) for value in values)
    return None


def _flags(blocks: list[dict[str, str]]) -> list[str]:
    """Return the names of the processor's features, as the kernel lists them."""
    return (blocks[0].get("flags") or blocks[0].get("Features") or "").split()


def _instructions(blocks: list[dict[str, str]]) -> list[str] | None:
    """Return which of `INSTRUCTIONS` the processor has; None if the system lists none."""
    flags = _flags(blocks)
    return [name for name in INSTRUCTIONS if name in flags] if flags else None


def _physical_cores(host: Host, cpus: list[int]) -> int | None:
    """Return the number of cores behind the CPUs: two threads of one core are one core."""
    groups = {host.text(f"{CPUS}/cpu{n}/topology/thread_siblings_list") for n in cpus}
    return None if None in groups else len(groups)


def _kinds(host: Host, blocks: list[dict[str, str]], cpus: list[int]) -> dict[str, int]:
    """Return the number of CPUs of each kind of core, for Intel's hybrids and ARM; else nothing."""
    arm = (block for block in blocks if block.keys() >= {"processor", "CPU part"})
    kind_of = {int(block["processor"]): block["CPU part"] for block in arm}
    for kind in ("cpu_core", "cpu_atom"):
        for n in cpu_list(host.text(f"sys/devices/{kind}/cpus") or ""):
            kind_of[n] = kind
    return dict(sorted(Counter(kind_of[n] for n in cpus if n in kind_of).items()))


def _governors(host: Host, cpus: list[int]) -> list[str] | None:
    """Return the clock governors of the usable CPUs, each once; None without clock control."""
    governors = {host.text(f"{CPUS}/cpu{n}/cpufreq/scaling_governor") for n in cpus} - {None}
    return sorted(str(name) for name in governors) or None


def _turbo(host: Host) -> bool | None:
    """Return whether the clock may rise above the nominal one; None if the system does not say."""
    off = _switch(host, f"{CPUS}/intel_pstate/no_turbo")
    return _switch(host, f"{CPUS}/cpufreq/boost") if off is None else not off


def _switch(host: Host, path: str) -> bool | None:
    """Return whether the file holds 1; None if it holds no number."""
    value = host.number(path)
    return None if value is None else value == 1


def _clock(host: Host, blocks: list[dict[str, str]], cpus: list[int]) -> dict[str, float] | None:
    """Return ``low`` and ``high``, the range of the usable CPUs' clocks now, in MHz.

    None if the system does not tell a clock.
    """
    readings = [host.number(f"{CPUS}/cpu{n}/cpufreq/scaling_cur_freq") for n in cpus]
    clocks = [kilohertz / 1000 for kilohertz in readings if kilohertz is not None]
    if not clocks:
        clocks = [float(block["cpu MHz"]) for block in blocks if block.get("cpu MHz")]
    return {"low": min(clocks), "high": max(clocks)} if clocks else None


def _virtual(host: Host, blocks: list[dict[str, str]]) -> bool | None:
    """Return whether this is a virtual machine: on x86 by a processor flag, else by the maker."""
    if "flags" in blocks[0]:
        return "hypervisor" in _flags(blocks)
    names = ("sys_vendor", "product_name")
    maker = " ".join(host.text(f"sys/class/dmi/id/{name}") or "" for name in names).lower()
    return any(name in maker for name in VIRTUAL_MAKERS) if maker.strip() else None


def _container(host: Host) -> str | None:
    """Return the name of the container engine that this process runs under; None outside one."""
    for path, name in ((".dockerenv", "docker"), ("run/.containerenv", "podman")):
        if host.text(path) is not None:
            return name
    if "KUBERNETES_SERVICE_HOST" in host.environ:
        return "kubernetes"
    return host.environ.get("container")


def _on_battery(host: Host) -> bool | None:
    """Return whether a battery of the machine, not of a mouse, is discharging; None if none."""
    states = [
        host.text(f"{supply}/status")
        for supply in host.glob("sys/class/power_supply/*")
        if host.text(f"{supply}/type") == "Battery" and host.text(f"{supply}/scope") != "Device"
    ]
    return "Discharging" in states if states else None
