"""Write cluster files whose nodes run fake workers, and read what the nodes noted."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

from benchmarks.paths import ROOT
from tests.helpers.fake_framework import FAKES


def fake_python(folder: Path) -> Path:
    """Write a program that runs a node with fake workers, in the place of an interpreter."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{FAKES}/cluster_node.py" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def write_cluster_file(folder: Path, *lines: str, **faults: str) -> Path:
    """Write a cluster file.

    Args:
        folder: of the file, and of what the nodes note.
        lines: of the file, the one with the backend first.
        faults: see ``tests/fakes/cluster_node.py``.
    """
    (folder / "noted").mkdir(exist_ok=True)
    environment = {
        "PYTHONPATH": f"{FAKES}:{ROOT}",
        "FAKE_NODE_LOG": str(folder / "noted"),
    } | {f"FAKE_NODE_{name}": value for name, value in faults.items()}
    path = folder / "cluster.yml"
    text = [*lines, f"python: {fake_python(folder)}", "environment:"]
    text += [f'  {name}: "{value}"' for name, value in environment.items()]
    path.write_text("\n".join(text) + "\n")
    return path


def units_of_nodes(folder: Path) -> dict[str, list[str]]:
    """Return node → the units that it began, in order, such as ``linear_cascade seed``."""
    return {
        path.stem: list(
            dict.fromkeys(line.rpartition(" ")[0] for line in path.read_text().splitlines())
        )
        for path in sorted((folder / "noted").glob("*.log"))
    }
