"""The real command on clones of this repository: what it finds, and every fault it can meet."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import pytest

from benchmarks.paths import ROOT
from tests.helpers.git_repositories import git
from tests.helpers.tutorial import files

ONE_CELL = (
    "--scenario=linear_cascade", "--size=seed", "--phase=gradient", "--strategy=summed",
)  # fmt: skip
# its sizes are not ours: of no size asked for, the smallest is taken
OWN = (
    "--scenario-path=my_network.py", "--variant=whole", "--framework=torch", "--phase=gradient",
    "--strategy=summed",
)  # fmt: skip
OLD = "edd25f0"  # the last commit whose worker was one module, benchmarks/harness/worker.py
WAIT = 600.0  # for a line that the command will print; a busy machine takes long
# so that Ctrl-C counts even where whoever runs the tests has it ignored
MAIN = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from benchmarks.cli import main; sys.exit(main(sys.argv[1:]))"
)


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """This repository with the files as they are now committed."""
    folder = tmp_path / "clone"
    git(tmp_path, "clone", "-q", str(ROOT), str(folder))
    for changed in git(ROOT, "ls-files", "-mo", "--exclude-standard").split():
        target = folder / changed
        if (ROOT / changed).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / changed).read_bytes())
        else:
            target.unlink()
    commit(folder, "as it is now")
    return folder


def commit(folder: Path, about: str) -> None:
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", about)


def changed(folder: Path, file: str, old: str, new: str) -> None:
    source = (folder / file).read_text()
    assert source.count(old) == 1
    (folder / file).write_text(source.replace(old, new))


def base_with(folder: Path, file: str, old: str, new: str) -> None:
    """HEAD of the clone has that change, and its work tree does not."""
    changed(folder, file, old, new)
    commit(folder, "base")
    changed(folder, file, new, old)


def command(tmp_path: Path, *arguments: str) -> list[str]:
    kept = f"--results={tmp_path / 'kept'}"
    return [sys.executable, "-c", MAIN, "regress", "HEAD", *arguments, kept]


def regress(
    clone: Path, *arguments: str, path: str = "", limited: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    """The command as it is in the clone, or in ``path``; it must leave nothing behind."""
    done = subprocess.run(
        command(clone.parent, *arguments),
        cwd=clone, env={**environment(clone.parent), "PYTHONPATH": path},
        capture_output=True, text=True, check=False, preexec_fn=limited,
    )  # fmt: skip
    assert left(clone.parent) == []
    return done


def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "temporary").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(tmp_path / "temporary")}


def left(tmp_path: Path) -> list[str]:
    """Return the folders and the processes that a command left behind."""
    mark = f"TMPDIR={tmp_path / 'temporary'}".encode()
    ours = (tmp_path / "temporary").glob("cascade-bench-*")
    folders = [str(path) for path in ours if path.suffix != ".lock"]
    return folders + [pid for pid in os.listdir("/proc") if pid.isdigit() and _has(pid, mark)]


def _has(pid: str, mark: bytes) -> bool:
    try:
        return mark in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # gone meanwhile, or somebody else's
        return False


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    return done.stderr.rstrip().splitlines()[-1]


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_wrong_gradient_in_the_work_tree_is_found_at_once(clone: Path, framework: str) -> None:
    pytest.importorskip(framework)
    wrong = "enter=lambda value, _: value * 1.01"
    changed(clone, f"impl_{framework}/cascade.py", "enter=as_it_is", wrong)
    done = regress(clone, *ONE_CELL, f"--framework={framework}")
    assert done.returncode == 1, done.stderr
    assert "✗ wrong gradients" in done.stdout, done.stdout
    printed = " ".join(done.stdout.split())
    assert "head's float64 gradients are not those of base: net1.linear" in printed


def test_a_step_that_no_longer_donates_is_told_by_a_count_in_seconds(clone: Path) -> None:
    """Its gradients and its updates stay right, and its time may stay the same."""
    pytest.importorskip("jax")
    changed(
        clone,
        "impl_jax/program.py",
        "self.step = compiler.jit(self._step, donate=(0, 1))",
        "self.step = compiler.jit(self._step)",
    )
    step = ("--scenario=linear_cascade", "--size=seed", "--phase=step", "--strategy=summed")
    done = regress(clone, *step, "--framework=jax", "--counts-only", "--json")
    assert done.returncode == 1, done.stderr
    answer = json.loads(done.stdout)
    assert "bytes overwritten in place" in answer["worse"]
    by_metric = {one["metric"]: one for one in answer["findings"][0]["counts"]}
    assert by_metric["aliased_bytes"]["head"] == 0 < by_metric["aliased_bytes"]["base"]
    assert answer["launch_pairs"] == 0
    assert "bytes overwritten in place 296 B → 0 B" in done.stderr  # at once, too


def test_a_base_whose_worker_was_one_module_is_compared(clone: Path) -> None:
    """Workers of before the packages speak the same protocol, version 1."""
    pytest.importorskip("torch")
    if subprocess.run(["git", "cat-file", "-e", OLD], cwd=clone, check=False).returncode:
        pytest.skip(f"the history of this clone does not reach back to {OLD}")
    arguments = [*ONE_CELL, "--framework=torch", "--budget=4m", "--json"]
    words = command(clone.parent, *arguments)
    words[words.index("HEAD")] = OLD
    done = subprocess.run(
        words, cwd=clone, env=environment(clone.parent), capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1, 3), done.stderr  # of a verdict, or of not told
    answer = json.loads(done.stdout)
    # the first look comes after ten, which a slow machine has no time for; a few show the protocol
    assert answer["launch_pairs"] >= 3, answer
    assert [finding["cell"]["framework"] for finding in answer["findings"]] == ["torch"]
    assert left(clone.parent) == []


def own_repository(tmp_path: Path) -> Path:
    """The network of the tutorial, committed."""
    nets = tmp_path / "nets"
    (nets / "src").mkdir(parents=True)
    git(nets, "init", "-q", "-b", "main")
    for name, text in files().items():
        (nets / Path(name).name).write_text(text)
    (nets / "src" / "helper_of_mine.py").write_text("")
    commit(nets, "right")
    return nets


def test_what_a_user_has_installed_is_not_compared_with_itself(tmp_path: Path) -> None:
    """Both sides would import the one that is installed, whatever the refs have."""
    pytest.importorskip("torch")
    nets = own_repository(tmp_path)
    first = "import torch.nn.functional as F\n"
    changed(nets, "my_network_torch.py", first, f"import helper_of_mine\n{first}")
    done = regress(nets, *OWN, path=f"{ROOT}{os.pathsep}{nets / 'src'}")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"your network loads {nets / 'src' / 'helper_of_mine.py'}," in last_line(done)
    assert "while you compare, take the package out of the interpreter" in last_line(done)


def test_a_wrong_gradient_in_a_user_s_own_network_is_found(tmp_path: Path) -> None:
    """The refs are those of the repository that the user's files are in."""
    pytest.importorskip("torch")
    nets = own_repository(tmp_path)
    changed(nets, "my_network_torch.py", "return self.linear2(", "return 1.01 * self.linear2(")
    done = regress(nets, *OWN, path=str(ROOT))
    assert done.returncode == 1, done.stderr
    printed = " ".join(done.stdout.split())
    assert "✗ wrong gradients" in printed
    assert "head's float64 gradients are not those of base: encoder.linear" in printed


