"""Find what disturbs timing on this machine, with advice for each disturbance.

``docs/doctor.md`` says why each matters and where the advice comes from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.machine.activity import Process
from benchmarks.machine.graphics import HARMLESS

OK, WARNING, UNKNOWN = "ok", "warning", "unknown"
LOAD_SHARE = 0.25  # of the usable CPUs; an idle desktop stays below
BUSY_CPUS = 0.1  # a process that keeps a tenth of a CPU busy is named
SWAP_SHARE = 0.01  # of the memory; less than that in swap is pages that nobody uses
NEEDED_BYTES = 5 * 2**30  # by a default run: 14 workers of about 0.3 GiB each
STOLEN_SHARE = 0.01  # of the time; more taken by the host disturbs
TASKSET = "give both the same CPUs with: taskset -c 0-3 cascade-bench …"
LOCK_CLOCK = "sudo nvidia-smi -lgc MHZ,MHZ (nvidia-smi -q -d SUPPORTED_CLOCKS; undo it with -rgc)"

Machine = Mapping[str, Any]  # description of a machine, see `environment.describe`


@dataclass(frozen=True)
class Finding:
    """Hold the result of one check.

    ``state`` is ok, warning or unknown, ``found`` the value that was read, in words.
    """

    name: str
    state: str
    found: str
    advice: str | None = None


def check_machine(machine: Machine) -> list[Finding]:
    """Return a finding for each setting of the machine that `environment.describe` returns."""
    return [
        _governor(machine),
        _turbo(machine),
        _smt(machine),
        _virtual(machine),
        _quota(machine),
        _isolated(machine),
        _battery(machine),
        _load(machine),
        _memory(machine),
        _swap(machine),
        _threads(machine),
        _waiting(machine),
        _xla(machine),
    ]


def _unknown(name: str, machine: Machine, key: str) -> Finding:
    """Return the finding that a value is unknown, with the reason recorded under its key."""
    return Finding(name, UNKNOWN, machine["missing"].get(key, "not to be seen"))


def _governor(machine: Machine) -> Finding:
    """Warn unless the clock's governor is ``performance``, which holds the clock high."""
    governors = machine["governor"]
    if governors is None:
        return _unknown("clock governor", machine, "governor")
    text = ", ".join(governors)
    if governors == ["performance"]:
        return Finding("clock governor", OK, text)
    advice = "sudo cpupower frequency-set --governor performance"
    return Finding("clock governor", WARNING, f"{text}: the clock follows the load", advice)


def _turbo(machine: Machine) -> Finding:
    """Warn of a turbo clock, which depends on heat."""
    if machine["turbo"] is None:
        return _unknown("turbo", machine, "turbo")
    if not machine["turbo"]:
        return Finding("turbo", OK, "off: the clock does not depend on heat")
    advice = (
        "for times to compare across days switch it off: echo 1 | sudo tee /sys/devices/system/cpu/"
        "intel_pstate/no_turbo, or echo 0 into cpufreq/boost; ratios within a run need it less"
    )
    return Finding(
        "turbo", WARNING, "on: the clock depends on heat and on how many cores work", advice
    )


def _smt(machine: Machine) -> Finding:
    """Warn where two of the usable CPUs are threads of one core."""
    usable = machine["usable"]
    cpus, cores = usable["cpus"], usable["cores"]
    if machine["smt"] is None and cores is None:
        return _unknown("threads per core", machine, "smt")
    if cores in (None, cpus):
        return Finding("threads per core", OK, "one usable CPU on each core")
    advice = (
        "use one CPU of each core (lscpu --extended shows them): taskset -c LIST cascade-bench …"
    )
    return Finding("threads per core", WARNING, f"{cpus} usable CPUs share {cores} cores", advice)


