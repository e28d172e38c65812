"""A text of ours is never shortened, as a name from a file is: a command must stay whole."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from results.terminal.tables import NAME

FILLED_IN = 16  # columns that a figure or a name in a sentence may take
FILES = sorted((ROOT / "results").rglob("*.py"))


def shortened(path: Path) -> Iterator[tuple[int, int]]:
    """Yield line and columns of each text of a file that `plain_text` may shorten."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "plain_text":
            bounded = len(node.args) > 2 or any(one.arg == "most" for one in node.keywords)
            parts = [one.value for one in ast.walk(node.args[0]) if isinstance(one, ast.Constant)]
            columns = sum(len(part) for part in parts if isinstance(part, str))
            filled_in = any(isinstance(one, ast.FormattedValue) for one in ast.walk(node.args[0]))
            if not bounded and columns:
                yield node.lineno, columns + (FILLED_IN if filled_in else 0)


@pytest.mark.parametrize("path", [path for path in FILES if "plain_text" in path.read_text()])
def test_a_sentence_names_how_long_it_may_be(path: Path) -> None:
    assert [line for line, columns in shortened(path) if columns > NAME] == []
