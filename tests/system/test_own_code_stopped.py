"""Ctrl-C while a user's own case is measured: what was measured is shown and kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.machine.environment import installed
from benchmarks.own_code import command
from benchmarks.paths import ROOT
from results.own_code import document

COMMAND = "import sys; from cascade_bench.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.skipif(installed("torch") is None, reason="torch is not installed")
def test_ctrl_c_keeps_what_was_measured_and_leaves_no_process(tmp_path: Path) -> None:
    out, results = tmp_path / "out.json", tmp_path / "runs"
    case = ROOT / "examples" / "torch_two_networks.py"
    arguments = ["try", str(case), "--budget=120", f"--json={out}", f"--results={results}"]
    process = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    limit = time.monotonic() + 300
    while not timed(results) and time.monotonic() < limit and process.poll() is None:
        time.sleep(0.2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    output, _ = process.communicate(timeout=120)
    assert process.returncode == document.STOPPED, output
    kept = json.loads(out.read_text())
    assert kept["exit_code"] == document.STOPPED
    assert any(row["seconds"] for part in kept["frameworks"] for row in part["rows"])
    assert "summed" in output
    limit = time.monotonic() + 10  # for the system to take away what was killed
    while group_is_left(process.pid) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not group_is_left(process.pid)  # nothing of its session


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("ignored", [False, True])
def test_other_signals_end_a_session_as_ctrl_c_does(stop: int, ignored: bool) -> None:
    """One that was started by ``nohup`` goes on ignoring that the terminal is gone."""
    before = signal.signal(stop, signal.SIG_IGN if ignored else signal.SIG_DFL)
    try:
        command._end_by_exception()
        if ignored:
            os.kill(os.getpid(), stop)
        else:
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), stop)
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        signal.signal(stop, before)


def group_is_left(pid: int) -> bool:
    """Return whether the process group of this number has any process."""
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    return True


def timed(results: Path) -> bool:
    """Return whether a document among the results has the time of a way."""
    for path in results.glob("*.json"):
        parts = json.loads(path.read_text())["frameworks"]
        if any(row["seconds"] for part in parts for row in part["rows"]):
            return True
    return False
