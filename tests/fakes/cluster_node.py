"""Run the process of a node with fake workers: ``cluster_node.py -m MODULE NAME``.

It stands in the place of an interpreter, ``python:`` of a cluster file. Environment variables
inject faults, each on the node of that name alone:

- ``FAKE_NODE_CANARY``: a canary fails.
- ``FAKE_NODE_TORCH``: another torch is installed.
- ``FAKE_NODE_CLASS``: the processor is another one.
- ``FAKE_NODE_BUSY``: another run measures there.
- ``FAKE_NODE_DIES``: the process gets SIGKILL at its second unit, once (a file says that it has).
- ``FAKE_NODE_HANGS``: any node hangs at its second unit.
- ``FAKE_NODE_SECONDS``: each unit takes so long.

``FAKE_NODE_LOG`` names a folder, in which each node notes the units that it begins.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import time
from pathlib import Path
from typing import Any

MODULE, NAME = sys.argv[-2], sys.argv[-1]
sys.path.insert(0, os.getcwd())

from benchmarks.harness.launches import pool as pools  # noqa: E402
from benchmarks.harness.measurement import canaries, group  # noqa: E402
from benchmarks.harness.protocol import flow  # noqa: E402
from benchmarks.harness.session import lock  # noqa: E402
from benchmarks.machine import environment  # noqa: E402
from tests.fakes.fake_workers import FakeLaunch  # noqa: E402

describe, installed = environment.describe, environment.installed
begun = 0


def is_here(fault: str) -> bool:
    """Return whether a fault is that of this node."""
    return os.environ.get(f"FAKE_NODE_{fault}") == NAME


def described(*_: Any) -> dict[str, Any]:
    """Describe this machine, and begin with a unit."""
    machine = describe()
    if is_here("CLASS"):
        machine["cpu"] = "another processor"
        machine["id"] = environment.identity(machine)
    return machine


def with_other_torch(package: str) -> str | None:
    """Return the version of a package."""
    return "0.1" if package == "torch" and is_here("TORCH") else installed(package)


def take_canaries(job: Any, _: Any) -> dict[str, Any]:
    """Say that a canary passed, or failed."""
    verdict = {key: job[key] for key in ("framework", "device", "dtype")}
    verdict |= {"canary": "sleep", "passed": not is_here("CANARY"), "said": "1.1 of 1 s"}
    verdict |= {"ratio": None, "tries": 1}
    return {"verdicts": [verdict], "product_seconds": {}, "spent": {}, "worker_seconds": 0.0}


def take_lock(self: Any) -> None:
    """Take the machine, which this process may share with others: each has its own in truth."""
    if is_here("BUSY"):
        raise lock.Busy("another run is measuring on this machine")


def measure(job: Any, pool: Any) -> Any:
    """Measure a group; at the first of the second unit this process may die or hang."""
    global begun
    unit = f"{job['scenario']} {job['size']} {job['phase']}"
    folder = Path(os.environ["FAKE_NODE_LOG"])
    units = {line.rpartition(" ")[0] for line in log(folder)} | {unit.rpartition(" ")[0]}
    with (folder / f"{NAME}.log").open("a") as file:
        file.write(unit + "\n")
    time.sleep(float(os.environ.get("FAKE_NODE_SECONDS", "0")))
    second, died = len(units) > 1, folder / "died"
    if second and is_here("DIES") and not died.exists():
        died.touch()
        os.kill(os.getppid() if "FAKE_NODE_WORKER" in os.environ else os.getpid(), signal.SIGKILL)
        time.sleep(60.0)
    if second and "FAKE_NODE_HANGS" in os.environ:
        time.sleep(600.0)
    return measure_group(job, pool)


def log(folder: Path) -> list[str]:
    """Return what this node has noted so far."""
    file = folder / f"{NAME}.log"
    return file.read_text().splitlines() if file.exists() else []


measure_group = group.measure_group
flow.BLOCKED["fake"] = "absent"
pools.Launch = FakeLaunch  # type: ignore[attr-defined]
environment.describe = described  # type: ignore[assignment]
environment.installed = with_other_torch
canaries.measure_canaries = take_canaries  # type: ignore[assignment]
lock.Lock.take = take_lock  # type: ignore[method-assign]
group.measure_group = measure
sys.argv = [MODULE, NAME]
runpy.run_module(MODULE, run_name="__main__", alter_sys=True)
