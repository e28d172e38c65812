"""The action and the workflows: their shell is run, with commands that note their arguments."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cli
from benchmarks.paths import ROOT
from results.report import writing
from tests.helpers.git_repositories import git

yaml: Any = pytest.importorskip("yaml")

ACTION = ROOT / "action.yml"
WORKFLOWS = ROOT / ".github" / "workflows"
NOTE = f"""#!{sys.executable}
import json, os, sys
from pathlib import Path
with open(os.environ["ASKED"], "a") as file:
    file.write(json.dumps([Path(sys.argv[0]).name, *sys.argv[1:]]) + "\\n")
"""
REGRESS = """
if sys.argv[1] == "regress":
    Path("cascade-bench/comment.md").write_text(os.environ.get("SAID", "### what came out\\n"))
    sys.exit(int(os.environ["CODE"]))
"""
PYTEST = """
runs = Path(sys.argv[-1]) / "machine"
runs.mkdir(exist_ok=True)
(runs / f"run-{len(list(runs.iterdir()))}.json").write_text("{}")
(runs.parent / ".history.parquet").write_text("a cache")
sys.exit(int(os.environ["CODE"]))
"""
GH = """
if os.environ.get("REFUSED") in sys.argv:
    sys.exit("HTTP 403: Resource not accessible by integration")
if "--jq" in sys.argv:
    print(os.environ.get("KNOWN", ""))
else:
    Path(os.environ["ASKED"]).with_name("body").write_text(Path(sys.argv[-1][6:]).read_text())
"""
PIP = """
if sys.argv[1:3] != ["-m", "pip"]:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
TOOLS = {"pytest": PYTEST, "cascade-bench": REGRESS, "gh": GH, "python": PIP}
Shell = Callable[..., int]


def steps() -> dict[str, dict[str, Any]]:
    """Return the action's steps that have a name."""
    listed = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    return {step["name"]: step for step in listed if "name" in step}


def defaults() -> dict[str, str]:
    """Return the action's inputs with what they are by default."""
    inputs = yaml.safe_load(ACTION.read_text())["inputs"]
    return {name: one["default"] for name, one in inputs.items()}


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Run one step of the action in a folder, with inputs, as GitHub does; return its exit code."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, more in TOOLS.items():
        (tools / name).write_text(NOTE + more)
        (tools / name).chmod(0o755)
    (tmp_path / "runner").mkdir()
    for name, value in {
        "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
        "ASKED": str(tmp_path / "asked"),
        "CODE": "0",
        "GITHUB_ACTION_PATH": str(ROOT),
        "GITHUB_OUTPUT": str(tmp_path / "output"),
        "GITHUB_REPOSITORY": "owner/name",
        "GITHUB_SHA": "0" * 40,
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUNNER_TEMP": str(tmp_path / "runner"),
    }.items():
        monkeypatch.setenv(name, value)

    def run(step: str, folder: Path, inputs: dict[str, str] | None = None, **more: str) -> int:
        known = {f"inputs.{name}": value for name, value in (defaults() | (inputs or {})).items()}
        known |= {"github.token": "a-token", "github.event.pull_request.number": "7"}
        known |= {"github.job": "regress", "strategy.job-index": "0"}
        env = {
            name: re.sub(r"\$\{\{ (\S+) \}\}", lambda found: known[found[1]], value)
            for name, value in steps()[step].get("env", {}).items()
        }
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[step]["run"]],
            cwd=folder, env={**os.environ, **env, **more}, check=False,
        )  # fmt: skip
        return done.returncode

    return run


def asked(tmp_path: Path, tool: str) -> list[list[str]]:
    """Return the arguments of every call of a tool, in order."""
    lines = map(json.loads, (tmp_path / "asked").read_text().splitlines())
    return [line[1:] for line in lines if line[0] == tool]


@pytest.mark.parametrize(
    ("code", "inputs", "ends"),
    [(0, {}, 0), (1, {}, 1), (2, {}, 2), (3, {}, 0), (3, {"inconclusive": "fail"}, 3)],
)
def test_a_pull_request_fails_where_it_is_slower_and_the_summary_says_so(
    shell: Shell, tmp_path: Path, code: int, inputs: dict[str, str], ends: int
) -> None:
    assert shell("Compare with the base", tmp_path, inputs, CODE=str(code)) == ends
    assert (tmp_path / "summary.md").read_text() == "### what came out\n"
    assert (tmp_path / "output").read_text() == f"code={code}\n"


