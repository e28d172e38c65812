"""The wheel: one name in site-packages, and commands that work from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.case_repositories import case_repository, change, commit

pytest.importorskip("setuptools")
SOURCES = ("benchmarks", "impl_torch", "impl_jax", "results", "cascade_bench", "examples", "docs")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE")
INSIDE = "cascade_bench/_suite/"
GIT = shutil.ignore_patterns(".git")
OWN = 'raise SystemExit("a package of the user was imported")\n'


def pip(*arguments: str, folder: Path) -> None:
    """Run pip without asking an index."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel in a copy, in which an earlier build left a file."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__", "runs", "reports", "reference")
        shutil.copytree(ROOT / name, source / name, ignore=ignored)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    left = source / "build" / "lib" / "benchmarks"
    left.mkdir(parents=True)
    (left / "stale.py").touch()
    options = ("--no-deps", "--no-build-isolation", "-w", "dist", ".")
    pip("wheel", *options, folder=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a folder of its own."""
    folder = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", "site", str(wheel), folder=folder)
    return folder / "site"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Make a user's project, in a repository, with packages that are called like the suite's."""
    for name in ("benchmarks", "results", "impl_torch"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(OWN)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    return tmp_path


def cascade_bench(
    installed: Path, project: Path, *words: str, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run the installed command in the project, whose folder is on the path too."""
    variables = {name: value for name, value in os.environ.items() if "CASCADE" not in name}
    path = os.pathsep.join(map(str, (installed, project)))
    done = subprocess.run(
        [sys.executable, str(installed / "bin" / "cascade-bench"), *words],
        cwd=project, env={**variables, "PYTHONPATH": path, "COLUMNS": "100"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done


def test_wheel_puts_one_name_into_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"cascade_bench", next(top for top in tops if top.endswith(".dist-info"))}


def test_wheel_holds_the_whole_suite_but_its_research(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith(INSIDE)}
    folders = [name for name in SOURCES if name != "cascade_bench"]
    sources = [path for name in folders for path in (ROOT / name).rglob("*.py")]
    sources += (ROOT / "results" / "report" / "templates").iterdir()
    sources.append(ROOT / "docs" / "check.md")
    ours = {INSIDE + path.relative_to(ROOT).as_posix() for path in sources}
    research = {name for name in ours if name.startswith(f"{INSIDE}benchmarks/evaluation/")}
    assert len(research) > 10
    assert names == ours - research


def test_commands_work_beside_a_users_own_packages(installed: Path, project: Path) -> None:
    assert "linear_cascade" in cascade_bench(installed, project, "list").stdout
    doctor = cascade_bench(installed, project, "doctor", "--seconds", "0.5")
    assert "this machine:" in doctor.stdout
    explained = cascade_bench(installed, project, "check", "--explain", "CB101").stdout
    assert explained.startswith("CB101")
    assert "cascade-bench 0." in cascade_bench(installed, project, "--version").stdout
    before = {path for path in installed.rglob("*") if "__pycache__" not in path.parts}
    missing = cascade_bench(installed, project, "show", code=2).stderr
    assert missing.startswith("cascade-bench: ")
    assert ".cascade-bench" in missing
    assert before == {path for path in installed.rglob("*") if "__pycache__" not in path.parts}


def test_case_is_tried_beside_a_users_own_packages(installed: Path, project: Path) -> None:
    pytest.importorskip("torch")
    example = (ROOT / "examples" / "torch_two_networks.py").read_text()
    case = example.replace("from torch import nn\n", "from torch import nn\nimport helper\n")
    (project / "my_case.py").write_text(case)
    (project / "helper.py").touch()
    before = {path for path in installed.rglob("*") if "__pycache__" not in path.parts}
    words = ("my_case.py", "--budget", "25", "--launches", "2", "--way", "summed")
    printed = cascade_bench(installed, project, "try", *words, "--phase", "backward").stdout
    assert "gradient of code → encoder; none in head" in printed
    assert len(list((project / ".cascade-bench").glob("*.json"))) == 1
    assert before == {path for path in installed.rglob("*") if "__pycache__" not in path.parts}


@pytest.mark.slow
def test_two_commits_of_a_users_repository_are_compared(installed: Path, project: Path) -> None:
    """The suite comes from the wheel, and the user's packages from each commit."""
    pytest.importorskip("torch")
    shutil.copytree(case_repository(project / "made"), project, dirs_exist_ok=True, ignore=GIT)
    shutil.rmtree(project / "made")
    commit(project)
    words = ("--case", "bench/my_case.py", "--budget", "60m")
    change(project, "torch.tanh(self", "1.001 * torch.tanh(self")
    printed = cascade_bench(installed, project, "regress", "HEAD", *words, code=1).stdout
    assert "head's float64 gradients are not those of base: encoder." in " ".join(printed.split())
    assert len(list((project / ".cascade-bench" / "regressions").glob("*/*.json"))) == 1


def test_users_repository_is_not_taken_for_the_suites(installed: Path, project: Path) -> None:
    inside = project / "site"
    shutil.copytree(installed, inside)
    git = ["git", "-C", str(project), "-c", "user.name=a", "-c", "user.email=b"]
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], check=True)
    said = cascade_bench(inside, project, "regress", "HEAD", code=2).stderr
    assert "installed from a package, so its own code has no refs" in said


def test_fixture_is_there_once_the_wheel_is_installed(installed: Path, project: Path) -> None:
    (project / "test_mine.py").write_text("def test_it(cascade): assert cascade.compare\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"],
        cwd=project, env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in done.stdout, done.stdout + done.stderr
