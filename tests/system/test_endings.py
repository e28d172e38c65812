"""How a session ends that something went wrong in: exit code, what it tells, what it leaves."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session.recording import record_failure
from results.records.failures import failures
from results.records.record import Run
from results.records.storage import load_run
from tests.helpers.fake_sessions import only_run, printed_command, session, shell


@pytest.fixture(scope="module")
def faulty(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Any, Run]:
    """A cell crashes in the backward groups; in the gradient groups the harness itself fails."""
    folder = tmp_path_factory.mktemp("faulty")
    faults = {
        "FAKE_FAULTS": "separate_retained/backward=crash_timed",
        "FAKE_HARNESS_FAULT": "gradient",
    }
    return session(f"--results={folder}", **faults), only_run(folder)


@pytest.mark.smoke
def test_faults_are_typed_and_cost_no_other_cell(faulty: Any) -> None:
    """The crash is in the interleaved loop; a fault of the harness costs its group alone."""
    done, run = faulty
    assert done.returncode == 1, done.stdout + done.stderr
    assert run.finished
    for record in run.records:
        outcome, why = record["outcome"], record["missing"].get("seconds")
        if record["phase"] == "gradient":
            fault = "the harness failed: KeyError: 'a fault of the harness'"
            assert (outcome, why) == ("crashed", fault)
        elif record["strategy"] == "summed":
            assert (outcome, why) == ("ok", None)
        else:
            assert outcome == "crashed"
            assert "signal 9" in str(why)


@pytest.mark.smoke
def test_what_failed_is_listed_by_reason(faulty: Any) -> None:
    done, _ = faulty
    lines = done.stdout.partition("what failed")[2].splitlines()
    assert sum(line.startswith("crashed, ") for line in lines) == 2
    assert "crashed, 4 cells: the harness failed: KeyError: 'a fault of the harness'" in lines
    cells = "  backward linear_cascade small torch eager gradient cpu float32: "
    assert f"{cells}summed, separate_retained" in lines


def test_rerun_command_measures_that_cell_beside_its_baseline(faulty: Any, tmp_path: Path) -> None:
    done, run = faulty
    command = printed_command(done.stdout.partition("what failed")[2], "")
    (record,) = [r for r in run.records if r["rerun"] == command]
    again = shell(f"{command} --launches=1 --cell-seconds=0.002 --results={tmp_path}")
    assert again.returncode == 0, again.stdout + again.stderr
    measured = only_run(tmp_path).records
    assert {r["strategy"] for r in measured} == {record["baseline"], record["strategy"]}
    for name in ("kind", "scenario", "variant", "size", "framework", "mode", "phase", "device"):
        assert {r[name] for r in measured} == {record[name]}


@pytest.mark.smoke
def test_many_failures_stay_readable() -> None:
    names = "backward linear_cascade - seed torch eager summed step cpu float32"
    cell = Cell(*names.split())
    sizes = [f"size{i}" for i in range(40)]
    same = [record_failure(replace(cell, size=size), "crashed", "one reason") for size in sizes]
    lines = list(failures(same))
    assert lines[0] == "crashed, 40 cells: one reason"
    assert lines[-1] == "  and 37 cells more"
    assert len(lines) == 8
    own = [record_failure(replace(cell, size=size), "crashed", f"reason {size}") for size in sizes]
    lines = list(failures(own))
    assert lines[-1] == "and 30 cells more, for 30 other reasons"
    assert len(lines) == 31


def test_full_disk_keeps_the_checkpoint_and_saves_the_whole_run_elsewhere(tmp_path: Path) -> None:
    """From the second save on the kernel lets no file grow: EFBIG, where ENOSPC would be."""
    done = session(f"--results={tmp_path}", FAKE_FULL_DISK="2 3 4 5")
    assert done.returncode == 1
    assert "8 passed" in done.stdout
    assert f"NOT SAVED: cannot write results to {tmp_path}" in done.stdout
    assert "File too large; free some space there" in done.stdout
    checkpoint = only_run(tmp_path)
    assert checkpoint.finished is None
    assert [r["outcome"] for r in checkpoint.records] == ["ok"] * 2 + ["interrupted"] * 6
    assert f"what could be saved before that: {tmp_path}" in done.stdout
    assert list(tmp_path.rglob("*.tmp")) == []
    (elsewhere,) = re.findall("the whole run is here instead: (.*)", done.stdout)
    whole = load_run(elsewhere)
    assert whole.id == checkpoint.id
    assert whole.finished
    assert {r["outcome"] for r in whole.records} == {"ok"}
    assert len(whole.samples) == 8

    again = session(f"--results={tmp_path}", f"--resume={elsewhere}")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "measuring 1/" not in again.stderr  # nothing is left to measure: it is only saved
    assert only_run(tmp_path).samples.keys() == whole.samples.keys()
    assert only_run(tmp_path).finished


def test_disk_that_has_room_again_at_the_end_is_no_trouble(tmp_path: Path) -> None:
    done = session(f"--results={tmp_path}", FAKE_FULL_DISK="2 3 4")
    assert done.returncode == 0, done.stdout
    assert "NOT SAVED" not in done.stdout
    assert {r["outcome"] for r in only_run(tmp_path).records} == {"ok"}


def test_nowhere_to_save_is_said_and_costs_no_result_on_the_screen(tmp_path: Path) -> None:
    done = session(f"--results={tmp_path}", FAKE_FULL_DISK="all")
    assert done.returncode == 1
    assert "8 passed" in done.stdout
    assert "NOT SAVED" in done.stdout
    assert "nor could it be saved in the temporary folder" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