def test_arguments_are_words_that_the_command_knows_and_nothing_is_expanded(
    shell: Shell, tmp_path: Path
) -> None:
    given = {
        "arguments": "--scenario-path 'my net.py' --size '$(touch here)' --phase *",
        "base": "a;touch here",
    }
    assert shell("Compare with the base", tmp_path, given) == 0
    (line,) = asked(tmp_path, "cascade-bench")
    assert not (tmp_path / "here").exists()
    options = cli.build_parser().parse_args(line)
    assert (options.base, options.budget) == ("a;touch here", "10m")
    assert options.scenario_path == ["my net.py"]
    assert (options.size, options.phase) == (["$(touch here)"], ["*"])


def test_what_the_action_writes_changes_no_tree(shell: Shell, tmp_path: Path) -> None:
    folder = tmp_path / "checkout"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    assert shell("Compare with the base", folder) == 0
    assert (folder / "cascade-bench" / "comment.md").is_file()
    assert git(folder, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("known", "method", "place"),
    [
        ("", "POST", "repos/owner/name/issues/7/comments"),
        ("31\n32\n", "PATCH", "repos/owner/name/issues/comments/31"),
    ],
)
def test_the_comment_is_one_and_is_edited(
    shell: Shell, tmp_path: Path, known: str, method: str, place: str
) -> None:
    (tmp_path / "cascade-bench").mkdir()
    (tmp_path / "cascade-bench" / "comment.md").write_text("### told\n" + "é" * 70_000)
    assert shell("Comment", tmp_path, KNOWN=known) == 0
    looked, wrote = asked(tmp_path, "gh")
    assert "repos/owner/name/issues/7/comments" in looked
    assert "<!-- cascade-bench regress-0 -->" in looked[looked.index("--jq") + 1]
    assert [wrote[wrote.index("--method") + 1], wrote[wrote.index("--method") + 2]] == [
        method,
        place,
    ]
    body = (tmp_path / "body").read_text()
    assert body.startswith("<!-- cascade-bench regress-0 -->\n### told\n")
    assert len(body) <= 65_536  # GitHub takes no more


@pytest.mark.parametrize(("refused", "known"), [("--jq", ""), ("POST", ""), ("PATCH", "31\n")])
def test_a_comment_that_github_refuses_is_a_warning_and_fails_no_job(
    shell: Shell,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    refused: str,
    known: str,
) -> None:
    """The token of a job without the permission may not write, and that is no regression."""
    (tmp_path / "cascade-bench").mkdir()
    (tmp_path / "cascade-bench" / "comment.md").write_text("### told\n")
    assert shell("Comment", tmp_path, REFUSED=refused, KNOWN=known) == 0
    said = capfd.readouterr().out
    assert said.startswith("::warning title=cascade-bench::")
    assert "pull-requests: write" in said
    assert said.count("\n") == 1


@pytest.mark.smoke
def test_jobs_of_a_matrix_have_a_comment_and_an_artifact_of_their_own() -> None:
    """GitHub refuses a second artifact of one name; a second job would edit the first comment."""
    (kept,) = (s["with"] for s in steps().values() if "upload-artifact" in s.get("uses", ""))
    for text in (kept["name"], steps()["Comment"]["env"]["KEY"]):
        assert "${{ github.job }}-${{ strategy.job-index }}" in text
    assert kept["overwrite"] is True


@pytest.mark.smoke
def test_pip_is_cached_only_where_the_file_of_its_key_is_there() -> None:
    """`setup-python` ends with an error where no file matches."""
    listed = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    (given,) = (s["with"] for s in listed if s.get("uses", "").startswith("actions/setup-python"))
    file = "inputs.constraints || 'pyproject.toml'"
    assert given["cache-dependency-path"] == f"${{{{ {file} }}}}"
    assert given["cache"] == f"${{{{ hashFiles({file}) != '' && 'pip' || '' }}}}"


@pytest.mark.smoke
def test_every_step_of_the_action_that_runs_something_names_its_shell() -> None:
    """A composite action without one is refused when it is used."""
    listed = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    scripts = [step for step in listed if "run" in step]
    assert len(scripts) >= 4
    assert {step.get("shell") for step in scripts} == {"bash"}
    for path in (ROOT / ".github" / "action").glob("*.sh"):
        assert "set -euo pipefail" in path.read_text(), path


