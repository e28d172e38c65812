"""Test ``cascade-bench report``: the files it writes, its output and its refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from results.records.record import RecordError
from results.records.storage import save_run
from results.report import markdown
from results.report.build import build
from tests.helpers.factories.report_runs import whole_run


def test_markdown_needs_no_plotting_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    known = builtins.__import__

    def lacking(name: str, *rest: Any, **named: Any) -> Any:
        if name in ("altair", "vl_convert", "jinja2", "pyarrow"):
            raise ModuleNotFoundError(name)
        return known(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", lacking)
    assert markdown.markdown(build([whole_run()]), pictures=False).startswith("# Cascades")


def test_the_report_command_prints_markdown_or_writes_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = save_run(whole_run(), tmp_path)
    assert main(["report", str(path), "--markdown"]) == 0
    assert "# Cascades and partial freezing" in capsys.readouterr().out
    pytest.importorskip("vl_convert")
    out = tmp_path / "out"
    assert main(["report", str(path), "--out", str(out)]) == 0
    written = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert {"report.html", "report.md", "cells.csv", "cells.parquet"} <= written
    assert {"charts/passes.svg", "charts/passes.png", "charts/frameworks.svg"} <= written
    assert (out / "charts/passes.png").read_bytes()[:4] == b"\x89PNG"
    text = (out / "report.md").read_text()
    for name in re.findall(r"\]\((charts/[^)]+)\)", text):
        assert (out / name).exists(), name


def test_a_missing_plotting_library_is_named_with_what_to_install() -> None:
    from results.report.writing import demand_libraries

    with pytest.raises(RecordError, match=r"altair, not installed here.*\[report\]"):
        demand_libraries(lambda module: module != "altair")


def test_a_folder_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("vl_convert")
    path = save_run(whole_run(), tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["report", str(path), "--out", str(tmp_path / "file" / "out")]) == 2
    assert capsys.readouterr().err.startswith("cascade-bench: cannot write results to ")
