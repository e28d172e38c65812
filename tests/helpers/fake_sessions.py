"""Whole pytest sessions on the fake framework: quick, and with a fault wherever one is wanted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.paths import ROOT
from results.records.record import Run
from results.records.storage import find_runs, load_run
from tests.helpers.fake_framework import FAKES

# 4 groups of 2 cells: each size in each phase
ARGUMENTS = [
    "benchmarks", "--benchmark-only", "--kind=backward", "--scenario=linear_cascade",
    "--framework=torch", "--strategy=summed,separate_retained", "--phase=backward,gradient",
    "--size=seed,small", "--launches=1", "--cell-seconds=0.002",
]  # fmt: skip
WAIT = 300.0  # seconds after which something hangs: never a machine that is merely busy


def environment(**faults: str) -> dict[str, str]:
    """Of a session with these faults: see the plugin."""
    path = os.pathsep.join(p for p in (str(FAKES), os.environ.get("PYTHONPATH")) if p)
    bin_first = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    options = {"PYTEST_ADDOPTS": "-p fake_workers -p no:cacheprovider"}
    return os.environ | {"PYTHONPATH": path, "PATH": bin_first} | options | faults


@contextmanager
def started(*arguments: str, **faults: str) -> Iterator[subprocess.Popen[str]]:
    """A session with the `ARGUMENTS` of every such one and these; it is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *ARGUMENTS, *arguments],
        cwd=ROOT,
        env=environment(**faults),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def session(*arguments: str, **faults: str) -> subprocess.CompletedProcess[str]:
    """One that is waited for."""
    with started(*arguments, **faults) as process:
        output, errors = process.communicate(timeout=WAIT)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def shell(command: str, **faults: str) -> subprocess.CompletedProcess[str]:
    """A command line as a user pastes it."""
    return subprocess.run(
        command, shell=True, cwd=ROOT, env=environment(**faults), capture_output=True, text=True,
        check=False, timeout=WAIT,
    )  # fmt: skip


def stopped(folder: Path, signal: int, *arguments: str, **faults: str) -> tuple[str, int]:
    """Start a session in which something hangs, stop it there; its output and exit code."""
    with started(f"--results={folder}", *arguments, **faults) as process:
        assert process.stderr is not None
        assert any("measuring 1/" in line for line in process.stderr), "it ended before measuring"
        wait_for(lambda: measured(folder) >= 2)
        process.send_signal(signal)
        output, _ = process.communicate(timeout=WAIT)
        return output, process.returncode


def measured(folder: Path) -> int:
    """How many cells of the one run in the folder are measured."""
    return sum(r["outcome"] == "ok" for path in find_runs(folder) for r in load_run(path).records)


def only_run(folder: Path) -> Run:
    (path,) = find_runs(folder)
    return load_run(path)


def wait_for(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT:.0f} s in vain"
        time.sleep(0.02)


def pasted(output: str, beginning: str) -> str:
    """The command that follows in the output's first line that begins so."""
    for line in map(str.strip, output.splitlines()):
        command = line.removeprefix(beginning).strip()
        if line.startswith(beginning) and command.startswith("pytest "):
            return command
    raise AssertionError(f"no line {beginning!r} with a command in: {output}")
