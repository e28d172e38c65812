"""Going on with a run that was stopped: what is kept, what is measured, what is refused."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session import recording, resume
from benchmarks.machine import environment
from results.records.record import Record, Run, cell_id, new_run_id, sample_key, utc_now
from results.records.storage import save_run
from results.report.build import build
from results.report.markdown import markdown
from tests.helpers.fake_sessions import (
    only_run,
    printed_command,
    session,
    shell,
    stop_while_measuring,
)

HANGS = {"FAKE_FAULTS": "summed/gradient=hang"}


def outcomes(run: Run) -> dict[str, int]:
    names = [record["outcome"] for record in run.records]
    return {outcome: names.count(outcome) for outcome in names}


def samples_of(run: Run, size: str, phase: str) -> dict[str, list[list[float]]]:
    keys = [sample_key(r) for r in run.records if (r["size"], r["phase"]) == (size, phase)]
    return {key: [list(launch) for launch in run.samples.get(key, [])] for key in keys}


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 2), (signal.SIGKILL, -9)])
def test_stopped_run_goes_on_from_what_it_had_saved(tmp_path: Path, how: int, code: int) -> None:
    """The first group is measured, the second hangs until the session is stopped."""
    output, ended = stop_while_measuring(tmp_path, how, **HANGS)
    assert ended == code, output
    before = only_run(tmp_path)
    assert outcomes(before) == {"ok": 2, "interrupted": 6}
    killed = how == signal.SIGKILL
    assert (before.finished is None, before.interrupted) == (killed, not killed)
    assert ("is not finished**" in markdown(build([before]))) == killed

    command = printed_command(output, "to go on:") if not killed else None
    done = shell(command) if command else session(f"--results={tmp_path}", "--resume")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "measuring 1/3" in done.stderr
    after = only_run(tmp_path)
    assert (after.id, after.started) == (before.id, before.started)
    assert (after.finished is not None, after.interrupted) == (True, False)
    assert outcomes(after) == {"ok": 8}
    assert samples_of(after, "seed", "backward") == samples_of(before, "seed", "backward")
    records: list[Any] = list(after.records)
    for record in records:
        assert record["seconds"]["estimate"] > 0
        assert (record["ratio"] is None) == (record["strategy"] == "summed")
    assert len(after.settings["resumed"]) == 1
    assert after.settings["wall_seconds"] > before.settings["wall_seconds"]
    assert after.settings["worker_seconds"] > before.settings["worker_seconds"] > 0
    assert list(before.settings["flows"]) == ["linear_cascade/-"]
    assert after.settings["flows"] == before.settings["flows"]


def test_group_in_which_a_cell_failed_is_measured_again_whole(tmp_path: Path) -> None:
    """Its cells are compared with each other, which takes one session; until then both are kept."""
    done = session(f"--results={tmp_path}", FAKE_FAULTS="separate_retained/gradient=crash")
    assert done.returncode == 1
    before = only_run(tmp_path)
    assert outcomes(before) == {"ok": 6, "crashed": 2}

    again = ["--resume", before.id]
    _, code = stop_while_measuring(tmp_path, signal.SIGTERM, *again, **HANGS)
    assert code == 2
    stopped_again = only_run(tmp_path)
    assert outcomes(stopped_again) == {"ok": 6, "crashed": 2}
    for setting in (
        "worker_seconds",
        "flows",
    ):  # no group was measured, and nothing of it forgotten
        assert stopped_again.settings[setting] == before.settings[setting] != 0.0
    for phase in ("backward", "gradient"):
        for size in ("seed", "small"):
            kept = samples_of(stopped_again, size, phase)
            assert kept == samples_of(before, size, phase)

    done = shell(printed_command(done.stdout, "all that failed again, in the same run:"))
    assert done.returncode == 0, done.stdout + done.stderr
    after = only_run(tmp_path)
    assert outcomes(after) == {"ok": 8}
    assert samples_of(after, "small", "backward") == samples_of(before, "small", "backward")
    old, new = (samples_of(run, "small", "gradient") for run in (before, after))
    assert old.keys() == new.keys()
    assert not any(old[key] == new[key] for key in old)


@pytest.fixture(scope="module")
def whole() -> Run:
    """A run of 8 cells in 4 groups, all of which went well."""
    names = "backward linear_cascade - seed torch eager summed backward cpu float32"
    first = Cell(*names.split())
    cells = [
        replace(first, size=size, phase=phase, strategy=strategy)
        for size in ("seed", "small")
        for phase in ("backward", "gradient")
        for strategy in ("summed", "separate_retained")
    ]
    result = {"outcome": "ok", "figures": {}, "samples": [[1.0]], "peak_seconds": [], "steady": []}
    done = [recording.record_measurement(cell, result, None) for cell in cells]
    settings: dict[str, Any] = {"launches": 1, "cell_seconds": 0.002, "seed": 0}
    settings |= {"worker_memory": None, "wall_seconds": 1.0, "worker_seconds": 1.0}
    settings |= {"spent_seconds": {}, "flows": {}, "stopped": {}}
    return Run(
        id=new_run_id(),
        started=utc_now(),
        finished=utc_now(),
        machine=environment.describe(),
        settings=settings | {"code": resume.code_digest(cells), "arguments": ["benchmarks"]},
        records=done,
        samples={sample_key(record): [np.ones(4)] for record in done},
    )


def checked(run: Run, **changes: Any) -> None:
    """Hold the run to a session exactly like the one that made it, but for these changes."""
    session = {
        "machine": run.machine,
        "settings": run.settings,
        "cells": [resume.cell_of(record) for record in run.records],
    }
    resume.check_comparable(run, **session | changes)


@pytest.mark.smoke
def test_run_of_a_session_just_like_this_one_is_taken(whole: Run) -> None:
    checked(whole)
    checked(whole, settings=whole.settings | {"arguments": ["-v"]})


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("launches", 3, "launches is 1 there, 3 here; repeat its command: pytest benchmarks"),
        ("cell_seconds", 0.1, "cell_seconds is 0.002 there, 0.1 here"),
        ("seed", 1, "seed is 0 there, 1 here"),
        ("worker_memory", 2**30, "worker_memory is None there, 1073741824 here"),
        ("code", "abc", "it was measured by other code"),
    ],
)
def test_other_setting_is_refused(whole: Run, key: str, value: Any, message: str) -> None:
    with pytest.raises(resume.ResumeError) as caught:
        checked(whole, settings=whole.settings | {key: value})
    assert f"cannot go on with run {whole.id}: {message}" in str(caught.value)


@pytest.mark.smoke
def test_other_machine_is_refused_and_what_differs_is_named(whole: Run) -> None:
    with pytest.raises(resume.ResumeError, match=r"other versions \(jax '.*' there, '0\.9' here\)"):
        checked(whole, machine=whole.machine | {"id": "other", "jax": "0.9"})


@pytest.mark.smoke
def test_other_cells_are_refused(whole: Run) -> None:
    cells = [resume.cell_of(record) for record in whole.records]
    other = replace(cells[0], size="large")
    with pytest.raises(resume.ResumeError, match=r"lacks 1 of the cells .* has 2 others"):
        checked(whole, cells=[*cells[2:], other])


@pytest.mark.smoke
def test_run_without_samples_of_an_ok_cell_is_measured_again(whole: Run) -> None:
    records = {resume.cell_of(record): record for record in whole.records}
    assert resume.unfinished_groups(records, records, whole.samples) == []
    lost = {key: series for key, series in whole.samples.items() if key != sample_key(one(whole))}
    (group,) = resume.unfinished_groups(records, records, lost)
    assert {cell.id for cell in group} >= {cell_id(one(whole))}
    assert len(group) == 2


def one(run: Run) -> Record:
    return run.records[0]


@pytest.mark.smoke
def test_newest_of_this_machine_that_is_not_whole_is_found(whole: Run, tmp_path: Path) -> None:
    ids = {
        "interrupted": "20261101T000000-000000",
        "unfinished": "20261102T000000-000000",
        "whole": "20261103T000000-000000",
        "other": "20261104T000000-000000",
    }
    save_run(replace(whole, id=ids["interrupted"], interrupted=True), tmp_path)
    save_run(replace(whole, id=ids["whole"]), tmp_path)
    other = whole.machine | {"id": "other"}
    save_run(replace(whole, id=ids["other"], machine=other, finished=None), tmp_path)
    machine = whole.machine["id"]
    assert resume.find_run(resume.NEWEST, tmp_path, machine).id == ids["interrupted"]
    path = save_run(replace(whole, id=ids["unfinished"], finished=None), tmp_path)
    assert resume.find_run(resume.NEWEST, tmp_path, machine).id == ids["unfinished"]
    assert resume.find_run(ids["whole"], tmp_path, machine).id == ids["whole"]
    assert resume.find_run(str(path), tmp_path, machine).id == ids["unfinished"]
    with pytest.raises(resume.ResumeError, match=r"no run under .* was stopped before its end"):
        resume.find_run(resume.NEWEST, tmp_path / "elsewhere", machine)
    with pytest.raises(resume.ResumeError, match="neither a file nor the id of a run"):
        resume.find_run("benchmarks", tmp_path, machine)


@pytest.mark.smoke
@pytest.mark.parametrize(
    "arguments",
    [["b", "-q"], ["b", "-q", "--resume"], ["b", "--resume", "-q"], ["--resume=old", "b", "-q"],
     ["b", "--resume", "old", "-q"]],
)  # fmt: skip
def test_command_that_goes_on_names_the_run_once(arguments: list[str]) -> None:
    assert resume.resuming_command(arguments, "new") == "pytest b -q --resume=new"


@pytest.mark.smoke
def test_code_is_known_again_and_a_change_in_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "impl_torch"
    folder.mkdir()
    (folder / "strategies.py").write_text("a = 1")
    (folder / "notes.txt").write_text("no code")
    monkeypatch.setattr(resume, "ROOT", tmp_path)
    before = resume.code_digest([])
    (folder / "notes.txt").write_text("still none")
    assert resume.code_digest([]) == before
    (folder / "strategies.py").write_text("a = 2")
    assert resume.code_digest([]) != before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--resume"], "no run under"),
        (["--resume", "--benchmark-disable"], "contradict each other: leave one out"),
    ],
)
def test_wrong_resume_is_one_line_and_exit_code_4(
    tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = session(f"--results={tmp_path}", *arguments)
    assert done.returncode == 4
    assert message in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
