"""What was measured on: the stable part is the machine's identity, the rest stands beside it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

from benchmarks.machine import activity, graphics, processor
from benchmarks.machine.host import Host
from benchmarks.paths import ROOT

PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax", "numpy")
# what comes along with a framework and does its work on a GPU or in its matrix products
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
XLA_WRITES = "--xla_dump"  # where XLA writes what it compiled: often another folder each time
MADE = ("reference", "runs", "reports", "regressions")  # by sessions, under results/

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
    """The machine part of a run, without asking any framework.

    ``id`` hashes only what is stable, the keys named in ``stable``: processor and the share of it
    that may be used, GPU and driver, versions, settings of threads and precision. What is null has
    its reason in ``missing``.
    """
    host = host or Host()
    found_gpus = graphics.gpus(host)
    found: dict[str, Any] = {
        **processor.stable(host),
        **graphics.stable(found_gpus),
        **{name: installed(name) for name in PACKAGES},
        "libraries": _libraries(),
        "threads": {name: host.environ.get(name) for name in THREAD_SETTINGS},
        "precision": {name: host.environ.get(name) for name in PRECISION_SETTINGS},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "kernel": platform.release(),
        **processor.settings(host),
        "gpu_state": graphics.state(found_gpus),
        **activity.memory(host),
        "load": activity.load_average(host),
        **_commit(host),
    }
    missing = {name: WHY_MISSING[name] for name, value in found.items() if value is None}
    return {"id": identity(found), **found, "stable": list(STABLE), "missing": missing}


def identity(machine: Mapping[str, Any]) -> str:
    """Twelve digits that are the same for as long as times may be compared."""
    kept = {name: machine[name] for name in STABLE}
    kept["threads"] = kept["threads"] | {"XLA_FLAGS": xla_flags(kept["threads"]["XLA_FLAGS"])}
    text = json.dumps(kept, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def xla_flags(text: str | None) -> dict[str, str]:
    """What the flags set, whatever their order; of a flag given twice the last counts."""
    pairs = (flag.partition("=") for flag in (text or "").split())
    return {name: value for name, _, value in pairs if not name.startswith(XLA_WRITES)}


def installed(package: str) -> str | None:
    """The version of an installed package, from its metadata: importing it would take seconds."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _libraries() -> dict[str, str]:
    """The versions of what frameworks bring along: another cuDNN is another speed."""
    found: dict[str, str] = {}
    for package in importlib.metadata.distributions():
        name = (package.name or "").lower().replace("_", "-")
        if name.startswith(LIBRARIES):  # the first on the path is the one that is imported
            found.setdefault(name, package.version)
    return dict(sorted(found.items()))


def _commit(host: Host) -> dict[str, Any]:
    """What was measured is code: runs and reports that were made meanwhile are no change of it."""
    git = ["git", "--no-optional-locks", "-C", str(ROOT)]
    made = [f":(exclude)results/{name}" for name in MADE]
    commit = host.call([*git, "rev-parse", "HEAD"])
    changes = host.call([*git, "status", "--porcelain", "--", ".", *made])
    return {"commit": commit, "dirty": None if commit is None else bool(changes)}
