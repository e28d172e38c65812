"""What was measured on: the stable part is the machine's identity, the rest stands beside it."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax", "numpy")
STABLE = ("cpu", "cores", "affinity", "gpu", "driver", "threads", *PACKAGES)
THREAD_SETTINGS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "XLA_FLAGS")


def describe() -> dict[str, Any]:
    """The machine part of a run, without asking any framework.

    ``id`` hashes only what is stable: processor, cores, GPU and driver, versions, thread settings.
    """
    found: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "affinity": sorted(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "platform": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **_gpu(),
        **{name: installed(name) for name in PACKAGES},
        "threads": {name: os.environ.get(name) for name in THREAD_SETTINGS},
        "load": list(os.getloadavg()),
        **_commit(),
    }
    text = json.dumps({name: found[name] for name in STABLE}, sort_keys=True)
    return {"id": hashlib.sha256(text.encode()).hexdigest()[:12], **found}


def installed(package: str) -> str | None:
    """The version of an installed package, from its metadata: importing it would take seconds."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _gpu() -> dict[str, str | None]:
    query = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]
    lines = (_output(query) or "").splitlines()
    name, _, driver = lines[0].partition(", ") if lines else ("", "", "")
    return {"gpu": name or None, "driver": driver or None}


def _commit() -> dict[str, Any]:
    root = str(Path(__file__).resolve().parents[2])
    commit = _output(["git", "-C", root, "rev-parse", "HEAD"])
    changes = _output(["git", "-C", root, "status", "--porcelain"])
    return {"commit": commit, "dirty": None if commit is None else bool(changes)}


def _output(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
