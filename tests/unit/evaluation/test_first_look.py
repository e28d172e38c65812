"""A first look at a machine: no step ends another, and a few small files hold all of it."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evaluation.first_look import packing
from benchmarks.evaluation.first_look.steps import WHOLE, Request, Step, steps
from benchmarks.harness.launches import session_workers
from benchmarks.paths import ROOT

look = importlib.import_module("benchmarks.evaluation.first_look.__main__")
ORDER = (
    "machine", "checks torch", "checks jax", "canaries", WHOLE, "memory", "regress, counts",
    "regress", "explain torch", "explain jax", "report in Markdown", "report",
)  # fmt: skip


def request_of(folder: Path, device: str = "cpu", **more: Any) -> Request:
    return Request(device, folder, more.pop("frameworks", ("torch", "jax")), **more)


def script(name: str, code: str, **more: Any) -> Step:
    """Return a step that runs this Python code, with a second of its own."""
    return Step(name, ("-c", code), more.pop("seconds", 1.0), **more)


def taken(tmp_path: Path, *planned: Step, seconds: float = 30.0) -> tuple[int, dict[str, Any]]:
    """Take steps; return the exit code and what was written, by step."""
    work, out = tmp_path / "work", tmp_path / "out"
    for folder in (work, out):
        folder.mkdir(exist_ok=True)
    code = look.FirstLook(request_of(work), out, seconds).take(planned)
    written = json.loads((out / "summary.json").read_text())
    return code, {one["step"]: one for one in written["steps"]}


@pytest.mark.smoke
def test_steps_are_in_the_order_of_what_would_be_missed_most(tmp_path: Path) -> None:
    planned = steps(request_of(tmp_path, "cuda"))
    assert tuple(step.name for step in planned) == ORDER
    assert 420 <= sum(step.seconds for step in planned) <= 480
    (whole,) = [step for step in planned if step.name == WHOLE]
    assert "--size=gpu" in whole.arguments
    assert not [one for one in whole.arguments if one.startswith("--scenario")]
    assert all("--device=cuda" in one.arguments for one in planned if "report" not in one.name)
    rehearsed = steps(request_of(tmp_path, scenarios="gan", frameworks=("jax",)))
    assert not [step for step in rehearsed if "torch" in " ".join(step.arguments)]
    assert "--size=seed" in next(s for s in rehearsed if s.name == WHOLE).arguments


@pytest.mark.serial
def test_a_step_that_fails_or_hangs_ends_no_other(tmp_path: Path) -> None:
    hang = "import time\ntry: time.sleep(60)\nexcept KeyboardInterrupt: print('saved what it had')"
    code, found = taken(
        tmp_path,
        # a slow machine starts Python in a second and more
        script("raises", "raise ValueError('broken')", seconds=4.0),
        script("hangs", hang, seconds=4.0),
        script(WHOLE, hang, seconds=4.0, may_be_cut=True),
        script("told", "print('3 of 4')\nraise SystemExit(3)", fine=(0, 3), seconds=20.0),
        seconds=24.0,
    )
    assert code == look.FAILED
    assert {name: one["passed"] for name, one in found.items()} == {
        "raises": False, "hangs": False, WHOLE: True, "told": True,
    }  # fmt: skip
    assert found["raises"]["said"] == "exit code 1: ValueError: broken"
    assert "last: saved what it had" in found["hangs"]["said"]
    assert found["hangs"]["code"] is None
    assert found["told"]["said"] == "3 of 4"
    log = (tmp_path / "out" / "log.txt").read_text()
    assert "ValueError: broken" in log
    assert log.count("\nsaved what it had\n") == 2


@pytest.mark.serial
def test_what_a_step_has_started_ends_with_it(tmp_path: Path) -> None:
    left = tmp_path / "pid"
    code = (
        "import os, pathlib, signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"pid = os.fork()\npathlib.Path({str(left)!r}).write_text(str(pid)) if pid else None\n"
        "time.sleep(60)"
    )
    taken(tmp_path, script("hangs", code), seconds=3.0)
    state, deadline = Path(f"/proc/{left.read_text()}/stat"), time.monotonic() + 10.0
    while state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.smoke
def test_output_of_a_step_becomes_its_file_and_the_summary_names_the_machine(
    tmp_path: Path,
) -> None:
    works = "import time\nwhile time.process_time() < 0.3: pass\nprint('{}')"
    code, found = taken(tmp_path, script("machine", works, output="machine.json"))
    assert 0.3 <= found["machine"]["cpu_seconds"] < 10.0
    assert (code, found["machine"]["said"]) == (0, "see machine.json")
    assert (tmp_path / "out" / "machine.json").read_text() == "{}\n"
    page = (tmp_path / "out" / "summary.md").read_text()
    assert "| ✓ | machine |" in page
    assert look.environment.describe()["cpu"] in page


@pytest.mark.smoke
def test_canaries_that_left_no_run_have_failed(tmp_path: Path) -> None:
    code, found = taken(tmp_path, script("canaries", "print('2 passed')"))
    assert (code, found["canaries"]["passed"]) == (look.FAILED, False)
    assert found["canaries"]["said"].startswith("FAILED: no run was left")


@pytest.mark.smoke
def test_archives_are_bounded_and_say_what_they_leave_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packing, "MOST_BYTES", 4096)
    work, out = tmp_path / "work", tmp_path / "out"
    for folder in (work / "runs" / "box", work / "profiles", work / "report", out):
        folder.mkdir(parents=True)
    (work / "runs" / "box" / "a.json").write_text("{}")
    (work / "runs" / "box" / "a.npz").write_bytes(os.urandom(8192))
    (work / "profiles" / "x.trace.json.gz").write_bytes(b"x")
    (work / "report" / "report.html").write_text("x" * 5000)
    (out / "log.txt").write_text("a" * 9000 + "the end")
    lines = packing.pack(work, out)
    with tarfile.open(out / "runs.tar.gz") as archive:
        assert archive.getnames() == ["runs/box/a.json"]
    assert [line.partition(":")[0] for line in lines] == ["runs/box/a.npz", "report.html"]
    assert (out / "log.txt").read_text().endswith("the end")
    assert all(path.stat().st_size <= 4096 for path in out.iterdir())


@pytest.mark.smoke
def test_checks_compute_on_the_device_that_is_named() -> None:
    config: Any = type("Config", (), {"stash": pytest.Stash(), "add_cleanup": lambda *_: None})()
    workers = session_workers.of_session(config, 3.0, "cuda")
    assert workers._device == "cuda"
    workers.close()


@pytest.mark.serial  # beside others a step has no time to leave what a later one needs
def test_the_whole_is_rehearsed_with_tiny_limits(tmp_path: Path) -> None:
    """Every step is begun and ended in time, whatever there was time for."""
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    out, start = tmp_path / "out", time.monotonic()
    command = ["make", "gpu", "DEVICE=cpu", f"OUT={out}", f"PYTHON={sys.executable}", "VENV=none"]
    done = subprocess.run(
        [*command, "ARGS=--minutes 1 --scenario linear_cascade"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert time.monotonic() - start < 120, done.stdout
    written = json.loads((out / "summary.json").read_text())
    assert tuple(one["step"] for one in written["steps"]) == ORDER, done.stdout + done.stderr
    assert done.returncode in (0, 2)  # make's own, where a step had too little time
    wrong = [one for one in written["steps"] if not one["passed"] and one["code"] is not None]
    assert wrong == []  # what had not too little time went well
    files = list(out.iterdir())
    assert len(files) <= packing.MOST_FILES
    assert all(path.is_file() and path.stat().st_size <= packing.MOST_BYTES for path in files)
    ended = {one["step"] for one in written["steps"] if one["passed"]}
    described = {"machine.json"} if "machine" in ended else set()
    left = {"summary.md", "summary.json", "log.txt"} | described
    assert left <= {p.name for p in files}


@pytest.mark.serial
def test_stopped_by_a_signal_it_leaves_what_it_has(tmp_path: Path) -> None:
    """End it as a machine does that is taken back."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.evaluation.first_look", f"--out={tmp_path}",
         "--device=cpu"],
        cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline().startswith("== machine")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == look.STOPPED
    assert json.loads((tmp_path / "summary.json").read_text())["stopped"] is True
