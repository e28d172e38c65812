"""``cascade-bench regress --case``: two commits of a user's own repository, by a case in it."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.harness.protocol import cells
from benchmarks.regression import case_request, case_sides, plan, versions
from benchmarks.regression.case_sides import CaseSides
from benchmarks.regression.versions import VersionRequest
from benchmarks.regression.worktrees import VersionError
from results.statistics import launch_pairs
from tests.helpers.case_repositories import (
    MODEL,
    TORCH_CASE,
    TORCH_MODEL,
    case_repository,
    change,
    commit,
)
from tests.helpers.git_repositories import git

CASE = "--case=bench/my_case.py"
CODE = "# the code of x"


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's repository with a case in torch, in which the user stands."""
    folder = case_repository(tmp_path / "repo")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons of few and short launch pairs, which tell large changes alone."""
    monkeypatch.setattr(plan, "FIRST_LOOK", 3)
    monkeypatch.setattr(plan, "MOST_PAIRS", 4)
    for name in ("CELL_SECONDS", "MOST_CELL_SECONDS"):
        monkeypatch.setattr(plan, name, 0.1)
    monkeypatch.setattr(launch_pairs, "MARGIN", 0.5)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the one line of stderr with which the command ends before measuring anything."""
    code = main(["regress", *arguments])
    captured = capsys.readouterr()
    assert (code, captured.out) == (2, ""), captured.err
    line: str = captured.err.rstrip().splitlines()[-1]
    assert line.startswith("cascade-bench: ")
    return line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["HEAD", CASE, "--scenario-path=x.py"], "--case and --scenario-path exclude each other"),
        (["HEAD", CASE, "--cluster=c.yml"], "--case and --cluster exclude each other"),
        (["HEAD", CASE, "--stored=run"], "--case and --stored exclude each other"),
        (["HEAD", CASE, "--seed=-1"], "--seed -1: with --case from 0 to 4294967295"),
        (["HEAD", CASE, "--device=cuda"], "--case is measured on the CPU"),
        (["HEAD", "--same-case"], "give --case FILE too"),
        ([CASE, f"--base-python={sys.executable}", "--same-case"], "without BASE both versions"),
        ([CASE], "regress needs a BASE"),
        (["nowhere", CASE], "'nowhere' is no commit of"),
        (["HEAD", "--case=bench/none.py"], "there is no file"),
        (["HEAD", "--case=src/mine/model.py"], "has no function 'make'; it defines torch, nn, Enc"),
        (["HEAD", "--case=mine.cases:make"], "no such module in"),
        (["HEAD", CASE, "--size=small"], "--size is of the suite's own scenarios; with --case sel"),
    ],
)
def test_what_cannot_be_asked_for_is_one_line(
    repo: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert said in refused(capsys, *arguments)


def test_a_case_outside_of_a_repository_has_no_commits(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("bench/my_case.py", tmp_path / "my_case.py")
    line = refused(capsys, "HEAD", f"--case={tmp_path}/my_case.py")
    assert f"{tmp_path} is in no git repository, so it has no refs" in line


def test_a_case_that_base_has_not_yet_is_named_with_what_to_do(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy("bench/my_case.py", "bench/other.py")
    line = refused(capsys, "v1", "--case=bench/other.py")
    assert "bench/other.py is not in BASE, v1 (" in line
    assert "give --same-case, which runs HEAD's file at both" in line


def test_a_case_that_git_ignores_is_in_no_copy(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (repo / ".gitignore").write_text("other.py\n")
    shutil.copy("bench/my_case.py", "bench/other.py")
    line = refused(capsys, "v1", "--case=bench/other.py", "--same-case")
    assert "bench/other.py is not in HEAD, the work tree (" in line
    assert "git ignores it; `git check-ignore -v bench/other.py` names the line" in line
    commit(repo)
    assert "is not in HEAD, main (" in refused(capsys, "v1", "main", "--case=bench/other.py")


@contextlib.contextmanager
def examined(
    base: str | None, head: str | None = None, *, case: str = "bench/my_case.py", same: bool = False
) -> Iterator[CaseSides]:
    """Examine a case at two versions of the repository in which the user stands."""
    selected = dict.fromkeys(cells.OPTIONS)
    asked = case_request.read(case, selected, Path.cwd(), seed=0, same=same)
    requests = [VersionRequest(ref, sys.executable) for ref in (base, head)]
    installed = list(asked.sources)
    with (
        versions.prepare_sides(requests[0], requests[1], [asked.file]) as sides,
        case_sides.examined(asked, sides, installed, 60.0) as found,
    ):
        yield found


def ways(found: CaseSides) -> list[tuple[str, str]]:
    return [(one.phase, one.strategy) for one in found.cells]


def test_head_s_own_package_is_run_and_what_it_computes_otherwise_is_no_time(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The package is in ``src``, and nothing of it is installed."""
    pytest.importorskip("torch")
    change(repo, "torch.tanh(self", "1.001 * torch.tanh(self")
    assert main(["regress", "v1", CASE, "--budget=60m"]) == 1
    captured = capsys.readouterr()
    printed = " ".join(captured.out.split())
    assert "✗ wrong gradients torch my_case eager gradient summed" in printed
    assert "head's float64 gradients are not those of base: encoder.linear." in printed
    assert "; the loss 'code' is 0." in printed
    (kept,) = (repo / ".cascade-bench" / "regressions").glob("*/*.json")
    document = json.loads(kept.read_text())
    assert document["arguments"][:5] == ["v1", "--budget", "60m", "--case", "bench/my_case.py"]
    assert {cell["state"] for cell in document["cells"]} == {"wrong_in_head"}
    assert document["sides"]["head"]["label"].endswith("with 1 file changed)")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framework", "flat", "case", "expected"),
    [
        ("torch", True, "bench/my_case.py", [("gradient", "summed"), ("step", "summed")]),
        ("jax", False, "bench/my_case.py", [("gradient", "summed"), ("step", "partition")]),
        ("jax", True, "mine.cases:make", [("gradient", "summed"), ("step", "partition")]),
    ],
)
def test_what_changed_without_effect_has_the_same_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framework: str, flat: bool, case: str,
    expected: list[tuple[str, str]],
) -> None:  # fmt: skip
    """Modules of torch and nnx, a pytree; packages in ``src`` and at the top; a case in one."""
    pytest.importorskip(framework)
    folder = case_repository(tmp_path / "repo", framework, flat=flat)
    monkeypatch.chdir(folder)
    file = MODEL.removeprefix("src/") if flat else MODEL
    if case == "mine.cases:make":
        shutil.copy("bench/my_case.py", "mine/cases.py")
        commit(folder)
    change(folder, CODE, "# of x", file)
    with examined("HEAD", case=case) as found:
        assert ways(found) == expected
        assert found.disagreements == {framework: None}
        assert found.notes == []


@pytest.mark.slow
def test_a_case_that_float64_does_not_suit_is_held_to_base_in_float32(repo: Path) -> None:
    """One side that cannot run in float64 is enough, and both sides' references are of float32."""
    pytest.importorskip("torch")
    change(repo, CODE, "assert x.dtype == torch.float32")
    with examined("v1") as found:
        assert found.disagreements == {"torch": None}
        assert [one.dtype for one in found.files["torch"].values()] == ["float32", "float32"]
        (note,) = found.notes
        assert note.startswith("torch: float64 could not be used (AssertionError")
    change(repo, "torch.tanh(self", "1.1 * torch.tanh(self")
    with examined("v1") as found:
        assert "head's float32 gradients are not those of base" in str(found.disagreements["torch"])


@pytest.mark.slow
def test_without_a_repository_two_interpreters_run_the_file_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.py").write_text(TORCH_MODEL)
    (tmp_path / "my_case.py").write_text(TORCH_CASE)
    with examined(None, case="my_case.py") as found:
        assert found.disagreements == {"torch": None}
        assert [side.tree for side in found.sides] == [None, None]


@pytest.mark.slow
def test_another_problem_is_no_time(repo: Path) -> None:
    pytest.importorskip("torch")
    case = "bench/my_case.py"
    change(repo, "nn.Linear(256, 10)", "nn.Linear(256, 10, bias=False)", case)
    with pytest.raises(VersionError) as caught, examined("v1"):
        pass
    assert str(caught.value).startswith(
        "my_case is another problem in HEAD than in BASE, and times of two problems are not "
        "compared: BASE alone has the parameter head.bias; "
    )


@pytest.mark.slow
def test_what_one_side_cannot_import_is_named_with_side_file_and_line(repo: Path) -> None:
    pytest.importorskip("torch")
    (repo / MODEL).rename(repo / "src" / "mine" / "networks.py")
    change(repo, "mine.model", "mine.networks", "bench/my_case.py")
    shutil.copy("bench/my_case.py", "bench/new.py")
    with pytest.raises(VersionError) as caught, examined("v1", case="bench/new.py", same=True):
        pass
    line = str(caught.value)
    assert line.startswith("new cannot be run at BASE, v1 (")
    assert "bench/new.py:4: ModuleNotFoundError: No module named 'mine.networks'; " in line
    assert "files that it ignores, such as compiled ones and data, are not in it" in line
    assert "/base/" not in line


@pytest.mark.slow
def test_a_package_that_comes_from_the_repository_itself_is_refused(
    repo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An entry of PYTHONPATH in the repository is each side's own; other ways into it are not."""
    pytest.importorskip("torch")
    (repo / "python").mkdir()
    git(repo, "mv", "src/mine", "python/mine")
    commit(repo)
    monkeypatch.setenv("PYTHONPATH", "python")
    change(repo, CODE, "# of x", "python/mine/model.py")
    with examined("HEAD") as found:
        assert found.disagreements == {"torch": None}
    monkeypatch.delenv("PYTHONPATH")
    case = f"import sys; sys.path.append({str(repo / 'python')!r})\n"
    (repo / "bench" / "my_case.py").write_text(case + (repo / "bench/my_case.py").read_text())
    said = pytest.raises(VersionError, match=r"loads .*/python/mine/.*PYTHONPATH=python ")
    with said, examined("HEAD", same=True):
        pass


@pytest.mark.slow
@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("new", "codes"),
    [
        ("for _ in range(8): torch.sort(x, dim=1)", (1,)),
        ("# of x", (0, 3)),
    ],
)
def test_a_slower_operation_is_found_and_an_edited_comment_is_not(
    repo: Path, capsys: pytest.CaptureFixture[str], new: str, codes: Sequence[int]
) -> None:
    pytest.importorskip("torch")
    change(repo, CODE, new)
    out = repo.parent / "out.json"
    command = ["regress", "v1", CASE, "--budget=60m", "--json", str(out)]
    code = main(command)
    if code == 1 and code not in codes:  # other work; what a comment did it would do again
        code = main(command)
    captured = capsys.readouterr()
    assert code in codes, captured.out + captured.err
    found: Any = json.loads(out.read_text())
    verdicts = {one["verdict"] for one in found["findings"]}
    assert ("slower" in verdicts) == (code == 1)
    assert found["launch_pairs"] >= 3
    assert "torch my_case eager step summed" in " ".join(captured.out.split())
