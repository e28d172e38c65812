"""Processes of the suite: a line where they are silent for long, and one line for Ctrl-C."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from cascade_bench import cli, suite
from cascade_bench.process import Waiting


def test_each_silence_is_broken_by_a_line_with_the_seconds_since_the_start() -> None:
    shown: list[str] = []
    with Waiting(shown.append, 0.05) as waiting:
        waiting.heard("  0.0 s  torch: examining in float64\n")
        deadline = time.monotonic() + 10.0
        while len(shown) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(shown) >= 2
    assert all(re.fullmatch(r" *\d+\.\d s  … still at it\n", line) for line in shown)


def test_no_seconds_are_told_before_the_process_has_told_any() -> None:
    """Its own begin when its packages are loaded: they would seem to go back."""
    shown: list[str] = []
    with Waiting(shown.append, 0.05):
        deadline = time.monotonic() + 10.0
        while not shown and time.monotonic() < deadline:
            time.sleep(0.01)
    assert shown[:1] == ["         … still at it\n"]


def test_seconds_go_on_from_those_of_the_process_and_never_go_back() -> None:
    shown: list[str] = []
    with Waiting(shown.append, 0.3) as waiting:
        waiting.heard(" 16.5 s  torch: examining in float64\n")
        deadline = time.monotonic() + 10.0
        while not shown and time.monotonic() < deadline:
            time.sleep(0.01)
    assert 16.7 <= float(shown[0].split()[0]) < 30.0


def test_a_line_of_the_process_begins_the_silence_anew_and_nothing_follows_the_end() -> None:
    shown: list[str] = []
    with Waiting(shown.append, 60.0) as waiting:
        waiting.heard("reading the case\n")
    assert shown == []


def stopped_while_importing(
    tmp_path: Path, pipe: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a module by the launcher that Ctrl-C reaches while it is imported.

    Args:
        tmp_path: takes the module.
        pipe: of the parent that waits for the process; None where it has a terminal.
    """
    (tmp_path / "half_imported.py").write_text("raise KeyboardInterrupt\n")
    parent = {} if pipe is None else {"CASCADE_BENCH_PARENT": str(pipe)}
    return subprocess.run(
        [sys.executable, "-P", str(suite.LAUNCHER), str(tmp_path), "half_imported"],
        env=os.environ | parent, pass_fds=[] if pipe is None else [pipe],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_ctrl_c_at_any_moment_of_a_command_is_a_line_and_no_traceback(tmp_path: Path) -> None:
    done = stopped_while_importing(tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "cascade-bench: stopped\n")


def test_ctrl_c_in_the_process_of_a_request_is_told_by_the_client_alone(tmp_path: Path) -> None:
    read, write = os.pipe()
    try:
        done = stopped_while_importing(tmp_path, read)
    finally:
        os.close(read)
        os.close(write)
    assert (done.returncode, done.stderr) == (130, "")


def test_ctrl_c_in_the_client_itself_is_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(words: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_own", lambda name: interrupted)
    assert cli.main(["new", "case.py"]) == 130
    assert capsys.readouterr().err == "cascade-bench: stopped\n"
