"""Keep the traces of each machine apart: a folder for each, which says whose traces it holds.

The rates of the trial are those of the machine that its traces come from. `folder_here` is where a
recording on this machine belongs, beside those of other machines.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import re
import time
from pathlib import Path
from typing import Any

from benchmarks.evaluation.trial.traces import TraceError
from benchmarks.machine import environment

FILE = "machine.json"
PACKAGES = ("torch", "jax", "flax", "numpy", "scipy", "pytest-benchmark", "pyperf", "asv")
SAME = ("cpu", "cores")  # what must agree for traces to be of one machine
MARKS = re.compile(r"\((r|tm)\)|\b(processor|cpu)\b", re.IGNORECASE)  # what no CPU's name needs


def identity() -> dict[str, Any]:
    """Return CPU, cores and versions of this machine, and today's date; nothing names its owner."""
    described = environment.describe()
    return {
        "cpu": _plain_name(described.get("cpu")),
        "cores": described.get("cores"),
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "date": time.strftime("%Y-%m-%d"),
    }


def folder_here(root: Path) -> Path:
    """Return the folder of this machine's traces, named after its CPU, its cores and today.

    Args:
        root: the folder that holds one folder for each machine.
    """
    here = identity()
    cpu = re.sub(r"[^a-z0-9]+", "-", str(here["cpu"]).lower()).strip("-")
    return root / f"{cpu}-{here['cores']}-cores-{here['date']}"


def identify(folder: Path) -> None:
    """Write down that a folder's traces are of this machine.

    Raises:
        TraceError: they are of another one.
    """
    path, here = folder / FILE, identity()
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(here, indent=1) + "\n")
        return
    there = read(folder)
    if any(there[key] != here[key] for key in SAME):
        raise TraceError(
            f"{folder} holds traces of another machine ({_in_words(there)}), and this one is "
            f"{_in_words(here)}; record into a folder of its own: --traces FOLDER"
        )


def read(folder: Path) -> dict[str, Any]:
    """Return what is known of the machine that a folder's traces come from.

    Raises:
        TraceError: the folder does not say.
    """
    try:
        machine: dict[str, Any] = json.loads((folder / FILE).read_text())
    except (OSError, ValueError) as error:
        raise TraceError(
            f"{folder} does not say which machine its traces come from: {FILE}: {error}"
        ) from None
    return machine


def recorded(root: Path) -> list[Path]:
    """Return the folders of all machines below ``root``, in the order of their recording."""
    folders = [path.parent for path in root.glob(f"*/{FILE}")]
    return sorted(folders, key=lambda folder: (read(folder)["date"], folder.name))


def in_words(folder: Path) -> str:
    """Return the machine of a folder in words: ``AMD EPYC, 2 cores, 2026-11-21``."""
    machine = read(folder)
    return f"{_in_words(machine)}, {machine['date']}"


def _plain_name(cpu: str | None) -> str | None:
    """Return a CPU's name without marks of registration: ``Intel Xeon``; None if it is unknown."""
    return None if cpu is None else " ".join(MARKS.sub(" ", cpu).split())


def _in_words(machine: dict[str, Any]) -> str:
    """Return CPU and cores of a machine in words."""
    return f"{machine['cpu']}, {machine['cores']} cores"


def _version(package: str) -> str | None:
    """Return the version of an installed package; None if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
