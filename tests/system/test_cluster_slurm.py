"""Sessions on a real Slurm cluster: munge, slurmctld and two slurmd, started by the tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from results.records.record import Run
from tests.helpers import slurm_cluster
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
from tests.helpers.slurm_cluster import SlurmCluster

pytest.importorskip("submitit", reason="the extra `cluster` is not installed")
pytestmark = pytest.mark.skipif(
    slurm_cluster.why_not() is not None, reason=str(slurm_cluster.why_not())
)
MORE = ("--scenario=scaled_cascade",)  # 4 units with those of `fake_sessions`


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmCluster]:
    """Start the daemons once for all tests of this file."""
    one = SlurmCluster(tmp_path_factory.mktemp("slurm"))
    yield one
    one.close()


def written(folder: Path, **faults: str) -> Path:
    """Write the cluster file of Slurm."""
    return write_cluster_file(
        folder,
        "backend: submitit",
        f"submitit_folder: {folder / 'jobs'}",
        "slurm_partition: all",
        **faults,
    )


def outcomes(run: Run) -> dict[str, int]:
    names = [record["outcome"] for record in run.records]
    return {outcome: names.count(outcome) for outcome in names}


def test_node_whose_canary_fails_is_named_and_the_other_measures_all(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    file, folder = written(tmp_path, CANARY="n1"), tmp_path / "runs"
    done = session(*MORE, f"--cluster={file}", f"--results={folder}", **slurm.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    run = only_run(folder)
    assert outcomes(run) == {"ok": 16}
    assert {record["node"] for record in run.records} == {"n2"}
    assert "node n1: canaries failed: torch: sleep: 1.1 of 1 s: it got nothing" in done.stdout
    assert not list((tmp_path / "jobs").iterdir()), "what the jobs left is removed"


def test_job_cancelled_from_outside_costs_its_unit_once(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    """The job is cancelled while it measures; its unit is measured by another one."""
    file, folder = written(tmp_path, SECONDS="6"), tmp_path / "runs"
    arguments = (*MORE, f"--cluster={file}", f"--results={folder}")
    with started(*arguments, **slurm.environment) as process:
        wait_for(lambda: len(units_of_nodes(tmp_path)) == 2 or process.poll() is not None)
        running = slurm.output("squeue", "-h", "-r", "-t", "R", "-o", "%i").splitlines()
        slurm.output("scancel", running[0])
        output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output + errors
    assert outcomes(only_run(folder)) == {"ok": 16}
    begun = [unit for units in units_of_nodes(tmp_path).values() for unit in units]
    assert len(begun) >= 4
    assert {record["node"] for record in only_run(folder).records} == {"n1", "n2"}


def test_ctrl_c_cancels_the_jobs_and_the_session_goes_on(
    slurm: SlurmCluster, tmp_path: Path
) -> None:
    """Nodes hang at their second unit until Ctrl-C; what is missing is measured afterwards."""
    file, folder = written(tmp_path, HANGS="1"), tmp_path / "runs"
    arguments = (*MORE, f"--cluster={file}", f"--results={folder}")
    with started(*arguments, **slurm.environment) as process:
        wait_for(lambda: count_measured(folder) >= 8 or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=120)
    assert process.returncode == 2, output + errors
    wait_for(lambda: slurm.output("squeue", "-h") == "")
    before = only_run(folder)
    assert outcomes(before) == {"ok": 8, "interrupted": 8}
    written(tmp_path)
    done = shell(printed_command(output, "to go on:"), **slurm.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measured 0/2 units" in done.stderr
    after = only_run(folder)
    assert outcomes(after) == {"ok": 16}
    for key, launches in before.samples.items():
        assert [list(one) for one in after.samples[key]] == [list(one) for one in launches]


def test_key_that_submitit_does_not_know_is_one_line(slurm: SlurmCluster, tmp_path: Path) -> None:
    file = written(tmp_path)
    file.write_text(file.read_text().replace("slurm_partition", "slurm_partitoin"))
    done = session(f"--cluster={file}", f"--results={tmp_path / 'runs'}", **slurm.environment)
    assert done.returncode == 4, done.stdout + done.stderr
    assert "backend submitit: " in done.stderr
    assert "partitoin" in done.stderr