@pytest.mark.smoke
def test_a_job_may_write_only_what_it_has_a_reason_for() -> None:
    writes: dict[tuple[str, str], set[str]] = {}
    for path in WORKFLOWS.glob("*.yml"):
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            for what, right in job.get("permissions", {}).items():
                if right == "write":
                    writes.setdefault((path.stem, name), set()).add(what)
            assert job.get("timeout-minutes"), (path, name)
    assert writes == {
        ("regress", "regress"): {"pull-requests"},
        ("regress", "history"): {"contents"},
        ("site", "publish"): {"pages", "id-token"},
    }


def test_every_push_is_a_run_more_of_the_history(shell: Shell, tmp_path: Path) -> None:
    origin = tmp_path / "origin.git"
    git(tmp_path, "init", "-q", "--bare", "-b", "main", str(origin))
    for count, code in ((1, 0), (2, 1)):  # a run with a failed cell is kept, and told
        folder = tmp_path / f"checkout-{count}"  # a runner is a fresh machine
        git(tmp_path, "clone", "-q", str(origin), str(folder))
        (folder / "code.py").write_text(f"{count}\n")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", "code")
        git(folder, "push", "-q", "origin", "HEAD:main")
        temporary = tmp_path / f"runner-{count}"
        temporary.mkdir()
        more = {"RUNNER_TEMP": str(temporary), "CODE": str(code)}
        assert shell("Measure for the history", folder, **more) == code
        kept = git(origin, "ls-tree", "-r", "--name-only", "cascade-history").split()
        assert kept == [f"machine/run-{place}.json" for place in range(count)]
        # a tree with anything new in it would be no commit's
        assert git(folder, "status", "--porcelain") == ""
    assert git(origin, "log", "--format=%s", "cascade-history").count("A run of ") == 2
    lines = asked(tmp_path, "cascade-bench")
    assert [len(line) for line in lines if line[0] == "report"] == [4, 5]  # every run so far
    for line in lines:
        cli.build_parser().parse_args(line)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("inputs", "lines"),
    [
        (
            {},
            [
                ["--index-url", "https://download.pytorch.org/whl/cpu", "torch"],
                [f"{ROOT}[all]"],
            ],
        ),
        (
            {"torch-index": "", "constraints": "pins.txt", "history": "true"},
            [["-c", "pins.txt", "torch"], ["-c", "pins.txt", f"{ROOT}[all,report]"]],
        ),
        ({"torch-index": "", "install": "-e .[all]"}, [["torch"], ["-e", ".[all]"]]),
    ],
)
def test_what_is_installed(
    shell: Shell, tmp_path: Path, inputs: dict[str, str], lines: list[list[str]]
) -> None:
    assert shell("Install", tmp_path, inputs) == 0
    got = [line[4:] for line in asked(tmp_path, "python")]
    assert got == lines


@pytest.mark.smoke
def test_the_history_installs_what_its_commands_need() -> None:
    """`report` and `history` refuse to work without the extra `report`."""
    workflow = yaml.safe_load((WORKFLOWS / "regress.yml").read_text())
    (used,) = (s["with"] for s in workflow["jobs"]["history"]["steps"] if s["uses"] == "./")
    assert used["install"] == "-e .[all,report]"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    brought = {re.split("[<>=]", one)[0] for one in extras["report"]}
    assert {*writing.NEEDED.values(), "ruptures"} <= brought


@pytest.mark.smoke
def test_no_expression_is_written_into_shell() -> None:
    """The name of a branch, put into a script by GitHub, would be run."""
    texts = [step.get("run", "") for step in steps().values()]
    for path in WORKFLOWS.glob("*.yml"):
        for job in yaml.safe_load(path.read_text())["jobs"].values():
            texts += [step.get("run", "") for step in job["steps"]]
    assert len([text for text in texts if text]) >= 8
    assert [text for text in texts if "${{" in text] == []


@pytest.mark.smoke
def test_strangers_code_meets_no_secret_and_no_token_that_writes() -> None:
    for path in WORKFLOWS.glob("*.yml"):
        workflow = yaml.safe_load(path.read_text())
        events = workflow[True]  # YAML 1.1 reads `on` as true
        assert not {"pull_request_target", "workflow_run"} & set(events), path
        assert "secrets." not in path.read_text()
        assert workflow["permissions"] == {"contents": "read"}, path
    same = "github.event.pull_request.head.repo.full_name == github.repository"
    assert same in steps()["Comment"]["if"]
