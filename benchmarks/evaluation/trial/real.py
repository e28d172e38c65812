"""Run the other tools' real commands on traces or real cells, and read what they call slower."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.evaluation.trial import cell, plan
from benchmarks.paths import ROOT

COMMANDS = Path(__file__).parent / "commands"
Series = Mapping[str, Sequence[Sequence[float]]]  # cell → a row of seconds for each process

_IDENTITY = (
    "-c", "user.name=trial", "-c", "user.email=trial@localhost", "-c", "commit.gpgsign=false",
)  # fmt: skip
_ASV = {
    "version": 1,
    "project": "trial",
    "repo": ".",
    "branches": ["HEAD"],
    "environment_type": "virtualenv",
    "benchmark_dir": "bench",
    "env_dir": "../env",
    "results_dir": "../results",
    "html_dir": "../html",
    "build_command": [],
    "install_command": [],
    "uninstall_command": [],
    "matrix": {},
}


class CommandFailed(Exception):
    """A tool's command ended without a verdict; the message holds the end of its output."""


def missing_packages() -> list[str]:
    """Return the packages of the ``trial`` extra that are not installed."""
    return [
        name for name in ("pyperf", "asv", "matplotlib") if importlib.util.find_spec(name) is None
    ]


def write_job(folder: Path, job: Mapping[str, Any]) -> Path:
    """Write a job for `cell` as JSON into a folder; return the path of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "job.json"
    path.write_text(json.dumps(job))
    return path


def pytest_benchmark(folder: Path, job: Mapping[str, Any], options: Sequence[str] = ()) -> set[str]:
    """Run the cells of a job twice, as base and as head, with pytest-benchmark.

    Return the ids of those that ``--benchmark-compare-fail=median:5%`` fails. ``options`` are
    further options of the command.
    """
    path = write_job(folder, job)
    shutil.copy(COMMANDS / "cells_pytest.py", folder / "test_cells.py")
    command = [sys.executable, "-m", "pytest", "test_cells.py", "-q", "-p", "no:cacheprovider"]
    command += ["--rootdir", str(folder), "--benchmark-storage", str(folder / "runs"), *options]
    _run([*command, "--benchmark-save=base"], path, "base", folder, (0,))
    compare = ["--benchmark-compare=0001", "--benchmark-compare-fail=median:5%"]
    output = _run([*command, *compare], path, "head", folder, (0, 1))
    # a failure of pytest itself is no verdict
    if "failed" in output and "Performance has regressed" not in output:
        raise CommandFailed(output[-2000:])
    return set(re.findall(r"test_cell\[([^\]]+)\] \([^)]*\) - Field 'median' has failed", output))


def pyperf_files(folder: Path, series: Mapping[str, Series]) -> list[str]:
    """Write the times of both sides with pyperf's own classes, a run for each process.

    ``series`` maps ``base`` and ``head`` to the times of the cells. Return the paths of both files.
    """
    import pyperf

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, cells in series.items():
        suite = pyperf.BenchmarkSuite(
            [
                pyperf.Benchmark(
                    [
                        pyperf.Run(row, metadata={"name": key}, collect_metadata=False)
                        for row in rows
                    ]
                )
                for key, rows in cells.items()
            ]
        )
        files.append(str(folder / f"{name}.json"))
        suite.dump(files[-1], replace=True)
    return files


def pyperf_compare(files: Sequence[str], folder: Path) -> set[str]:
    """Return the ids of the cells that ``python -m pyperf compare_to`` calls slower.

    ``files`` are base and head. They must hold several cells: pyperf compares a single one without
    printing its name.
    """
    output = _run([sys.executable, "-m", "pyperf", "compare_to", *files], None, "", folder, (0,))
    return set(re.findall(r"^(\S+): Mean \+- std dev: .* slower$", output, re.MULTILINE))


def pyperf_run(folder: Path, job: Mapping[str, Any], processes: int) -> set[str]:
    """Measure both sides of a job with pyperf; return the ids of the cells that it calls slower.

    ``processes`` is the number of processes on each side.
    """
    path = write_job(folder, job)
    shutil.copy(COMMANDS / "cells_pyperf.py", folder / "cells.py")
    files = [str(folder / f"{side}.json") for side in ("base", "head")]
    for side, file in zip(("base", "head"), files, strict=True):
        options = [f"--processes={processes}", "--copy-env", f"--affinity={plan.CORE}", "-o", file]
        _run([sys.executable, "cells.py", *options], path, side, folder, (0,))
    return pyperf_compare(files, folder)


def asv_continuous(folder: Path, job: Mapping[str, Any]) -> set[str]:
    """Return the ids of the cells of a job that ``asv continuous`` calls worse.

    It compares two commits of a new repository.
    """
    repository = folder / "repository"
    (repository / "bench").mkdir(parents=True)
    (repository / "bench" / "__init__.py").touch()
    shutil.copy(COMMANDS / "cells_asv.py", repository / "bench" / "cells.py")
    (repository / "asv.conf.json").write_text(json.dumps(_ASV))
    _git(repository, "init", "-q")
    for side in ("base", "head"):
        (repository / "side").write_text(side)
        _git(repository, "add", "-A")
        _git(repository, *_IDENTITY, "commit", "-q", "-m", side)
    head = _git(repository, "rev-parse", "HEAD").strip()
    path = write_job(folder, {**job, "head": head})
    asv = [sys.executable, "-m", "asv"]
    _run([*asv, "machine", "--yes"], path, "", repository, (0,))
    # without recorded samples asv compares confidence intervals instead of making a U test
    options = ["--interleave-rounds", "--record-samples", "HEAD~1", "HEAD"]
    output = _run([*asv, "continuous", *options], path, "", repository, (0, 1))
    (folder / "output").write_text(output)
    if "BENCHMARKS" not in output.upper() or "failed" in output:
        raise CommandFailed(output[-2000:])
    return set(re.findall(r"^\| \+ .*time_cell\('([^']+)'\)", output, re.MULTILINE))


def _git(folder: Path, *arguments: str) -> str:
    """Run git in a folder and return what it prints."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout


def _run(
    command: Sequence[str], job: Path | None, side: str, folder: Path, allowed: Sequence[int]
) -> str:
    """Run a command on the trial's core and return both of its outputs, joined.

    Args:
        command: the command line.
        job: the file that describes the cells, if there is one.
        side: ``base`` or ``head``, for the processes of the command; empty where they find out.
        folder: the working directory.
        allowed: the exit codes that are no failure.

    Raises:
        CommandFailed: the exit code is none of those allowed.
    """
    packages = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))])
    home = folder if job is None else job.parent
    environment = {
        **os.environ,
        "PYTHONPATH": packages,
        "CASCADE_TRIAL_PACKAGES": packages,
        "HOME": str(home),  # asv keeps the machine's name there
        cell.JOB: str(job or ""),
        cell.SIDE: side,
    }
    pinned = ["taskset", "-c", str(plan.CORE), *command]
    done = subprocess.run(
        pinned, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    if done.returncode not in allowed:
        raise CommandFailed(f"{' '.join(command)} ended with {done.returncode}: {output[-2000:]}")
    return output
