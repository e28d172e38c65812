"""Sessions on a real Dask cluster: a scheduler and two workers, each a process of its own."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cluster.backends.dask import DaskBackend
from benchmarks.cluster.controller import Controller
from benchmarks.cluster.settings import ClusterSettings
from benchmarks.paths import ROOT
from results.records.record import Run
from results.records.storage import find_runs, load_run
from tests.helpers.cluster_files import units_of_nodes, write_cluster_file
from tests.helpers.dask_cluster import DaskCluster
from tests.helpers.fake_sessions import (
    count_measured,
    only_run,
    printed_command,
    session,
    shell,
    started,
    wait_for,
)
from tests.unit.cluster.test_controller import job

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
MORE = ("--scenario=scaled_cascade",)  # 4 units with those of `fake_sessions`


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[DaskCluster]:
    """Start a scheduler with the workers n1 and n2, and end them after the test."""
    one = DaskCluster(tmp_path)
    try:
        one.start_worker("n1")
        one.start_worker("n2")
        one.await_workers()
        yield one
    finally:
        one.close()


def written(cluster: DaskCluster, **faults: str) -> Path:
    """Write the cluster file of this cluster."""
    return write_cluster_file(
        cluster.folder, "backend: dask", f"dask_address: {cluster.address}", **faults
    )


def outcomes(run: Run) -> dict[str, int]:
    names = [record["outcome"] for record in run.records]
    return {outcome: names.count(outcome) for outcome in names}


def test_units_are_shared_by_the_workers_and_a_dead_worker_costs_none(
    cluster: DaskCluster,
) -> None:
    """Worker n1 is killed while it measures its second unit, which n2 measures then."""
    file = written(cluster, DIES="n1", WORKER="1", SECONDS="1")
    folder = cluster.folder / "runs"
    done = session(*MORE, f"--cluster={file}", f"--results={folder}")
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(folder)
    assert outcomes(run) == {"ok": 16}
    assert cluster.workers["n1"].poll() == -signal.SIGKILL
    noted = units_of_nodes(cluster.folder)
    assert len(noted["n1"]) == 2
    assert noted["n1"][1] in noted["n2"]
    assert noted["n1"][0] not in noted["n2"]
    by_unit: dict[str, set[str]] = {}
    for record in run.records:
        by_unit.setdefault(f"{record['scenario']} {record['size']}", set()).add(record["node"])
    assert all(len(nodes) == 1 for nodes in by_unit.values()), by_unit
    assert {node for nodes in by_unit.values() for node in nodes} == {"n1", "n2"}


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("CANARY", "node n1: canaries failed: torch: sleep: 1.1 of 1 s: it got nothing"),
        ("TORCH", "node n1: torch 0.1 there, "),
    ],
)
def test_node_that_must_not_measure_gets_nothing_more_and_is_named(
    cluster: DaskCluster, fault: str, said: str
) -> None:
    file, folder = written(cluster, **{fault: "n1"}), cluster.folder / "runs"
    done = session(*MORE, f"--cluster={file}", f"--results={folder}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert said in done.stdout
    run = only_run(folder)
    assert outcomes(run) == {"ok": 16}
    assert {record["node"] for record in run.records} == {"n2"}
    assert list(run.settings["cluster"]["refused"]) == ["n1"]
    assert all(canary["passed"] for canary in run.settings["canaries"])


def test_two_classes_of_machine_have_a_run_each(cluster: DaskCluster) -> None:
    file, folder = written(cluster, CLASS="n1", SECONDS="0.5"), cluster.folder / "runs"
    done = session(*MORE, f"--cluster={file}", f"--results={folder}")
    assert done.returncode == 0, done.stdout + done.stderr
    runs = [load_run(path) for path in find_runs(folder)]
    assert len({run.machine["id"] for run in runs}) == 2
    assert sorted(tuple(run.settings["cluster"]["nodes"]) for run in runs) == [("n1",), ("n2",)]
    assert len({run.settings["cluster"]["session"] for run in runs}) == 1
    assert sum(len(run.records) for run in runs) == 16
    assert {outcome for run in runs for outcome in outcomes(run)} == {"ok"}
    assert done.stdout.count("run saved: ") == 2


def test_ctrl_c_ends_the_nodes_and_the_session_goes_on(cluster: DaskCluster) -> None:
    """Each node hangs at its second unit until Ctrl-C; what is missing is measured afterwards."""
    file, folder = written(cluster, HANGS="1"), cluster.folder / "runs"
    with started(*MORE, f"--cluster={file}", f"--results={folder}") as process:
        wait_for(lambda: count_measured(folder) >= 8 or process.poll() is not None)
        noted = cluster.folder
        wait_for(
            lambda: sum(map(len, units_of_nodes(noted).values())) == 4 or process.poll() is not None
        )
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2, output + errors
    before = only_run(folder)
    assert outcomes(before) == {"ok": 8, "interrupted": 8}
    written(cluster)
    done = shell(printed_command(output, "to go on:"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measured 0/2 units" in done.stderr
    after = only_run(folder)
    assert outcomes(after) == {"ok": 16}
    assert after.id == before.id
    for key, launches in before.samples.items():
        assert [list(one) for one in after.samples[key]] == [list(one) for one in launches]


@pytest.mark.serial
def test_two_workers_take_at_most_six_tenths_of_the_time_of_one(tmp_path: Path) -> None:
    """Forty units that each take half a second, whatever else the machine does."""
    program = tmp_path / "python"
    answer = '{"unit": "", "refused": null}'
    program.write_text(f"#!/bin/sh\nwhile read job; do sleep 0.5; echo '{answer}'; done\n")
    program.chmod(0o755)
    seconds: list[float] = []
    one = DaskCluster(tmp_path)
    try:
        for name in ("n1", "n2"):
            one.start_worker(name)
            values = {"dask_address": one.address, "python": str(program)}
            backend = DaskBackend(ClusterSettings("dask", values), name)
            took: list[Any] = []
            wait_for(lambda: len(backend._fitting(look=True)) == len(one.workers))  # noqa: B023
            start = time.monotonic()
            controller = Controller(backend, took.append, lambda unit, why: pytest.fail(why))
            controller.run([job(f"u{n}") for n in range(40)])
            seconds.append(time.monotonic() - start)
            assert len(took) == 40
            backend.close()
    finally:
        one.close()
    assert seconds[1] <= 0.6 * seconds[0], seconds


def test_commands_of_the_page_start_a_cluster_that_measures(tmp_path: Path) -> None:
    """Run the commands of docs/cluster.md on Dask, with fake workers under its cluster file."""
    page = (ROOT / "docs" / "cluster.md").read_text().partition("## With Dask")[2]
    commands = re.findall(r"^    (dask .+)$", page, re.MULTILINE)
    lines = re.search(r"# cluster\.yml\n((?:    .+\n)+)", page)
    assert len(commands) == 2
    assert lines
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:  # a worker is started where the scheduler has written its file
            wait_for(lambda: not processes or (tmp_path / "scheduler.json").exists())
            more = ["--no-dashboard", "--port", "0"] if "scheduler " in command else []
            process = subprocess.Popen(
                [*shlex.split(command), *more],
                cwd=tmp_path,
                env=os.environ | {"PATH": path, "TMPDIR": str(tmp_path)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            processes.append(process)
        values = [line.strip() for line in lines[1].splitlines()]
        values = [v.replace("scheduler.json", f"{tmp_path}/scheduler.json") for v in values]
        file = write_cluster_file(tmp_path, *values)
        done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}")
        assert done.returncode == 0, done.stdout + done.stderr
        assert list(units_of_nodes(tmp_path)) == ["n1"]
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(30.0)


def test_worker_that_must_not_measure_is_said_with_the_command_that_starts_one(
    tmp_path: Path,
) -> None:
    one = DaskCluster(tmp_path)
    try:
        one.start_worker("wide", threads=2)
        one.await_workers()
        file = write_cluster_file(
            tmp_path, "backend: dask", f"dask_address: {one.address}", "dask_wait_seconds: 8"
        )
        done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}")
    finally:
        one.close()
    assert done.returncode == 4, done.stdout + done.stderr
    assert "no Dask worker may measure within 8 s: only wide with 2 threads" in done.stderr
    assert "--nthreads 1 --resources measure=1" in done.stderr
