"""Whole pytest sessions, as a user starts them: native output, bad input, Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.selection.options import default_device
from benchmarks.paths import ROOT

QUICK = ["--scenario=linear_cascade", "--size=seed", "--framework=torch", "--launches=2"]


def command(*arguments: str) -> list[str]:
    run = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]
    return [*run, *arguments]


def session(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=ROOT, capture_output=True, text=True, check=False
    )


def only_run(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("*/*.json")
    return json.loads(path.read_text())


@pytest.mark.smoke
@pytest.mark.serial
def test_session_saves_records_and_feeds_native_tables_and_json(tmp_path: Path) -> None:
    runs, exported = tmp_path / "runs", tmp_path / "native.json"
    done = session("--benchmark-only", *QUICK, f"--results={runs}", f"--benchmark-json={exported}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (
        "benchmark 'linear_cascade seed torch eager backward cpu float32': 3 tests" in done.stdout
    )
    assert "run saved:" in done.stdout
    assert "; workers were busy for " in done.stdout
    settings = only_run(runs)["settings"]
    assert 0 < settings["worker_seconds"] < settings["wall_seconds"]
    native, _, ours = done.stdout.partition("ratios")
    assert "benchmark 'linear_cascade" in native
    assert "torch eager · seed · backward, phase backward · ratio to summed" in ours
    assert "intervals and verdicts need 6 launches" in ours
    assert "canaries: torch ok" in done.stdout
    assert [one["passed"] is False for one in settings["canaries"]] == [False] * 4
    records = {r["strategy"] + r["phase"]: r for r in only_run(runs)["records"]}
    assert len(records) == 5
    for record in records.values():
        assert record["outcome"] == "ok"
        assert record["equivalence"] == "pass"
        assert record["gradient_error"]["relative"] < 1.2e-5
        worst = max(record["gradient_error"]["parameters"].values())
        assert worst == pytest.approx(record["gradient_error"]["relative"], rel=0.01)
        assert record["seconds"]["estimate"] > 0
    assert records["separate_retainedbackward"]["predicted_ratio"] == pytest.approx(4 / 3)
    native = json.loads(exported.read_text())["benchmarks"]
    assert len(native) == 5
    for one in native:
        record = one["extra_info"]
        assert one["params"]["strategy"] == record["strategy"]
        assert "parameters" not in record["gradient_error"]
        low, high = one["stats"]["min"], one["stats"]["max"]
        assert low <= record["seconds"]["estimate"] <= high


def test_group_by_and_k_are_native(tmp_path: Path) -> None:
    done = session(
        "--benchmark-only",
        *QUICK,
        f"--results={tmp_path}",
        "--benchmark-group-by=param:strategy",
        "-k",
        "not gradient and not boundary",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "benchmark 'strategy=summed': 1 tests" in done.stdout
    assert len(only_run(tmp_path)["records"]) == 2


def test_steps_are_timed_and_their_updates_checked(tmp_path: Path) -> None:
    done = session(
        "--benchmark-only",
        "--scenario=linear_cascade,three_network_cascade",
        "--size=seed",
        "--phase=step",
        "--strategy=separate_retained",
        "--launches=1",
        f"--results={tmp_path}",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", jax ok" in done.stdout
    assert "test_step[linear_cascade---seed-jax-jit-summed-step-cpu-float32]" in done.stdout
    records = only_run(tmp_path)["records"]
    assert len(records) == 8
    for record in records:
        assert (record["outcome"], record["equivalence"]) == ("ok", "pass")
        keeps_state = record["scenario"] == "linear_cascade"  # Adam; the other is plain SGD
        assert (record["optimizer_state_bytes"] > 0) == keeps_state
        unseen = record["framework"] == "jax" and not keeps_state
        assert (record["gradient_error"] is None) == unseen


def test_without_its_baseline_a_cell_has_a_time_and_no_ratio(tmp_path: Path) -> None:
    done = session("--benchmark-only", *QUICK, f"--results={tmp_path}", "-k", "separate_retained")
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = only_run(tmp_path)["records"]
    assert record["seconds"]["estimate"] > 0
    assert record["ratio"] is None
    assert record["missing"]["ratio"]


def test_benchmark_disable_checks_and_takes_no_time(tmp_path: Path) -> None:
    done = session("--benchmark-disable", *QUICK, f"--results={tmp_path}", "-k", "torch-eager")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed" in done.stdout
    assert "canaries:" not in done.stdout
    assert list(tmp_path.glob("*/*.json")) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scenario=linear_cascad"], "did you mean 'linear_cascade'?"),
        (["--size=huge"], "--size 'huge' is unknown"),
        (["--strategy=sumed"], "did you mean 'summed'?"),
        (["--framework=tensorflow"], "--framework 'tensorflow' is unknown"),
        (["--device=tpu"], "(allowed: cpu, cuda)"),
        (["--cell-seconds=nan"], "--cell-seconds nan: must be a finite number above 0"),
        (["--framework=jax", "--strategy=multi_root"], "leaves no cell to measure"),
        (["--precision=2"], "--precision '2' must be above 0 and below 100 %"),
        (["--group-seconds=0"], "--group-seconds 0.0: must be a finite number above 0"),
        (["--launches=0"], "--launches 0: must be a finite number above 0"),
    ],
)
def test_wrong_option_gets_one_line_and_exit_code_4(arguments: list[str], message: str) -> None:
    done = session("--benchmark-only", *arguments)
    assert done.returncode == 4
    assert message in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.smoke
@pytest.mark.skipif(default_device() == "cuda", reason="there is a GPU here")
def test_gpu_that_is_not_there_is_said() -> None:
    done = session("--benchmark-only", "--device=cuda")
    assert done.returncode == 4
    assert "--device 'cuda'" in done.stderr
    assert "use --device cpu" in done.stderr


def test_results_folder_that_cannot_be_written_is_said_before_measuring(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = session("--benchmark-only", *QUICK, f"--results={tmp_path / 'file' / 'runs'}")
    assert done.returncode == 4
    assert str(tmp_path / "file") in done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    assert "measuring" not in done.stderr + done.stdout


def test_exact_zero_under_l2_is_no_wrong_gradient(tmp_path: Path) -> None:
    """Behind γ = 0 a JAX step keeps nothing but L2's rounding of a gradient of 0."""
    done = subprocess.run(
        command(
            "--benchmark-only",
            "--launches=1",
            "--cell-seconds=0.001",
            "--kind=freeze",
            "--scenario=attention_on_frozen_backbone",
            "--variant=gamma0",
            "--size=seed",
            "--framework=jax",
            "--strategy=grad_of_trainable",
            f"--results={tmp_path}",
        ),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_ctrl_c_keeps_what_was_measured_and_names_the_rest(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command(
            "--benchmark-only",
            "--framework=torch",
            "--kind=backward",
            "--size=seed",
            "--launches=2",
            f"--results={tmp_path}",
        ),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not list(tmp_path.glob("*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 2, output
    run = only_run(tmp_path)
    outcomes = {record["outcome"] for record in run["records"]}
    assert run["interrupted"]
    assert {"ok", "interrupted"} <= outcomes, output
    assert all(r["seconds"] for r in run["records"] if r["outcome"] == "ok")
    assert len(run["records"]) > 40
