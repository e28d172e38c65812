"""What Linux alone has is hidden: workers still start, measure, and die with their parent."""

from __future__ import annotations

import errno
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
from benchmarks.harness.ranks import processes, rank
from benchmarks.harness.session import lock
from benchmarks.harness.worker import process_switches
from benchmarks.paths import ROOT
from benchmarks.scenarios.external import kept_state
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
# imports all that needs no framework, and no package that few have, and says how many that are
IMPORTS = """
import importlib, pkgutil
import benchmarks, cascade_bench, results
LEFT = "benchmarks.evaluation.trial.commands.", "benchmarks.evaluation.trial.plots"
names = [module.name for package in (benchmarks, cascade_bench, results)
         for module in pkgutil.walk_packages(package.__path__, package.__name__ + ".")]
names = [name for name in names if not name.startswith(LEFT)
         and not name.rpartition(".")[2].startswith(("test_", "__main__", "conftest"))]
for name in names:
    importlib.import_module(name)
print(len(names))
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


@pytest.mark.skipif(not hasattr(os, "waitid"), reason="this system has no waitid(2)")
def test_kernel_that_refuses_a_descriptor_of_a_process_is_asked_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Python knows pidfd_open(2); the kernel does not, or a container forbids it."""

    def refuse(pid: int) -> int:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "pidfd_open", refuse, raising=False)
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
    without_affinity(monkeypatch)
    assert affinity.available_cores() == list(range(os.cpu_count() or 1))
    assert affinity.taskset_prefix(0) == ()
    affinity.pin(None, 0)  # type: ignore[arg-type]  # no thread is looked for


def test_cores_of_a_process_are_neither_read_nor_kept_nor_shared_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    name = "the number of cores of the process"
    if hasattr(os, "sched_getaffinity"):
        assert process_switches.read()[name] == len(os.sched_getaffinity(0))
        assert len(kept_state._cores()) == 1
    without_affinity(monkeypatch)
    assert name not in process_switches.read()
    assert kept_state._cores() == []
    assert processes._cores(0, 2) == {}  # of two ranks each may use all
    monkeypatch.setenv(rank.CORES, "0,1")
    rank._stay_on_own_cores()


@pytest.mark.slow
def test_every_module_of_the_suite_can_be_imported() -> None:
    """Import each without what Linux alone has: that is looked for only when it is used."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (HIDING, ROOT)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 300


def without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take from `os` what tells and sets the cores of a process."""
    for name in ("sched_getaffinity", "sched_setaffinity"):
        monkeypatch.delattr(os, name, raising=False)


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
