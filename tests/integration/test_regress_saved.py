"""What a comparison saves, and where a comparison that cannot be saved goes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from benchmarks.regression import output
from results.records.record import RecordError
from tests.helpers.factories import comparisons

HERE = f"--base-python={sys.executable}"  # the same files: needs no repository


@pytest.mark.parametrize(("spread", "verdict"), [(0.01, "= equal"), (0.1, "? not told")])
def test_what_cannot_be_saved_is_told_and_kept_elsewhere(
    ending: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    spread: float,
    verdict: str,
) -> None:
    folder = ending(comparisons.comparison(spread=spread))
    original, calls = output.write, []

    def write(document: Any, into: Path) -> Path:
        calls.append(into)
        if into == folder:
            raise RecordError("cannot write results to there: no space left")
        return original(document, into)

    monkeypatch.setattr(output, "write", write)
    assert main(["regress", HERE, f"--results={folder}"]) == 2
    captured = capsys.readouterr()
    assert verdict in captured.out  # nothing measured is lost
    assert "NOT SAVED: cannot write results" in captured.err
    assert "it is here instead: " in captured.err
    assert len(calls) == 2


def test_markdown_and_json_go_where_they_are_asked(
    ending: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder, file = ending(comparisons.comparison({0: 0.2})), tmp_path / "out" / "comment.md"
    assert main(["regress", HERE, f"--results={folder}", f"--markdown={file}"]) == 1
    assert file.read_text().startswith("### A regression")
    assert "▲ slower" in capsys.readouterr().out
    assert main(["regress", HERE, f"--results={folder}", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["exit_code"] == 1