def _virtual(machine: Machine) -> Finding:
    """Warn of a virtual machine, whose host may take the CPU away."""
    if machine["virtual"] is None:
        return _unknown("virtual machine", machine, "virtual")
    if not machine["virtual"]:
        return Finding("virtual machine", OK, "no")
    advice = (
        "its neighbours and its clock are out of sight: prefer a machine of your own, else trust "
        "the noise below and take more launches"
    )
    return Finding("virtual machine", WARNING, "yes: the host may take the CPU away", advice)


def _quota(machine: Machine) -> Finding:
    """Warn of a CPU quota below the number of usable CPUs."""
    quota, cpus = machine["quota_cpus"], machine["usable"]["cpus"]
    if quota is None or quota >= cpus:
        return Finding("CPU quota", OK, "none" if quota is None else f"{quota:g} of {cpus} CPUs")
    advice = (
        f"both frameworks start {cpus} threads and are stopped in bursts: raise the quota, or "
        f"use whole CPUs instead (docker --cpuset-cpus, taskset -c 0-{max(1, int(quota)) - 1})"
    )
    return Finding("CPU quota", WARNING, f"{quota:g} CPUs' time on {cpus} CPUs", advice)


def _isolated(machine: Machine) -> Finding:
    """Warn of CPUs set apart by ``isolcpus``: the kernel does not spread threads over them."""
    isolated = machine["isolated"]
    if len(isolated) < 2:
        return Finding("isolated CPUs", OK, "one" if isolated else "none of those usable")
    advice = "both frameworks' threads pile up on one of them: set CPUs apart with a cpuset instead"
    return Finding("isolated CPUs", WARNING, f"{len(isolated)} usable CPUs are isolated", advice)


def _battery(machine: Machine) -> Finding:
    """Warn of a machine that runs on its battery."""
    if machine["on_battery"]:
        return Finding("power", WARNING, "on battery: the clock is held down", "plug it in")
    return Finding("power", OK, "no battery" if machine["on_battery"] is None else "plugged in")


def _load(machine: Machine) -> Finding:
    """Warn of a load that shows other processes at work."""
    if machine["load"] is None:
        return _unknown("load", machine, "load")
    cpus, load = machine["usable"]["cpus"], machine["load"][0]
    text = f"{load:.2f} over the last minute; usable CPUs: {cpus}"
    if load <= LOAD_SHARE * cpus:
        return Finding("load", OK, text)
    return Finding("load", WARNING, text, "wait a minute and look again, or stop what runs")


def _memory(machine: Machine) -> Finding:
    """Warn of too little free memory for a default run."""
    free = machine["memory_available_bytes"]
    if free is None:
        return _unknown("memory", machine, "memory_available_bytes")
    if free >= NEEDED_BYTES:
        return Finding("memory", OK, f"{_gib(free)} free")
    advice = "measure one framework at a time: --framework torch, then --framework jax"
    return Finding(
        "memory",
        WARNING,
        f"{_gib(free)} free; a default run takes about {_gib(NEEDED_BYTES)}",
        advice,
    )


def _swap(machine: Machine) -> Finding:
    """Warn of memory that is swapped out."""
    used, total = machine["swap_used_bytes"], machine["memory_bytes"]
    if used is None or total is None:
        return _unknown("swap", machine, "swap_used_bytes")
    if used <= SWAP_SHARE * total:
        return Finding("swap", OK, f"{_gib(used)} used")
    advice = "free some memory, then: sudo swapoff -a && sudo swapon -a"
    return Finding("swap", WARNING, f"{_gib(used)} used: pages may be fetched while timing", advice)


def _gib(size: float) -> str:
    """Return a size in bytes as text in GiB."""
    return f"{size / 2**30:.1f} GiB"


