"""Test that a disk without room costs what could not be written, and is named with the way out."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.worker_errors import format_error
from benchmarks.harness.measurement import canaries
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.arrays import write_arrays
from benchmarks.harness.session.lock import Busy, Lock
from benchmarks.paths import ROOT
from tests.helpers.fake_framework import JOB

WAY_OUT = "or set TMPDIR=FOLDER to a folder with room"


def no_room(*_: Any, **__: Any) -> Any:
    """Fail as a write to a full disk does: the error names no file."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def assert_named(message: str, folder: str | Path) -> None:
    """Assert that a message names what is full and what to do, in one line."""
    assert f"cannot write to {folder}" in message
    assert "No space left on device" in message
    assert WAY_OUT in message
    assert "\n" not in message


def test_arrays_that_find_no_room_name_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "savez", no_room)
    with pytest.raises(disk.DiskError) as raised:
        write_arrays(tmp_path / "a.npz", {})
    assert_named(str(raised.value), tmp_path)


def test_folder_of_somebody_else_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "a.npz"))
    assert disk.message(denied).startswith(f"cannot write to {tmp_path}: Permission denied; ")
    with pytest.raises(FileNotFoundError):  # a mistake of ours, and no lack of room
        write_arrays(tmp_path / "none" / "a.npz", {})


@pytest.mark.parametrize("where", ["arrays", "folder", "cache", "stderr"])
def test_full_disk_costs_the_groups_that_it_stops_and_no_other(
    shared: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    assert shared("summed")["summed"]["outcome"] == "ok"
    with monkeypatch.context() as full:
        if where == "arrays":
            full.setattr(np, "savez", no_room)
        elif where == "folder":
            full.setattr(tempfile, "TemporaryDirectory", no_room)
        elif where == "cache":
            shared.pool.end_workers()
            shared.pool._cache.cleanup()
            shared.pool._cache = None
            full.setattr(tempfile, "TemporaryDirectory", no_room)
        else:
            shared.pool.end_workers()
            full.setattr(tempfile, "TemporaryFile", no_room)
        outcomes = shared("summed", "separate_retained", size="small")
        for outcome in outcomes.values():
            assert outcome["outcome"] == "crashed"
            assert_named(outcome["why"], tempfile.gettempdir())
            assert "the harness failed" not in outcome["why"]
    assert shared("summed")["summed"]["outcome"] == "ok"
    assert shared("summed", size="small")["summed"]["outcome"] == "ok"


def test_arrays_that_were_half_written_give_their_room_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def half(path: str, **_: Any) -> None:
        Path(path).write_bytes(b"PK")
        no_room()

    monkeypatch.setattr(np, "savez", half)
    with pytest.raises(disk.DiskError):
        ProblemFiles("linear_cascade", "-", "seed")
    assert list(tmp_path.iterdir()) == []


def test_worker_that_finds_no_room_is_told_with_the_way_out() -> None:
    error = {"type": "DiskError", "message": "cannot write to /x: …", "line": "net.py: DiskError"}
    assert format_error(error) == "cannot write to /x: …"  # and is not blamed on the user's file
    bare = format_error({"type": "OSError", "message": "[Errno 28] No space left on device"})
    assert bare.startswith("OSError: [Errno 28] No space left on device; free some space in ")
    assert WAY_OUT in bare
    assert format_error({"type": "OSError", "message": "other"}) == "OSError: other"


def test_canaries_without_room_are_not_taken_and_say_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryDirectory", no_room)
    with Pool() as pool:
        result = canaries.measure_canaries({**JOB, "framework": "fake"}, pool)  # type: ignore[typeddict-item]
    for verdict in result["verdicts"]:
        assert verdict["passed"] is None
        assert_named(verdict["said"], tempfile.gettempdir())


def test_checks_without_room_fail_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    workers = CheckWorkers()
    monkeypatch.setattr(np, "savez", no_room)
    with pytest.raises(pytest.fail.Exception, match=r"cannot write to .*TMPDIR"):
        workers.files(("linear_cascade", "-", "seed"))
    workers.close()


@pytest.mark.parametrize("call", ["pwrite", "ftruncate"])
def test_lock_holds_although_its_note_finds_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, call, no_room)
    lock = Lock()
    lock.take()
    with pytest.raises(Busy):
        Lock().take()
    lock.release()
    after = Lock()
    after.take()  # raises Busy where the first one still holds
    after.release()


REAL = """
import os, sys, tempfile
from pathlib import Path
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol.disk import DiskError
try:
    ProblemFiles("linear_cascade", "-", "medium")
except DiskError as error:
    print(error)
print(sorted(os.listdir(tempfile.gettempdir())))
files = ProblemFiles("linear_cascade", "-", "seed")
print(Path(files.weights).stat().st_size > 0)
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Any:
    """Yield a mounted folder of 256 KiB; skip where this process may not mount."""
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(tmp_path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount here")
    if done.returncode:
        pytest.skip(f"a folder of 256 KiB cannot be mounted here: {done.stderr.strip()}")
    yield tmp_path
    subprocess.run(["umount", str(tmp_path)], check=True)


def test_disk_that_is_really_full_has_room_for_a_smaller_problem(tiny: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", REAL], cwd=ROOT, env=os.environ | {"TMPDIR": str(tiny)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    message, left, seed = done.stdout.splitlines()
    assert_named(message, f"{tiny}/cascade-bench-")
    assert (left, seed) == ("[]", "True")
