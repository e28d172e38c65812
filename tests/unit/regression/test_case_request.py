"""Which case ``--case`` names, which of its ways are asked for, where its packages are found."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.harness.selection.options import SelectionError
from benchmarks.harness.worker import case_files
from benchmarks.own_code.plan import Pace
from benchmarks.regression import case_cells, case_paths, case_request, plan
from benchmarks.regression.case_request import ComparedCase
from benchmarks.regression.versions import Side, without_trees
from results.records.record import CELL_FIELDS
from tests.helpers.git_repositories import git

CASE = "import torch\ndef make(): ...\ndef small(): ...\n"
FACTS: Any = {
    "networks": {"encoder": {}, "head": {}},
    "frozen": [],
    "untouched": [],
    "moved": [],
    "random": False,
    "reach": {"task": ["encoder.w", "head.w"]},
    "series": "the case gives losses and no stages",
}
FROZEN: Any = {**FACTS, "frozen": ["encoder.w"]}


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """Return a repository with a case in a folder, and a package in ``src``."""
    folder = tmp_path / "repo"
    (folder / "src" / "pkg").mkdir(parents=True)
    (folder / "bench").mkdir()
    git(folder, "init", "-q", "-b", "main")
    (folder / "bench" / "my_case.py").write_text(CASE)
    (folder / "src" / "pkg" / "__init__.py").touch()
    (folder / "src" / "pkg" / "cases.py").write_text(CASE)
    return folder


def read(text: str, folder: Path, **selected: tuple[str, ...]) -> ComparedCase:
    names = {**dict.fromkeys(cells.OPTIONS), **selected}
    return case_request.read(text, names, folder, seed=0, same=False)


@pytest.mark.parametrize(
    ("text", "name", "source"),
    [
        ("bench/my_case.py", "my_case", {"file": "bench/my_case.py", "function": "make"}),
        (
            "bench/my_case.py:small",
            "my_case.small",
            {"file": "bench/my_case.py", "function": "small"},
        ),
        ("pkg.cases:make", "pkg.cases", {"module": "pkg.cases", "function": "make"}),
    ],
)
def test_a_case_is_named_by_file_or_module(
    repo: Path, text: str, name: str, source: dict[str, str]
) -> None:
    case = read(text, repo)
    (found,) = case.sources.items()
    expected = {**source, "file": str(repo / source["file"])} if "file" in source else source
    assert found == ("torch", expected)
    assert case.name == name
    assert case.file == repo / source.get("file", "src/pkg/cases.py")
    assert not case.selects


def test_a_file_for_both_frameworks_has_a_case_in_each(repo: Path) -> None:
    both = "import torch, jax\ndef torch_case(): ...\ndef jax_case(): ...\n"
    (repo / "both-of-them.py").write_text(both)
    case = read("both-of-them.py", repo)
    assert {f: one.get("function") for f, one in case.sources.items()} == {
        "torch": "torch_case",
        "jax": "jax_case",
    }
    assert case.name == "both_of_them"
    assert list(read("both-of-them.py", repo, framework=("jax",)).sources) == ["jax"]


@pytest.mark.parametrize(
    ("text", "selected", "said"),
    [
        ("no_case.py", {}, "there is no file"),
        ("bench/my_case.py:mk", {}, "has no function 'mk'"),
        ("pkg.nowhere:make", {}, "no such module in"),
        ("bench/my_case.py", {"scenario": ("gan",)}, "--scenario is of the suite's own scenarios"),
        ("bench/my_case.py", {"mode": ("compile",)}, "--mode is of the suite's own scenarios"),
        ("bench/my_case.py", {"strategy": ("sumed",)}, "did you mean 'summed'"),
        ("bench/my_case.py", {"phase": ("all", "stp")}, "did you mean 'step'"),
    ],
)
def test_what_is_no_case_or_no_way_of_one_is_one_line(
    repo: Path, text: str, selected: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(SelectionError) as caught:
        read(text, repo, **selected)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_defines_no_case_is_named_with_what_it_defines(repo: Path) -> None:
    (repo / "model.py").write_text("import torch\ndef train(): ...\n")
    with pytest.raises(SelectionError, match=r"no function 'make'; it defines torch, train; name"):
        read("model.py", repo)


def chosen(case: ComparedCase, framework: str, facts: Any) -> list[tuple[str, str, str]]:
    found = case_cells.choose(case, framework, facts, Pace(0.0))
    return [(one.kind, one.phase, one.strategy) for one in found]


def test_by_default_the_gradient_and_the_step_are_compared(repo: Path) -> None:
    case = read("bench/my_case.py", repo)
    gradient = ("backward", "gradient", "summed")
    assert chosen(case, "torch", FACTS) == [gradient, ("backward", "step", "summed")]
    assert chosen(case, "torch", FROZEN) == [gradient, ("freeze", "step", "requires_grad_false")]
    assert chosen(case, "jax", FROZEN) == [gradient, ("freeze", "step", "partition")]


def test_what_is_asked_for_is_compared_without_a_baseline(repo: Path) -> None:
    ways = ("separate_retained",)
    case = read("bench/my_case.py", repo, strategy=ways, phase=("gradient",))
    assert chosen(case, "torch", FACTS) == [("backward", "gradient", "separate_retained")]
    case = read("bench/my_case.py", repo, kind=("freeze",), strategy=("all",), phase=("step",))
    recipes = {kind for kind, _, _ in chosen(case, "torch", FROZEN)}
    assert recipes == {"freeze"}


@pytest.mark.parametrize(
    ("selected", "said"),
    [
        ({"strategy": ("boundary_split",)}, "boundary_split: the case gives losses and no stages"),
        ({"kind": ("freeze",)}, "nothing is frozen"),
    ],
)
def test_a_way_that_the_case_has_not_is_named_with_the_reason(
    repo: Path, selected: dict[str, tuple[str, ...]], said: str
) -> None:
    with pytest.raises(SelectionError, match=said):
        chosen(read("bench/my_case.py", repo, **selected), "torch", FACTS)


def test_cells_of_a_case_are_those_of_a_document(repo: Path) -> None:
    case = read("bench/my_case.py", repo)
    torch, jax = (case_cells.choose(case, f, FACTS, Pace(0.1, 8.0))[0] for f in ("torch", "jax"))
    (plain,) = plan.plain_cells([torch])
    assert list(plain) == list(CELL_FIELDS)
    assert torch.owner == jax.owner == str(repo / "bench" / "my_case.py")
    assert torch.problem != jax.problem  # each framework has facts and references of its own
    quick = case_cells.choose(case, "torch", FACTS, Pace(0.001, 2.0))[0]
    assert plan.estimate_pair_seconds([torch]) > plan.estimate_pair_seconds([quick]) + 8


def side(repo: Path, tree: Path) -> Side:
    return Side(
        "head", "main", None, 0, sys.executable, {}, repo, "", {},
        repository=str(repo), tree=str(tree),
    )  # fmt: skip


def test_packages_come_from_the_side_s_own_folders(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    for folder in ("src", "bench", "parts/one/src"):
        (tree / folder).mkdir(parents=True)
    (tree / "parts" / "one" / "pyproject.toml").touch()
    of = side(repo, tree)
    assert case_paths.import_folders(of, repo / "bench") == [str(tree / "src"), str(tree)]
    nested = case_paths.import_folders(of, repo / "parts" / "one", tmp_path)
    assert nested == [str(tree / "parts/one" / "src"), str(tree / "parts/one"), str(tree / "src"),
                      str(tree)]  # fmt: skip
    monkeypatch.setenv("PYTHONPATH", f"{repo}/python:{tmp_path}/elsewhere")
    assert case_paths.mapped_variable(of) == {"PYTHONPATH": f"{tree}/python:{tmp_path}/elsewhere"}
    assert without_trees(f"{tree}/bench/my_case.py:3: no", [of]) == "bench/my_case.py:3: no"


def test_a_user_s_folder_comes_before_what_is_installed_and_after_python_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.py").write_text("def make(): return 1\n")
    before = ["/suite", "/usr/lib/python3", "/env/lib/site-packages", "/late"]
    monkeypatch.setattr(sys, "path", list(before))
    folders = [str(tmp_path / "src"), str(tmp_path), "/late"]
    case_files.CaseFunction({"file": "c.py"}, str(tmp_path), folders)
    assert sys.path == [*before[:2], *folders[:2], *before[2:]]


def test_a_package_that_is_installed_as_a_copy_is_seen(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Find what hides the repository's own package, unless a folder in front of it has that too."""
    site = tmp_path / "env" / "site-packages"
    for name, editable in (("copied", "false"), ("linked", "true")):
        info = site / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (site / name).mkdir()
        (site / name / "__init__.py").touch()  # later Pythons leave out what is not there
        (info / "METADATA").write_text(f"Name: {name}\nVersion: 1\n")
        (info / "RECORD").write_text(f"{name}/__init__.py,,\n{info.name}/METADATA,,\n")
        url = f'"url": "file://{repo}", "dir_info": {{"editable": {editable}}}'
        (info / "direct_url.json").write_text(f"{{{url}}}")
    monkeypatch.setattr(sys, "path", [str(site)])
    assert list(case_paths.installed_from(str(repo))) == ["copied"]
    assert list(case_paths.installed_from(str(tmp_path / "elsewhere"))) == []
    assert case_paths.without_place(["copied", "pkg"], [str(repo / "src")]) == ["copied"]
