"""docs/upgrade.md: what it says the command prints is what it prints, and its options exist."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import cli
from benchmarks.paths import ROOT
from benchmarks.regression import versions
from benchmarks.regression.worktrees import VersionError
from results.regression.document import FAILED, NEW, ORDER
from results.statistics.verdict import INCONCLUSIVE
from results.terminal.regression_table import LABELS

PAGE = (ROOT / "docs" / "upgrade.md").read_text()
TABLE = PAGE.partition("| it says | do |")[2]
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", TABLE, re.MULTILINE)
SAYS = [says.strip() for says, _ in ROWS]


def without_numpy(folder: Path) -> str:
    """Return an interpreter that answers as one without any package does."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    return str(python)


def test_errors_that_it_explains_are_raised(tmp_path: Path) -> None:
    for says, python in ((SAYS[0], "/nowhere/python"), (SAYS[1], without_numpy(tmp_path))):
        with pytest.raises(VersionError) as raised:
            versions._package_versions(python)
        assert says.startswith("`")
        assert says.strip("`") in str(raised.value)


def test_verdicts_that_it_explains_are_those_of_the_table() -> None:
    assert SAYS[2:] == [f"*{NEW}*", f"*{FAILED}*", "everything *not told*"]
    assert {NEW, FAILED, INCONCLUSIVE} <= set(ORDER)
    assert LABELS[INCONCLUSIVE].endswith(" not told")


def test_options_that_it_names_are_those_of_regress() -> None:
    commands: Any = cli.build_parser()._actions[-1].choices
    regress = commands["regress"].format_help()
    # the others are of the programs that its blocks of commands begin with
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", PAGE))
    own = {"--case", "--scenario-path"}
    assert named == own | {"--base-python", "--budget", "--markdown", "--scenario"}
    assert [option for option in sorted(named) if option not in regress] == []


@pytest.mark.parametrize("line", re.findall(r"^    (cascade-bench .*)$", PAGE, re.MULTILINE))
def test_its_commands_are_taken(line: str) -> None:
    options = cli.build_parser().parse_args(line.split()[1:])
    assert options.base_python == "../older/bin/python"


def test_its_example_is_a_table_as_the_command_prints_it() -> None:
    shown = PAGE.partition("```text\n")[2].partition("```")[0]
    first = {row.split("  ")[0] for row in re.findall(r"^[▲▼=?] .*$", shown, re.MULTILINE)}
    assert first <= set(LABELS.values())
    assert len(first) == 4
