"""Ratios of two Dask workers pinned to a core each, beside those of a plain session on one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.affinity import available_cores
from benchmarks.paths import ROOT
from results.records.record import Run
from tests.helpers.dask_cluster import DaskCluster
from tests.helpers.fake_sessions import only_run

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.serial]
LIMIT = 600.0  # seconds of a session; alone it takes one or two minutes
# 3 units: linear_cascade, and stacked_cascade with 2 and with 4 networks
ARGUMENTS = [
    "benchmarks", "--benchmark-only", "-p", "no:cacheprovider", "--kind=backward",
    "--framework=torch", "--scenario=linear_cascade,stacked_cascade",
    "--size=small", "--phase=gradient", "--strategy=summed,separate_retained,reforward",
    "--launches=6", "--cell-seconds=0.1",
]  # fmt: skip


def measured(folder: Path, *more: str, prefix: tuple[str, ...] = ()) -> Run:
    """Return the run of a real session whose temporary folder makes it a machine of its own."""
    temporary = folder / "temporary"
    temporary.mkdir(parents=True)
    words = [*prefix, sys.executable, "-m", "pytest", *ARGUMENTS, *more, f"--results={folder}"]
    done = subprocess.run(
        words, cwd=ROOT, env=os.environ | {"TMPDIR": str(temporary)}, capture_output=True,
        text=True, check=False, timeout=LIMIT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(folder)
    assert {record["outcome"] for record in run.records} == {"ok"}
    return run


def ratios(run: Run) -> dict[str, Any]:
    """Return the ratio to the baseline, with its interval, of every way of every network."""
    return {
        " ".join((record["scenario"], record["variant"], record["strategy"])): record["ratio"]
        for record in run.records
        if record["strategy"] != record["baseline"]
    }


@pytest.mark.skipif(len(available_cores()) < 2, reason="two workers need a core each")
def test_two_pinned_workers_measure_the_ratios_of_a_plain_session_pinned_likewise(
    tmp_path: Path,
) -> None:
    first, second, *_ = available_cores()
    plain = ratios(measured(tmp_path / "plain", prefix=("taskset", "-c", str(first))))
    cluster = DaskCluster(tmp_path)
    try:
        cluster.start_worker("n1", core=first)
        cluster.start_worker("n2", core=second)
        file = tmp_path / "cluster.yml"
        file.write_text(f"backend: dask\ndask_address: {cluster.address}\n")
        run = measured(tmp_path / "shared", f"--cluster={file}")
    finally:
        cluster.close()
    shared = ratios(run)
    assert {record["node"] for record in run.records} == {"n1", "n2"}
    assert shared.keys() == plain.keys()
    assert len(plain) == 6
    assert all(one["low"] for one in (*plain.values(), *shared.values()))
    apart = {
        name: (one, shared[name])
        for name, one in plain.items()
        if not (one["low"] <= shared[name]["high"] and shared[name]["low"] <= one["high"])
    }
    assert not apart, apart
