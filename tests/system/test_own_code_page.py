"""docs/your-own-code.md as written: its files, its commands with less time, what they print."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.git_repositories import git
from tests.helpers.tutorial import OWN_CODE, assert_printed, commands, files

MOST_LINES = 8  # that a user writes beside a model and a loss
SHORT = "try --budget 25 --launches 3"
# of a script that calls `compare`: launches that are named are taken, however slow the machine is
BUDGET, FEW = "budget=20,", "budget=20, launches=3,"
WAYS = "--way separate_retained,boundary_split"
COMMANDS = [
    # ten launch pairs take a minute and more
    pytest.param(one, id=one[0].split()[-1], marks=pytest.mark.slow if "regress" in one[0] else ())
    for one in commands(OWN_CODE)
]
EXAMPLES = [
    # two frameworks take twice as long, and the page has such a file of its own
    pytest.param(path.name, marks=pytest.mark.slow if path.stem == "both_frameworks" else ())
    for path in sorted((ROOT / "examples").glob("*.py"))
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in files(OWN_CODE).items():
        (tmp_path / name).write_text(text)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "the files of the page")
    return tmp_path


def output(command: str, folder: Path) -> str:
    """Return what a command prints there; the programs are those of this interpreter."""
    python = sys.executable
    name, _, rest = command.partition(" ")
    if name == "cascade-bench":
        rest = rest.replace("try", SHORT, 1).replace("regress", "regress --budget 4m", 1)
    if name == "python":
        script = (folder / rest).read_text()
        assert script.count(BUDGET) == 1
        (folder / rest).write_text(script.replace(BUDGET, FEW))
    programs = {
        "cascade-bench": f"{python} -m cascade_bench.cli",
        "python": python,
        "pytest": f"{python} -m pytest -p cascade_bench.plugin -p no:cacheprovider",
    }
    variables = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    variables |= {"PYTHONPATH": str(ROOT), "COLUMNS": "100", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(
        f"{programs[name]} {rest}", shell=True, cwd=folder, env=variables,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    # unchanged files are nothing slower, or not told where the machine is noisy
    assert done.returncode in ((0, 3) if "regress" in rest else (0,)), (
        f"$ {command}\n{done.stdout[-3000:]}"
    )
    return done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_page_does_what_it_says(folder: Path, command: tuple[str, list[str]]) -> None:
    words, lines = command
    assert lines
    printed = output(words, folder)
    assert_printed(lines, printed, words)
    if "--report" in words:
        page = (folder / words.split()[-1]).read_text()
        assert 'class="headline"' in page
        assert "What came out" in page
        assert "https://" not in page.partition('<script type="application/json"')[0]


@pytest.mark.smoke
def test_page_has_a_file_for_each_part_of_it() -> None:
    assert list(files(OWN_CODE)) == [
        "my_model.py", "my_case.py", "my_frozen_case.py", "analysis.py", "test_training.py",
        "my_jax_model.py", "my_jax_case.py", "my_both.py",
    ]  # fmt: skip
    assert len(commands(OWN_CODE)) == 8


@pytest.mark.smoke
@pytest.mark.parametrize("name", ["my_case.py", "my_jax_case.py"])
def test_a_user_writes_eight_lines_beside_a_model_and_a_loss(name: str) -> None:
    text = files(OWN_CODE)[name]
    own = next(
        node
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.FunctionDef) and node.name == "losses"
    )
    assert own.end_lineno
    loss = range(own.lineno, own.end_lineno + 1)
    written = [
        line for number, line in enumerate(text.splitlines(), 1)
        if line.strip() and number not in loss
    ]  # fmt: skip
    assert 5 <= len(written) <= MOST_LINES


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_is_right_and_timed(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text((ROOT / "examples" / name).read_text())
    printed = output(f"cascade-bench try {name} --phase gradient {WAYS}", tmp_path)
    assert "summed" in printed
    assert "wrong" not in printed