def test_a_base_that_does_not_build_is_one_line(clone: Path) -> None:
    pytest.importorskip("torch")
    base_with(clone, "impl_torch/session.py", "import torch\n", "import torch, no_such_part\n")
    done = regress(clone, *ONE_CELL, "--framework=torch")
    assert (done.returncode, done.stdout) == (2, "")
    assert last_line(done).startswith("cascade-bench: nothing of this selection runs on BASE: ")
    assert "No module named 'no_such_part'" in last_line(done)


def test_a_base_whose_workers_speak_an_older_protocol_is_one_line(clone: Path) -> None:
    pytest.importorskip("torch")
    base_with(clone, "benchmarks/harness/worker/timing.py", "def do_warm(", "def do_heat(")
    done = regress(clone, *ONE_CELL, "--framework=torch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "its workers speak an older protocol" in last_line(done)
    assert "compare with a later commit" in last_line(done)


@pytest.mark.filterwarnings("ignore:os.fork")  # another test of this process may have loaded JAX
def test_a_full_disk_before_measuring_is_one_line(clone: Path) -> None:
    """A disk on which no file can grow beyond 4 KiB."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    done = regress(clone, *ONE_CELL, limited=limited)
    assert (done.returncode, done.stdout) == (2, "")
    assert last_line(done).startswith("cascade-bench: ")
    assert "free some space there, or set TMPDIR" in last_line(done)


@pytest.fixture
def running(clone: Path) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A comparison that is in the middle: its base lacks one of the two strategies."""
    pytest.importorskip("torch")
    base_with(clone, "impl_torch/strategies.py", "        boundary_split,\n", "        # gone\n")
    arguments = (*ONE_CELL[:3], "--strategy=summed,boundary_split", "--framework=torch")
    process = subprocess.Popen(
        command(clone.parent, *arguments), cwd=clone, env=environment(clone.parent),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        yield process, process.stderr
    finally:
        process.kill()
        process.communicate()


def await_line(process: subprocess.Popen[str], progress: IO[str], begin: str) -> None:
    """Wait until the command has printed a line with this beginning."""
    deadline = time.monotonic() + WAIT
    while not progress.readline().startswith(begin):
        assert time.monotonic() < deadline
        assert process.poll() is None


def test_stopped_in_the_middle_it_keeps_what_was_measured_and_nothing_else(
    running: tuple[subprocess.Popen[str], IO[str]], clone: Path
) -> None:
    process, progress = running
    await_line(process, progress, "launch pair 2")  # the other one must start before the last pair
    other = subprocess.run(
        command(clone.parent, *ONE_CELL), cwd=clone, env=environment(clone.parent),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    await_line(process, progress, "launch pair 3")
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    printed, more = process.communicate(timeout=WAIT)

    assert process.returncode == 130, more
    assert "it was interrupted" in printed
    (path,) = (clone.parent / "kept").glob("*/*.json")
    assert f"comparison saved: {path}" in more
    document = json.loads(path.read_text())
    assert document["pairs"] >= 2
    assert document["finished"] is None
    summed, new = (document["cells"][place] for place in (0, 1))
    assert (summed["cell"]["strategy"], summed["state"]) == ("summed", "ok")
    assert len(summed["seconds"]["wall"]) == document["pairs"]
    assert (new["cell"]["strategy"], new["state"]) == ("boundary_split", "only_in_head")
    assert "boundary_split" in new["why"]
    assert left(clone.parent) == []
    # and another that was begun meanwhile
    assert (other.returncode, other.stdout) == (2, "")
    assert f"another run is measuring on this machine (process {process.pid} " in last_line(other)
