"""docs/your-own-network.md as written: its files, its commands, and what it says they print."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.tutorial import assert_printed, commands, files

PACKAGES = ("benchmarks", "impl_torch", "impl_jax", "results")


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A copy of the project, and beside it the files of the page."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "runs", "reports")
        shutil.copytree(ROOT / package, tmp_path / "clone" / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path / "clone")
    for name, text in files().items():
        path = (tmp_path / "clone" / name).resolve()
        assert path.parent == tmp_path / "nets"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return tmp_path / "clone"


def output(command: str, folder: Path) -> str:
    """Return what a command prints in a folder; its programs are those of this interpreter."""
    python = sys.executable
    programs = {"pytest": f"{python} -m pytest", "cascade-bench": f"{python} -m benchmarks.cli"}
    name, _, rest = command.partition(" ")
    done = subprocess.run(
        f"{programs.get(name, name)} {rest}",
        shell=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.stdout


def test_page_does_what_it_says(clone: Path) -> None:
    blocks = commands()
    assert len(files()) == 3
    assert [command.split()[0] for command, lines in blocks if lines] == [
        "cascade-bench", "pytest", "pytest", "cascade-bench", "cascade-bench", "pytest",
    ]  # fmt: skip
    for command, lines in blocks:
        printed = output(command, clone)
        assert_printed(lines, printed, command)
        if command.startswith("pytest benchmarks --benchmark-skip"):
            assert " failed" not in printed


@pytest.mark.smoke
def test_line_that_is_not_printed_is_noticed() -> None:
    assert_printed(["a … c"], "x\n  a  b c\n", "")
    with pytest.raises(AssertionError, match="not there: a … d"):
        assert_printed(["a … d"], "a b c", "")
    with pytest.raises(AssertionError, match="not there: first"):
        assert_printed(["second", "first"], "first\nsecond", "")
