"""Two runs at once: the second refuses, and the kernel lets go of the lock of one that died."""

from __future__ import annotations

import os
import shlex
import signal
import tempfile
from pathlib import Path

import pytest

from benchmarks.harness.session.lock import Busy, Lock
from tests.helpers.fake_sessions import (
    ARGUMENTS,
    count_measured,
    only_run,
    session,
    shell,
    started,
    wait_for,
)


def test_second_run_refuses_and_leaves_the_first_alone(tmp_path: Path) -> None:
    with started(f"--results={tmp_path}", FAKE_FAULTS="summed/gradient=hang") as first:
        wait_for(lambda: count_measured(tmp_path) >= 2)
        second = session(f"--results={tmp_path}")
        assert second.returncode == 4
        assert f"another run is measuring on this machine (process {first.pid} since" in (
            second.stderr
        )
        assert "Traceback" not in second.stdout + second.stderr
        assert count_measured(tmp_path) == 2

        untimed = [argument for argument in ARGUMENTS if argument != "--benchmark-only"]
        untimed += ["--benchmark-disable", "-k", "test_backward.py", f"--results={tmp_path}"]
        checked = shell(shlex.join(["pytest", *untimed]))
        assert checked.returncode == 0, checked.stdout + checked.stderr
    assert first.returncode == -signal.SIGKILL
    assert only_run(tmp_path).finished is None
    third = Lock()
    third.take()
    third.release()


@pytest.mark.smoke
def test_lock_is_taken_by_one_and_free_again_once_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    one, other = Lock(), Lock()
    one.take()
    with pytest.raises(Busy, match=rf"process {os.getpid()} since .* in .*; wait until it has"):
        other.take()
    other.release()  # what it does not have
    with pytest.raises(Busy):
        other.take()
    one.release()
    assert one.path.exists()  # who waits for the file must find the one that others will lock
    other.take()
    one.path.write_bytes(b"")
    with pytest.raises(Busy, match="it has just begun"):
        one.take()
    other.release()


@pytest.mark.smoke
def test_lock_file_is_not_followed_through_a_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    precious = tmp_path / "precious"
    precious.write_text("mine")
    Lock().path.symlink_to(precious)
    with pytest.raises(Busy, match=r"cannot open .*: Too many levels of symbolic links"):
        Lock().take()
    assert precious.read_text() == "mine"
