"""Run whole pytest sessions on the fake framework: quick, and with faults where tests need them."""

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
WAIT = 300.0  # seconds after which a session hangs; a busy machine needs less


def environment(**faults: str) -> dict[str, str]:
    """Return the environment of a session with these faults: see plugin ``fake_workers``."""
    path = os.pathsep.join(p for p in (str(FAKES), os.environ.get("PYTHONPATH")) if p)
    bin_first = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    options = {"PYTEST_ADDOPTS": "-p fake_workers -p no:cacheprovider"}
    return os.environ | {"PYTHONPATH": path, "PATH": bin_first} | options | faults


@contextmanager
def started(*arguments: str, **faults: str) -> Iterator[subprocess.Popen[str]]:
    """Start a session with `ARGUMENTS` and these, and kill it at the end of the context."""
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
    """Run a session with `ARGUMENTS` and these to its end."""
    with started(*arguments, **faults) as process:
        output, errors = process.communicate(timeout=WAIT)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)


def shell(command: str, **faults: str) -> subprocess.CompletedProcess[str]:
    """Run a command line as a user would paste it."""
    return subprocess.run(
        command, shell=True, cwd=ROOT, env=environment(**faults), capture_output=True, text=True,
        check=False, timeout=WAIT,
    )  # fmt: skip


def stop_while_measuring(
    folder: Path, signal: int, *arguments: str, **faults: str
) -> tuple[str, int]:
    """Start a session that hangs, stop it once it has measured two cells, and wait for its end.

    Args:
        folder: of its runs.
        signal: sent to stop it.
        arguments: of the session.
        faults: must make it hang after two cells.

    Returns:
        Its output with what it then printed to stderr, and its exit code.
    """
    with started(f"--results={folder}", *arguments, **faults) as process:
        assert process.stderr is not None
        assert any("measuring 1/" in line for line in process.stderr), "it ended before measuring"
        wait_for(lambda: count_measured(folder) >= 2)
        process.send_signal(signal)
        output, errors = process.communicate(timeout=WAIT)
        return output + errors, process.returncode


def count_measured(folder: Path) -> int:
    """Return how many cells of the runs in a folder are measured."""
    return sum(r["outcome"] == "ok" for path in find_runs(folder) for r in load_run(path).records)


def only_run(folder: Path) -> Run:
    """Load the only run in a folder."""
    (path,) = find_runs(folder)
    return load_run(path)


def wait_for(condition: Callable[[], Any]) -> None:
    """Wait until a condition is true, `WAIT` seconds at most."""
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, f"waited {WAIT:.0f} s in vain"
        time.sleep(0.02)


def printed_command(output: str, beginning: str) -> str:
    """Return the pytest command that follows these first words of a line of the output."""
    for line in map(str.strip, output.splitlines()):
        command = line.removeprefix(beginning).strip()
        if line.startswith(beginning) and command.startswith("pytest "):
            return command
    raise AssertionError(f"no line {beginning!r} with a command in: {output}")
