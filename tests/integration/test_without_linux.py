"""What Linux alone has is hidden: workers still start, measure, and die with their parent."""

from __future__ import annotations

import fcntl
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.launches import affinity, strays
from benchmarks.harness.launches.launch import Launch, WorkerFailed
from benchmarks.harness.session import lock
from benchmarks.paths import ROOT
from tests.helpers.fake_framework import FAKES, Measure, fake_framework

HIDING = FAKES / "without_linux"
# starts a worker as a session does, has it hang, says its number, and waits to be killed
PARENT = """
import time
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.problems import ProblemFiles
files = ProblemFiles("linear_cascade", "-", "seed")
crowd = [open("/dev/null") for _ in range(20)]  # the pipe's number has two digits, as in a session
hangs = Launch("fake")
files.open_in(hangs)
hangs.send("gradients", kind="backward", name="hang", phase="gradient", out="-")
print(hangs.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Measure in workers that run as on another system than Linux."""
    monkeypatch.setenv("PYTHONPATH", str(HIDING))
    with fake_framework(monkeypatch) as pool:
        yield Measure(pool)


def ended(pid: int, seconds: float = 20.0) -> bool:
    """Return whether a process, which is no child of this one, ends within so many seconds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        status = Path(f"/proc/{pid}/status")  # nobody may have waited for it yet
        if status.exists() and "\nState:\tZ" in status.read_text():
            return True
        time.sleep(0.02)
    return False


def test_cells_are_checked_and_timed(measured: Measure) -> None:
    cells = measured("summed", "crash", limit=30.0)
    assert cells["summed"]["outcome"] == "ok", cells["summed"]["why"]
    assert len(cells["summed"]["samples"]) == 2
    assert cells["crash"]["outcome"] == "crashed"


def test_memory_that_cannot_be_read_is_missing_with_its_reason(measured: Measure) -> None:
    cells = measured("summed", launches=1, memory=True)
    assert cells["summed"]["figures"]["peak_bytes"] is None
    assert "only Linux counts a process's peak" in cells["summed"]["figures"]["peak_why"]


def test_worker_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    """The worker hangs and would never read the end of its requests: a shell kills it."""
    path = os.pathsep.join(map(str, (HIDING, FAKES, ROOT)))
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    worker = int(parent.stdout.readline())
    try:
        assert not ended(worker, 0.1)
        parent.kill()
        assert ended(worker)
    finally:
        parent.kill()
        parent.wait()
        parent.stdout.close()


def test_heartbeat_is_read_across_processes_without_a_file_in_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr(os, "memfd_create", raising=False)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONPATH", str(FAKES))
        launch = Launch("fake")
    try:
        launch.wait_until_ready()
        launch.send("nothing")  # fails, and leaves the heartbeat at no cell
        with pytest.raises(WorkerFailed, match="nothing"):
            launch.receive(20.0)
        assert launch._link.heartbeat.cell is None
        assert launch._link.heartbeat.since > 0.0
    finally:
        launch.kill()


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system has no waitid(2)")
@pytest.mark.parametrize("way", ["waitid", "kqueue"])
def test_end_of_a_process_is_noticed_without_its_descriptor_and_it_can_still_be_waited_for(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    monkeypatch.delattr(select, "kqueue", raising=False)
    if way == "kqueue":
        fake_kqueue(monkeypatch)
    process = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    strays._waiter(process.pid)()
    assert process.wait() == 3


def fake_kqueue(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give `select` the calls of macOS, which wait by waitid(2)."""

    class Queue:
        def control(self, events: list[dict[str, int]], most: int) -> None:
            assert (len(events), most) == (1, 1)
            assert events[0]["filter"] == 1
            assert events[0]["fflags"] == 8
            os.waitid(os.P_PID, events[0]["ident"], os.WEXITED | os.WNOWAIT)

        def close(self) -> None: ...

    monkeypatch.setattr(select, "kqueue", Queue, raising=False)
    monkeypatch.setattr(
        select, "kevent", lambda ident, **fields: {"ident": ident, **fields}, raising=False
    )
    names = {"KQ_FILTER_PROC": 1, "KQ_EV_ADD": 2, "KQ_EV_ONESHOT": 4, "KQ_NOTE_EXIT": 8}
    for name, value in names.items():
        monkeypatch.setattr(select, name, value, raising=False)


def test_where_nothing_can_be_pinned_workers_run_where_the_system_puts_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)
    assert affinity.available_cores() == list(range(os.cpu_count() or 1))
    assert affinity.taskset_prefix(0) == ()
    affinity.pin(None, 0)  # type: ignore[arg-type]  # no thread is looked for


def test_torch_takes_every_core_where_a_process_has_no_affinity(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("torch")
    from impl_torch import runtime

    if hasattr(os, "sched_getaffinity"):
        assert runtime.usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert runtime.usable_cores() == os.cpu_count()


def test_file_system_without_locks_is_said_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    one = lock.Lock()
    one.path = tmp_path / "lock"
    with pytest.raises(lock.Busy, match="No locks available; the file system"):
        one.take()
