"""The README: each of its commands does what is said beside it, and its picture is the runs'."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import cli
from benchmarks.evaluation import reference
from benchmarks.paths import ROOT
from cascade_bench import cli as client
from results.records.storage import find_runs, load_run
from tests.helpers.git_repositories import git

README = (ROOT / "README.md").read_text()
BLOCKS = [
    re.sub("^    ", "", block, flags=re.MULTILINE).strip("\n")
    for block in re.findall(r"(?<=\n\n)((?:    .*\n|\n(?=    ))+)", README)
]
LINES = [line.partition("  #")[0].strip() for block in BLOCKS for line in block.splitlines()]
CHECK_A_CHANGE = "git fetch origin main"


def block(beginning: str) -> str:
    """Return the one block of the README that begins so."""
    (found,) = (one for one in BLOCKS if one.startswith(beginning))
    return found


def shell(command: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the README in a folder; `cascade-bench` is this clone's."""
    tools = folder / "tools"
    if not tools.exists():
        tools.mkdir()
        script = f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m cascade_bench.cli "$@"\n'
        (tools / "cascade-bench").write_text(script)
        (tools / "cascade-bench").chmod(0o755)
    env = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "COLUMNS": "100"}
    return subprocess.run(
        ["bash", "-c", command.replace(".venv/bin/cascade-bench", "cascade-bench")],
        cwd=folder, env=env | more, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.smoke
def test_the_commands_of_the_readme_are_those_that_are_run_here() -> None:
    """A command that is added needs a test here, or one that is named here."""
    programs = ("pip ", "make ", "cascade-bench ", ".venv/", "git ", "gh ", "python ", "pytest ")
    assert [line for line in LINES if line.startswith(programs)] == [
        "pip install .",  # test_wheel.py installs the same
        "cascade-bench try my_case.py",
        "make bench",  # .ci/run, on a selection
        ".venv/bin/cascade-bench report",
        ".venv/bin/cascade-bench show --results results/reference",
        CHECK_A_CHANGE,
        "cascade-bench regress $(git merge-base origin/main HEAD) --markdown comment.md || code=$?",
        "gh pr comment --body-file comment.md; [ ${code:-0} = 0 ] || [ $code = 3 ]",
    ]
    assert len(README.splitlines()) < 150


@pytest.mark.smoke
def test_options_and_targets_that_it_names_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
    known = "".join(p.format_help() for p in cli.build_parser()._actions[-1].choices.values())  # type: ignore[union-attr]
    known += " ".join(client.OWN) + (ROOT / "docs" / "options.md").read_text()
    for option in re.findall(r"(?<![\w-])--[a-z-]+", README):
        assert option in known or option == "--body-file", option


def test_the_case_of_the_readme_is_tried(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "my_case.py").write_text(block("import torch") + "\n")
    done = shell("cascade-bench try my_case.py --budget 12 --launches 2", tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for said in ("code → encoder", "task → encoder, head", "separate_retained", "predicted"):
        assert said in done.stdout


def test_show_needs_a_second_and_no_run_of_your_own(tmp_path: Path) -> None:
    done = shell(f"cd {ROOT} && cascade-bench show --results results/reference", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "canaries" in done.stdout


def test_report_of_the_newest_run_is_a_page(tmp_path: Path) -> None:
    pytest.importorskip("altair")
    command = f"cascade-bench report --results {ROOT}/results/reference --out page"
    done = shell(command, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page" / "report.html").stat().st_size > 100_000


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "ran"),
    [("bench", "pytest benchmarks --benchmark-only"), ("test", "pytest benchmarks tests")],
)
def test_make_runs_what_is_said(target: str, ran: str) -> None:
    done = subprocess.run(
        ["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert ran in done.stdout


def make(target: str, tools: Path, *arguments: str, **more: str) -> int:
    """Run a target with the programs of a folder, as if all were installed; return its code."""
    command = ["make", "-o", ".venv/installed", target, f"BIN={tools}", *arguments]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, check=False)
    return done.returncode


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_bench_times_a_selection_that_the_next_command_finds(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    selected = "--scenario linear_cascade --framework torch --size seed --launches 2"
    arguments = f"ARGS={selected} --results {tmp_path}"
    assert make("bench", Path(sys.executable).parent, arguments) == 0
    (run,) = find_runs(tmp_path)
    records = load_run(run).records
    assert "ok" in {record["outcome"] for record in records} <= {"ok", "unsupported"}
    assert {record["scenario"] for record in records} == {"linear_cascade"}
    done = shell(f"cascade-bench report --markdown --results {tmp_path}", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "linear_cascade" in done.stdout


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("codes", "ends"), [("0 0", 0), ("5 0", 0), ("0 5", 0), ("1 0", 2), ("0 1", 2)]
)
def test_make_test_runs_tests_in_two_parts_and_fails_with_either(
    tmp_path: Path, codes: str, ends: int
) -> None:
    """pytest ends with 5 where nothing of a part was selected, as with -k: that is no failure."""
    python = tmp_path / "python"
    python.write_text(
        '#!/bin/sh\necho "$*" >> "$ASKED"\nset -- $CODES\n'
        'shift $(( $(wc -l < "$ASKED") - 1 ))\nexit $1\n'
    )
    python.chmod(0o755)
    asked = tmp_path / "asked"
    assert make("test", tmp_path, "ARGS=-k name", ASKED=str(asked), CODES=codes) == ends
    parts = asked.read_text().splitlines()
    beginning = "-m pytest benchmarks tests --benchmark-skip -m not slow and"
    assert [part.startswith(beginning) for part in parts] == [True] * len(parts)
    assert ["not serial" in part for part in parts] == [True, False][: len(parts)]
    assert all(part.endswith("-k name") for part in parts)
    assert len(parts) == (1 if codes == "1 0" else 2)


@pytest.fixture
def pull_request(tmp_path: Path) -> Path:
    """A clone with a commit more than its origin's main, and stand-ins for two programs."""
    git(tmp_path, "init", "-q", "-b", "main", "origin")
    (tmp_path / "origin" / "code.py").write_text("")
    git(tmp_path / "origin", "add", ".")
    git(tmp_path / "origin", "commit", "-q", "-m", "base")
    git(tmp_path, "clone", "-q", "origin", "clone")
    (tmp_path / "clone" / "code.py").write_text("changed")
    git(tmp_path / "clone", "commit", "-q", "-am", "change")
    (tmp_path / "clone" / "tools").mkdir()
    for name, more in (("gh", ""), ("cascade-bench", "echo table > comment.md; exit $CODE")):
        tool = tmp_path / "clone" / "tools" / name
        tool.write_text(f'#!/bin/sh\necho "{name} $@" >> asked\n{more}\n')
        tool.chmod(0o755)
    return tmp_path / "clone"


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 1), (3, 0)])
def test_a_change_is_compared_with_its_base_and_told(
    pull_request: Path, code: int, ends: int
) -> None:
    done = shell(block(CHECK_A_CHANGE), pull_request, CODE=str(code))
    assert done.returncode == ends, done.stderr
    base = git(pull_request, "rev-parse", "origin/main").strip()
    compared, commented = (pull_request / "asked").read_text().splitlines()
    assert compared == f"cascade-bench regress {base} --markdown comment.md"
    assert commented == "gh pr comment --body-file comment.md"
    cli.build_parser().parse_args(compared.split()[1:])


def picture(folder: Path) -> bytes:
    """Return the picture of the README, made anew from the committed runs."""
    runs = ROOT / "results" / "reference" / "runs"
    assert reference.main(["--report", "--results", str(runs), "--out", str(folder)]) == 0
    return (folder / "charts" / "answer.svg").read_bytes()


def test_the_picture_is_what_the_committed_runs_say(tmp_path: Path) -> None:
    pytest.importorskip("altair")
    (link,) = re.findall(r"^!\[.*\]\((\S+)\)$", README, re.MULTILINE)
    again = "run: make reference ARGS=--report"
    assert picture(tmp_path) == (ROOT / link).read_bytes(), again


def test_the_figures_of_the_readme_stand_in_the_committed_report() -> None:
    report = (ROOT / "results" / "reference" / "report.md").read_text().replace("\\", "")
    headline = re.findall(r"^!\[([^\]:;]*)", README, re.MULTILINE)[0]
    assert headline in report
    figures = re.findall(r"\*\*(\d\.\d\d)\*\* (\[\d\.\d\d, \d\.\d\d\])", README)
    assert len(figures) == 12
    runs = find_runs(ROOT / "results" / "reference" / "runs")
    ratios = [one["ratio"] for path in runs for one in load_run(path, samples=False).records]
    rounded = {
        (f"{one['estimate']:.2f}", f"[{one['low']:.2f}, {one['high']:.2f}]")
        for one in ratios
        if one and one["low"] is not None
    }
    assert [pair for pair in figures if pair not in rounded] == []
