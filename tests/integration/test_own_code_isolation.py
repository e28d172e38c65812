"""A user's code runs in processes of its own, without our pipes, and leaves none behind."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import strays
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol.cells import Cell
from benchmarks.machine import frameworks
from benchmarks.regression import plan
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import loading
from tests.helpers.external_scenarios import write_fake
from tests.helpers.fake_comparisons import cell
from tests.integration.test_worker_faults import assert_others_timed, running

# what one file leaves behind in its process
LEFT = """
import builtins, gc, os, resource, signal, sys, time, warnings
os.environ["OMP_NUM_THREADS"] = "7"
os.environ["FAKE_MODE"] = "odd"
time.perf_counter = time.monotonic = lambda: 0.0
time.sleep = lambda seconds: None
gc.disable()
gc.collect = gc.enable = lambda *_: None
sys.setrecursionlimit(400)
sys.setprofile(lambda *_: None)
sys.setswitchinterval(0.5)
sys.stdout = sys.stderr = None
signal.signal(signal.SIGTERM, signal.SIG_IGN)
os.umask(0o077)
os.nice(3)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
warnings.simplefilter("error")
builtins.copyright = None
"""
# what another file finds in its own
FOUND = """
import gc, json, resource, signal, time, builtins
from benchmarks.harness.worker import process_switches
found = process_switches.read() | {
    "recursion": sys.getrecursionlimit(), "umask": os.umask(0o022), "nice": os.nice(0),
    "term": str(signal.getsignal(signal.SIGTERM)), "copyright": str(builtins.copyright),
    "stdout": sys.stdout is None, "mode": os.environ.get("FAKE_MODE"),
    "core": resource.getrlimit(resource.RLIMIT_CORE),
}
with open(os.environ["FOUND"], "a") as file:
    file.write(json.dumps(found) + "\\n")
"""


@pytest.fixture(autouse=True)
def _catalogue() -> Iterator[None]:
    """Restore the catalogue after each test."""
    before = dict(CATALOGUE)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)


def job(file: Path, **changes: Any) -> dict[str, Any]:
    """Return the keys of a job that measures the scenario of a file."""
    return {"scenario": file.stem, "file": str(file), "launches": 1, **changes}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str | None]]:
    """Return a list of the worker's number and the file, of each problem that is opened."""
    opened: list[tuple[int, str | None]] = []
    open_in = ProblemFiles.open_in

    def watch(files: ProblemFiles, launch: Launch, *rest: Any) -> None:
        file = str(files.spec.file) if files.spec.file else None
        opened.append((launch.pid, file))
        assert launch.owner == file
        open_in(files, launch, *rest)

    monkeypatch.setattr(ProblemFiles, "open_in", watch)
    return opened


def assert_not_shared(opened: list[tuple[int, str | None]], owners: int) -> None:
    """Assert that so many owners were opened, and none in a process that another was opened in."""
    assert len({file for _, file in opened}) == owners
    assert len({pid for pid, _ in opened}) == len(set(opened))


def test_files_share_no_process_with_each_other_nor_with_our_scenarios(
    measured: Any, tmp_path: Path, opened: list[tuple[int, str | None]]
) -> None:
    one, other = (write_fake(tmp_path, name) for name in ("one", "other"))
    assert_others_timed(measured("summed"))
    for file in (one, other, one):
        assert_others_timed(measured("summed", **job(file)), launches=1)
        # what a file has started beside its worker must not run on while another is measured
        assert {worker.owner for worker in measured.pool.workers()} == {str(file)}
    assert_not_shared(opened, 3)
    assert not any(running(pid) for pid, file in opened if file != str(one))


def test_workers_of_a_file_are_kept_from_group_to_group(
    measured: Any, tmp_path: Path, opened: list[tuple[int, str | None]]
) -> None:
    one = write_fake(tmp_path, "one")
    for phase in ("gradient", "step"):
        measured("summed", **job(one, phase=phase))
    assert len({pid for pid, _ in opened}) == 2  # a reference, and a launch


def test_what_a_file_does_to_its_process_is_not_found_in_another_s(
    measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOUND", str(tmp_path / "found"))
    left = write_fake(tmp_path, "left", at_import=LEFT)
    found = write_fake(tmp_path, "found", code=FOUND)
    for file in (found, left, found):
        outcomes = measured("summed", **job(file))
        assert outcomes["summed"]["outcome"] == "ok", outcomes["summed"]
        notes = measured.about["notes"]
        if file == left:
            assert any("left_fake.py changed the fake's mode from None to odd" in n for n in notes)
            assert sum("left_fake.py" in note for note in notes) >= 8
        else:
            assert notes == []
    lines = [json.loads(line) for line in (tmp_path / "found").read_text().splitlines()]
    assert len(lines) == 4
    assert all(line == lines[0] for line in lines)
    assert lines[0]["mode"] is None


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("assert sys.stdin.read() == '' and sys.stdin.readline() == ''", None),
        ("assert os.read(0, 10) == b''", None),
        ("input()", "mine_fake.py:8: EOFError: EOF when reading a line"),
        ("breakpoint()", "mine_fake.py:8: breakpoint() needs a terminal: remove it"),
        ("import pdb; pdb.set_trace()", ": pdb needs a terminal: remove its set_trace()"),
        ("os.fork()", None),  # the child runs on in our code, and says nothing
        ("print('a line')", None),
    ],
)
def test_a_user_s_code_has_an_empty_stdin_and_no_part_in_the_answers(
    measured: Any, tmp_path: Path, code: str, why: str | None
) -> None:
    mine = write_fake(tmp_path, "mine", code=code)
    start = time.monotonic()
    outcome = measured("summed", **job(mine, limit=90.0))["summed"]
    assert outcome["outcome"] == ("crashed" if why else "ok"), outcome
    assert (why or "") in (outcome["why"] or "")
    assert time.monotonic() - start < 60.0  # and not the limit


