"""Run real sessions pinned to cores: one alone, and some that Dask workers measure."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.paths import ROOT
from results.records.record import Run
from tests.helpers.dask_cluster import DaskCluster
from tests.helpers.fake_sessions import only_run

LIMIT = 1200.0  # seconds of a session; alone it takes minutes at most
EVERY = ("benchmarks", "--benchmark-only", "-p", "no:cacheprovider")


def measured(
    folder: Path, arguments: Sequence[str], prefix: Sequence[str] = ()
) -> tuple[Run, float]:
    """Return the run of a session, all of whose possible cells were timed, and its wall seconds.

    Args:
        folder: of the run; a temporary folder in it makes the session a machine of its own.
        arguments: of pytest, beside `EVERY`.
        prefix: words before the command, such as ``taskset -c 0``.
    """
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    words = [*prefix, sys.executable, "-m", "pytest", *EVERY, *arguments, f"--results={folder}"]
    start = time.monotonic()
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, capture_output=True,
        text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    seconds = time.monotonic() - start
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(folder)
    assert {record["outcome"] for record in run.records} <= {"ok", "unsupported"}
    return run, seconds


def measured_by_workers(
    folder: Path, cores: Sequence[int], arguments: Sequence[str]
) -> tuple[Run, float]:
    """Return the run of a session that a Dask worker on each of these cores measures, and its time.

    The workers, ``n1`` and so on, are there before the session begins.
    """
    folder.mkdir()
    cluster = DaskCluster(folder)
    try:
        for number, core in enumerate(cores, 1):
            cluster.start_worker(f"n{number}", core=core)
        cluster.await_workers()
        file = folder / "cluster.yml"
        file.write_text(f"backend: dask\ndask_address: {cluster.address}\n")
        return measured(folder / "runs", [*arguments, f"--cluster={file}"])
    finally:
        cluster.close()
