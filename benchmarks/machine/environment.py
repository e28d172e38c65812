"""Describe the machine of a run: a stable part, which is its identity, and its present state."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

from benchmarks.machine import activity, graphics, processor
from benchmarks.machine.host import Host
from benchmarks.paths import INSTALLED, ROOT

PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax", "numpy")
# prefixes of packages that frameworks bring along for GPUs and matrix products
LIBRARIES = ("nvidia-", "jax-cuda", "triton", "mkl", "intel-openmp")
STABLE = (
    "cpu", "cpu_revision", "instructions", "cores", "usable", "quota_cpus", "gpu", "gpus", "driver",
    "threads", "precision", "python", "libraries", *PACKAGES,
)  # fmt: skip
THREAD_SETTINGS = (
    "OMP_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS", "NPROC", "OMP_DYNAMIC", "MKL_DYNAMIC",
    "OMP_WAIT_POLICY", "OMP_PROC_BIND", "OMP_PLACES", "GOMP_SPINCOUNT", "GOMP_CPU_AFFINITY",
    "KMP_AFFINITY", "KMP_BLOCKTIME",
)  # fmt: skip
PRECISION_SETTINGS = (
    "NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE", "JAX_DEFAULT_MATMUL_PRECISION",
    "ONEDNN_DEFAULT_FPMATH_MODE", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS",
)  # fmt: skip
XLA_WRITES = "--xla_dump"  # the folder for compiled programs, which often differs each time
# folders under results/ that sessions and reports write into
MADE = ("reference", "runs", "reports", "regressions")

_NO_CPUFREQ = "the system shows no clock control (a virtual machine, or not Linux)"
WHY_MISSING = {
    "cpu_revision": "the system does not tell the processor's revision",
    "instructions": "the system does not list the processor's instructions",
    "quota_cpus": "no CPU quota is set",
    "gpu": "no GPU is to be seen",
    "driver": "no GPU driver is to be seen",
    "governor": _NO_CPUFREQ,
    "turbo": _NO_CPUFREQ,
    "smt": "the system does not tell whether a core runs two threads",
    "clock_mhz": "the system does not tell the clock",
    "virtual": "the system does not tell whether it is a virtual machine",
    "container": "no mark of a container",
    "on_battery": "no battery is to be seen",
    "memory_bytes": "the system does not tell its memory",
    "memory_available_bytes": "the system does not tell its free memory",
    "swap_used_bytes": "the system does not tell its swap",
    "load": "the system does not tell its load",
    "commit": "no git here, or not a work tree",
    "dirty": "no git here, or not a work tree",
    **dict.fromkeys(PACKAGES, "not installed"),
}


def describe(host: Host | None = None) -> dict[str, Any]:
    """Return the description of the machine that a run records; no framework is imported.

    ``id`` hashes the stable keys alone, which ``stable`` names: processor and the share of it that
    may be used, GPU and driver, versions, settings of threads and precision. ``missing`` holds the
    reason for each key that is None.
    """
    host = host or Host()
    gpus = graphics.gpus(host)
    machine: dict[str, Any] = {
        **processor.stable(host),
        **graphics.stable(gpus),
        **{name: installed(name) for name in PACKAGES},
        "libraries": _libraries(),
        "threads": {name: host.environ.get(name) for name in THREAD_SETTINGS},
        "precision": {name: host.environ.get(name) for name in PRECISION_SETTINGS},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        **processor.settings(host),
        "gpu_state": graphics.state(gpus),
        **activity.memory(host),
        "load": activity.load_average(host),
        **_commit(host),
    }
    missing = {name: WHY_MISSING[name] for name, value in machine.items() if value is None}
    return {"id": identity(machine), **machine, "stable": list(STABLE), "missing": missing}


def identity(machine: Mapping[str, Any]) -> str:
    """Return twelve hexadecimal digits that stay the same as long as times can be compared."""
    stable = {name: machine[name] for name in STABLE}
    stable["threads"] = stable["threads"] | {"XLA_FLAGS": xla_flags(stable["threads"]["XLA_FLAGS"])}
    text = json.dumps(stable, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def xla_flags(text: str | None) -> dict[str, str]:
    """Return name → value of the XLA flags in a text; of a flag that is set twice the last counts.

    Flags that begin with `XLA_WRITES` are left out: the folder they name often differs each time.
    """
    pairs = (flag.partition("=") for flag in (text or "").split())
    return {name: value for name, _, value in pairs if not name.startswith(XLA_WRITES)}


def installed(package: str) -> str | None:
    """Return the version of a package; None if it is not installed.

    It is read from the metadata, as importing the package would take seconds.
    """
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _libraries() -> dict[str, str]:
    """Return package → version of the libraries that frameworks bring along, such as cuDNN.

    With another version of these, times may differ.
    """
    versions: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        name = (package.name or "").lower().replace("_", "-")
        if name.startswith(LIBRARIES):  # the first on the path is the one that is imported
            versions.setdefault(name, package.version)
    return dict(sorted(versions.items()))


def _commit(host: Host) -> dict[str, Any]:
    """Return ``commit``, of this repository, and ``dirty``, whether its code has changed since.

    Runs and reports that were written meanwhile are no change of the code. A suite that was
    installed from a package has neither: a repository around it is the user's.
    """
    if INSTALLED:
        return {"commit": None, "dirty": None}
    git = ["git", "--no-optional-locks", "-C", str(ROOT)]
    made = [f":(exclude)results/{name}" for name in MADE]
    commit = host.call([*git, "rev-parse", "HEAD"])
    changes = host.call([*git, "status", "--porcelain", "--", ".", *made])
    return {"commit": commit, "dirty": None if commit is None else bool(changes)}