# a child that writes down where its descriptors lead: one that was executed, and one that was not
CHILDREN = """
import subprocess, textwrap
LIST = textwrap.dedent('''
import os, sys
with open(sys.argv[1], "w") as file:
    for number in range(40):
        if os.path.exists(f"/proc/self/fd/{number}"):
            print(os.readlink(f"/proc/self/fd/{number}"), file=file)
''')
out = os.environ["OUT"]
command = [sys.executable, "-S", "-c", LIST, out + "exec"]
subprocess.run(command, close_fds=False, check=True)
pid = os.fork()
if pid == 0:
    sys.argv[1:] = [out + "fork"]
    exec(LIST)
    os._exit(0)
os.waitpid(pid, 0)
"""


def test_a_child_inherits_none_of_the_worker_s_descriptors(
    measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUT", f"{tmp_path}/")
    mine = write_fake(tmp_path, "mine", code=CHILDREN)
    assert_others_timed(measured("summed", **job(mine)), launches=1)
    inherited, forked = ((tmp_path / name).read_text().split() for name in ("exec", "fork"))
    assert inherited
    assert [link for link in inherited if link.startswith("pipe:") or "memfd" in link] == []
    # the parent-death pipe alone, by which the child dies with the session
    assert len({link for link in forked if link.startswith("pipe:")}) == 1


DAEMONS = """
import signal, subprocess, time
def note(pid):
    with open(os.environ["DAEMONS"], "a") as file:
        file.write(f"{pid}\\n")
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        note(os.getpid())
        time.sleep(300)
    os._exit(0)
command = [sys.executable, "-S", "-c", "import time; time.sleep(300)"]
note(subprocess.Popen(command, start_new_session=True).pid)
"""


def daemons(file: Path) -> list[int]:
    """Return the numbers of the processes that the file names."""
    return [int(pid) for pid in file.read_text().split()]


def test_what_a_user_s_code_starts_in_a_session_of_its_own_ends_with_its_worker(
    measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAEMONS", str(tmp_path / "daemons"))
    mine = write_fake(tmp_path, "mine", code=DAEMONS)
    assert_others_timed(measured("summed", **job(mine)), launches=1)
    started = daemons(tmp_path / "daemons")
    assert len(started) == 4  # two in the reference's worker, two in the timed one
    assert all(running(pid) for pid in started)
    assert_others_timed(measured("summed"))
    wait_until_ended(started)


def wait_until_ended(pids: list[int]) -> None:
    """Wait until these processes have ended, 10 seconds at most."""
    deadline = time.monotonic() + 10.0
    while any(map(running, pids)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(map(running, pids))


# a library's fork, of which Python hears nothing: the child has the pipe of the answers
DEAD = """
import ctypes, signal, time
if ctypes.CDLL(None).fork() == 0:
    time.sleep(300)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_worker_that_dies_and_leaves_its_pipe_to_a_child_has_crashed(
    measured: Any, tmp_path: Path
) -> None:
    start = time.monotonic()
    outcome = measured("summed", **job(write_fake(tmp_path, "mine", code=DEAD)))["summed"]
    assert outcome["outcome"] == "crashed"
    assert time.monotonic() - start < 60.0
    assert "the worker ended by signal 9" in outcome["why"]


def test_marked_processes_are_found_by_their_environment(tmp_path: Path) -> None:
    mark = strays.new_mark()
    ((name, value),) = mark.items()
    for number, text in ((11, f"A=1\0{name}={value}\0"), (12, f"{name}={value}0\0"), (13, "")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "environ").write_text(text)
    (tmp_path / "14").mkdir()  # it has ended meanwhile
    found = list(strays._marked(f"{name}={value}".encode(), tmp_path))
    assert found == [11]
    assert strays.new_mark() != mark


def test_checks_of_a_file_run_in_workers_of_its_own(
    measured: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frameworks, "why_missing", lambda name: None)
    one, other = (write_fake(tmp_path, name) for name in ("one", "other"))
    loading.load([one, other])
    checks = CheckWorkers()
    try:
        problems = [(name, "-", "seed") for name in ("linear_cascade", "one", "other")]
        launches = [checks.open(problem, "fake") for problem in problems]
        assert [launch.owner for launch in launches] == [None, str(one), str(other)]
        assert [launch.dead for launch in launches] == [False, True, False]
        assert checks.open(problems[0], "fake") is launches[0]
    finally:
        checks.close()


@pytest.mark.slow
def test_versions_are_compared_in_workers_of_each_file_s_own(
    measure: Any, tmp_path: Path, opened: list[tuple[int, str | None]]
) -> None:
    one, other = (write_fake(tmp_path, name) for name in ("one", "other"))
    loading.load([one, other])
    own = [Cell(**(vars(cell()) | {"scenario": file.stem})) for file in (one, other)]
    cells = [cell(), *own]
    document = measure(*cells)
    assert [entry["state"] for entry in document["cells"]] == ["ok"] * 3
    assert_not_shared(opened, 3)
    assert list(plan.by_owner(cells)) == [None, str(one), str(other)]
    assert plan.estimate_pair_seconds(cells) > 3 * plan.START_SECONDS
