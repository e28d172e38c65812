"""Sessions on a cluster of one node: what is measured, refused, kept and gone on with."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from results.records.storage import find_runs
from tests.helpers.cluster_files import units_of_nodes, write_cluster_file
from tests.helpers.fake_sessions import (
    count_measured,
    only_run,
    printed_command,
    session,
    shell,
    started,
    wait_for,
)


def outcomes(folder: Path) -> dict[str, int]:
    names = [record["outcome"] for record in only_run(folder).records]
    return {outcome: names.count(outcome) for outcome in names}


def test_units_are_measured_longest_first_by_a_node_that_is_named(tmp_path: Path) -> None:
    file = write_cluster_file(tmp_path, "backend: local")
    done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}")
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(tmp_path / "runs")
    (name,) = run.settings["cluster"]["nodes"]
    assert {record["node"] for record in run.records} == {name}
    assert outcomes(tmp_path / "runs") == {"ok": 8}
    assert units_of_nodes(tmp_path) == {name: ["linear_cascade small", "linear_cascade seed"]}
    assert {canary["node"] for canary in run.settings["canaries"]} == {name}
    assert len(run.settings["canaries"]) == 1, "a node takes its canaries once"
    assert run.finished is not None
    assert "measured 0/2 units, 1 of 1 node at work" in done.stderr
    assert f"run saved: {tmp_path / 'runs'}" in done.stdout


def test_stopped_session_keeps_what_came_and_goes_on(tmp_path: Path) -> None:
    """The second unit hangs until Ctrl-C; going on without the fault measures it alone."""
    file = write_cluster_file(tmp_path, "backend: local", HANGS="1")
    folder = tmp_path / "runs"
    with started(f"--cluster={file}", f"--results={folder}") as process:
        wait_for(lambda: count_measured(folder) >= 4)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2, output + errors
    before = only_run(folder)
    assert before.interrupted
    assert outcomes(folder) == {"ok": 4, "interrupted": 4}

    write_cluster_file(tmp_path, "backend: local")
    done = shell(printed_command(output, "to go on:"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measured 0/1 units" in done.stderr
    after = only_run(folder)
    assert (after.id, after.started) == (before.id, before.started)
    assert outcomes(folder) == {"ok": 8}
    kept = [key for key in before.samples if "small" in key]
    assert len(kept) == 4
    for key in kept:
        assert [list(a) for a in after.samples[key]] == [list(b) for b in before.samples[key]]


def test_node_with_another_torch_measures_nothing_and_is_named(tmp_path: Path) -> None:
    file = write_cluster_file(tmp_path, "backend: local", TORCH=socket.gethostname())
    done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"node {socket.gethostname()}: torch 0.1 there, " in done.stdout
    assert "it got nothing more" in done.stdout
    assert units_of_nodes(tmp_path) == {}
    assert list(find_runs(tmp_path / "runs")) == []


def test_process_that_dies_costs_its_unit_which_is_measured_again(tmp_path: Path) -> None:
    file = write_cluster_file(tmp_path, "backend: local", DIES=socket.gethostname())
    done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(tmp_path / "runs") == {"ok": 8}
    assert (tmp_path / "noted" / "died").exists()


def test_jobs_of_submitit_are_tried_on_this_machine_one_after_another(tmp_path: Path) -> None:
    pytest.importorskip("submitit", reason="the extra `cluster` is not installed")
    jobs = tmp_path / "jobs"
    file = write_cluster_file(
        tmp_path, "backend: submitit", "submitit_cluster: local", f"submitit_folder: {jobs}"
    )
    done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert outcomes(tmp_path / "runs") == {"ok": 8}
    assert units_of_nodes(tmp_path) == {
        socket.gethostname(): ["linear_cascade small", "linear_cascade seed"]
    }
    assert list(jobs.iterdir()) == [], "what the jobs left is removed"