def _threads(machine: Machine) -> Finding:
    """Warn of variables that set the number of threads for one framework alone."""
    threads, cpus = machine["threads"], machine["usable"]["cpus"]
    counts = {name: threads[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    overruled = [
        f"{name}={value}" for name, value in counts.items() if value not in (None, str(cpus))
    ]
    reserved = threads["NPROC"]
    if reserved is not None and reserved != str(cpus):
        text = f"NPROC={reserved} sets JAX's threads, torch has {cpus}"
        return Finding("threads", WARNING, text, f"unset NPROC; {TASKSET}")
    if overruled:
        text = f"{', '.join(overruled)}: overruled, torch and JAX take every usable CPU"
        return Finding("threads", WARNING, text, f"unset it; {TASKSET}")
    return Finding("threads", OK, f"torch and JAX take every usable CPU: {cpus}")


def _waiting(machine: Machine) -> Finding:
    """Warn of OpenMP threads that sleep while they wait: each parallel region must wake them."""
    threads = machine["threads"]
    policy = threads["OMP_WAIT_POLICY"] or ""
    asleep = policy.strip().lower() == "passive"
    hurried = [f"{n}=0" for n in ("GOMP_SPINCOUNT", "KMP_BLOCKTIME") if threads[n] == "0"]
    if not asleep and not hurried:
        return Finding("waiting threads", OK, f"OMP_WAIT_POLICY={policy}" if policy else "default")
    text = ", ".join(["OMP_WAIT_POLICY=PASSIVE"] * asleep + hurried)
    advice = "unset it: it made torch's ratios far noisier where we tried it"
    return Finding("waiting threads", WARNING, f"{text}: torch's threads sleep", advice)


def _xla(machine: Machine) -> Finding:
    """Warn of XLA flags that set JAX's threads, or that XLA cannot parse."""
    flags = (machine["threads"]["XLA_FLAGS"] or "").split()
    if not flags:
        return Finding("XLA_FLAGS", OK, "unset")
    if not flags[0].startswith("--"):
        text = f"{flags[0]} has no -- in front: XLA takes it for a file's name"
        return Finding("XLA_FLAGS", WARNING, text, "JAX ends where there is no such file: unset it")
    threading = [flag for flag in flags if _sets_threads(flag)]
    if threading:
        advice = f"unset it: torch knows nothing of it; {TASKSET}"
        return Finding(
            "XLA_FLAGS", WARNING, f"{' '.join(threading)}: changes JAX's threads", advice
        )
    return Finding("XLA_FLAGS", OK, f"{' '.join(flags)} (times compare only with these set)")


def _sets_threads(flag: str) -> bool:
    """Return whether an XLA flag changes the number of JAX's threads."""
    marks = ("multi_thread_eigen", "parallelism_threads", "host_platform_device_count")
    return any(mark in flag for mark in marks)


def check_processes(busy: Sequence[tuple[Process, float]] | None) -> Finding:
    """Check for other processes that compute.

    ``busy`` holds (process, CPUs that it keeps busy), busiest first; None if they are not visible.
    """
    if busy is None:
        return Finding("other processes", UNKNOWN, "the system does not show them here")
    named = [(one, share) for one, share in busy if share >= BUSY_CPUS]
    if not named:
        return Finding("other processes", OK, f"none keeps {BUSY_CPUS:.0%} of a CPU busy")
    text = ", ".join(f"{one.label} ({one.pid}) {share:.1f}" for one, share in named[:3])
    more = f", and {len(named) - 3} more" if len(named) > 3 else ""
    advice = "stop them while measuring"
    return Finding("other processes", WARNING, f"CPUs kept busy: {text}{more}", advice)


def check_sessions(sessions: Mapping[int, int] | None) -> Finding:
    """Check for other sessions of this suite, given as process id → number of workers."""
    if sessions is None:
        return Finding("other runs", UNKNOWN, "the system does not show them here")
    if not sessions:
        return Finding("other runs", OK, "none is measuring")
    text = ", ".join(_session(pid, count) for pid, count in sorted(sessions.items()))
    return Finding("other runs", WARNING, text, "one run at a time: wait until it has ended")


def _session(pid: int, workers: int) -> str:
    """Return words about another session: its process and its number of workers."""
    many = f"{workers} worker{'' if workers == 1 else 's'}"
    # processes whose parent has ended become children of process 1
    return f"{many} left over by a run that is gone" if pid == 1 else f"process {pid} with {many}"


def check_gpus(gpus: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Yield the findings for each GPU, which are given as `graphics.gpus` describes them."""
    for index, gpu in enumerate(gpus):
        name = f"GPU {index}"
        yield _gpu_clock(name, gpu)
        yield _gpu_sharing(name, gpu)
        if gpu["persistence"] == "Disabled":
            advice = "sudo nvidia-smi -pm 1, or run nvidia-persistenced"
            yield Finding(name, WARNING, "the driver is unloaded between processes", advice)


def _gpu_clock(name: str, gpu: Mapping[str, Any]) -> Finding:
    """Warn of a GPU whose clock is held down; advise to lock a clock that is not."""
    reasons = [reason for reason in gpu["throttle_reasons"] if reason not in HARMLESS]
    if reasons:
        advice = f"let it cool, or lock a clock that it can hold: {LOCK_CLOCK}"
        return Finding(name, WARNING, f"clock held down now: {', '.join(reasons)}", advice)
    now, most = gpu["sm_clock_mhz"], gpu["max_sm_clock_mhz"]
    if now is None or most is None:
        return Finding(name, UNKNOWN, "its clock is not to be seen")
    text = f"{now:.0f} of {most:.0f} MHz now"
    if "applications_clocks_setting" in gpu["throttle_reasons"]:
        return Finding(name, OK, f"{text}, set by hand")
    return Finding(name, OK, text, f"if its clock is not locked yet: {LOCK_CLOCK}")


def _gpu_sharing(name: str, gpu: Mapping[str, Any]) -> Finding:
    """Warn of a GPU that is cut into slices or that others use."""
    if gpu["slices"]:
        advice = "memory bandwidth and power of the other slices are shared: see that they are idle"
        return Finding(name, WARNING, f"cut into {len(gpu['slices'])} MIG slices", advice)
    busy = gpu["utilization_percent"] or 0
    others = [f"{p['process_name']} ({p['pid']}, {p['type']})" for p in gpu["processes"]]
    if others or busy > 0:
        text = f"in use by {', '.join(others[:3]) or 'somebody out of sight'}, {busy:.0f} % busy"
        return Finding(name, WARNING, text, "stop them; a screen goes to another GPU")
    return Finding(name, OK, "nobody else uses it")


def check_counters(grown: Mapping[str, int | None]) -> list[Finding]:
    """Return four findings about a measurement: stolen CPU time, heat, CPU quota and swapping.

    Each is ok, a warning, or unknown where the system does not count it. ``grown`` says by how much
    each counter of `activity.counters` has grown during the measurement; None if it is unknown.
    """
    return [
        _stolen(grown),
        _happened(grown, "heat_throttles", "heat", "let the machine cool; lower the clock"),
        _happened(grown, "quota_throttles", "stopped by the quota", "raise the CPU quota"),
        _happened(grown, "swapped_pages", "swapping", "free some memory"),
    ]


def _stolen(grown: Mapping[str, int | None]) -> Finding:
    """Warn of CPU time that the host took from this virtual machine while measuring."""
    name, ticks, stolen = "time stolen by the host", grown["cpu_ticks"], grown["stolen_ticks"]
    if not ticks or stolen is None:
        return Finding(name, UNKNOWN, "the system does not count it")
    text = f"{stolen / ticks:.1%} while measuring"
    if stolen / ticks <= STOLEN_SHARE:
        return Finding(name, OK, text)
    return Finding(name, WARNING, text, "neighbours on the host are busy: measure at another hour")


def _happened(grown: Mapping[str, int | None], key: str, name: str, advice: str) -> Finding:
    """Warn if the counter ``key``, of events that disturb timing, has grown while measuring."""
    count = grown[key]
    if count is None:
        return Finding(name, UNKNOWN, "the system does not count it")
    if count <= 0:
        return Finding(name, OK, "not while measuring")
    return Finding(name, WARNING, f"{count} times while measuring", advice)
