"""The example workflow: its shell is run, with commands that note what they were asked."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cli
from benchmarks.paths import ROOT
from results.report import writing
from tests.helpers.git_repositories import git

WORKFLOW = ROOT / "docs" / "github-workflow.yml"
NOTE = """#!/usr/bin/env python3
import json, os, sys
from pathlib import Path
with open(os.environ["ASKED"], "a") as file:
    file.write(json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
"""
REGRESS = """
if sys.argv[1] == "regress":
    Path("comment.md").write_text("### what came out\\n")
    sys.exit(int(os.environ["CODE"]))
"""
PYTEST = """
runs = Path(sys.argv[-1]) / "machine"
runs.mkdir(exist_ok=True)
(runs / f"run-{len(list(runs.iterdir()))}.json").write_text("{}")
(runs.parent / ".history.parquet").write_text("a cache")
"""
Shell = Callable[..., int]


@pytest.fixture(scope="module")
def jobs() -> dict[str, Any]:
    yaml: Any = pytest.importorskip("yaml")
    loaded: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text())["jobs"]
    return loaded


@pytest.fixture
def shell(tmp_path: Path, jobs: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run the steps of a job that have a script, in a folder, as GitHub does; the exit code."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, more in {"pytest": PYTEST, "cascade-bench": REGRESS, "pip": "", "gh": ""}.items():
        (tools / name).write_text(NOTE + more)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ASKED", str(tmp_path / "asked"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    monkeypatch.setenv("GITHUB_BASE_REF", "main")
    monkeypatch.setenv("GITHUB_SHA", "0" * 40)
    monkeypatch.setenv("TORCH_INDEX", "")

    def run(job: str, folder: Path, **more: str) -> int:
        code = 0
        for step in jobs[job]["steps"]:
            if "run" not in step or (code and "always()" not in step.get("if", "")):
                continue
            done = subprocess.run(
                ["bash", "-e", "-c", step["run"]], cwd=folder, env={**os.environ, **more},
                check=False,
            )  # fmt: skip
            code = code or done.returncode
        return code

    return run


def commands_run(tmp_path: Path) -> list[list[str]]:
    return [json.loads(line) for line in (tmp_path / "asked").read_text().splitlines()]


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_a_pull_request_fails_where_it_is_slower_and_is_told_so(
    shell: Shell, tmp_path: Path, code: int, ends: int
) -> None:
    assert shell("regress", tmp_path, CODE=str(code)) == ends
    assert (tmp_path / "summary.md").read_text() == "### what came out\n"
    (line,) = (line for line in commands_run(tmp_path) if line[0] == "gh")
    assert line[:3] == ["gh", "pr", "comment"]
    assert "--edit-last" in line  # not a comment more with every push


def test_every_push_is_a_run_more_of_the_history(shell: Shell, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(origin))
    for count in (1, 2):
        folder = tmp_path / f"checkout-{count}"  # a runner is a fresh machine
        git(tmp_path, "clone", "-q", str(origin), str(folder))
        (folder / "code.py").write_text(f"{count}\n")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "code")
        git(folder, "push", "-q", "origin", "HEAD:main")
        (tmp_path / f"runner-{count}").mkdir()
        temporary = str(tmp_path / f"runner-{count}")
        assert shell("history", folder, RUNNER_TEMP=temporary, CODE="0") == 0
        kept = git(origin, "ls-tree", "-r", "--name-only", "cascade-history").split()
        assert kept == [f"machine/run-{place}.json" for place in range(count)]
        # a tree with anything new in it would be no commit's
        assert git(folder, "status", "--porcelain") == ""
    assert git(origin, "log", "--format=%s", "cascade-history").count("A run of ") == 2
    reports = [line for line in commands_run(tmp_path) if line[:2] == ["cascade-bench", "report"]]
    assert [len(line) for line in reports] == [5, 6]  # every run so far


def test_its_commands_are_ones_that_there_are(shell: Shell, tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "code.py").write_text("")
    git(tmp_path, "add", "code.py")
    git(tmp_path, "commit", "-q", "-m", "code")
    (tmp_path / "temporary").mkdir()
    for job in ("regress", "history"):
        shell(job, tmp_path, CODE="0", RUNNER_TEMP=str(tmp_path / "temporary"))
    lines = [line for line in commands_run(tmp_path) if line[0] == "cascade-bench"]
    assert [line[1] for line in lines] == ["regress", "report", "history"]
    for line in lines:
        cli.build_parser().parse_args(line[1:])


def test_each_job_installs_what_its_commands_need(jobs: dict[str, Any]) -> None:
    """`report` and `history` refuse to work without the extra `report`."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    for name, needed in (("regress", ["all"]), ("history", ["all", "report"])):
        shell = "\n".join(step.get("run", "") for step in jobs[name]["steps"])
        assert f"-e '.[{','.join(needed)}]'" in shell
        assert set(needed) <= extras.keys()
    brought = {re.split("[<>=]", one)[0] for one in extras["report"]}
    assert {*writing.NEEDED.values(), "ruptures"} <= brought
