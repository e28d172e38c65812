"""Test ``cascade-bench report``: the files it writes, its output and its refusals."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from results.records.record import RecordError
from results.records.samples import samples_path
from results.records.storage import save_run
from results.report import markdown
from results.report.build import build
from tests.helpers.factories.report_runs import later, whole_run

Out = pytest.CaptureFixture[str]


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


def test_a_run_that_cannot_be_read_is_left_out_and_the_others_are_shown(
    tmp_path: Path, capsys: Out
) -> None:
    good = save_run(whole_run(variants=("n2",), sizes=("seed",)), tmp_path)
    bad = save_run(later(), tmp_path)
    bad.write_text("{}")
    assert main(["report", str(good), str(bad), "--markdown"]) == 2
    both = capsys.readouterr()
    assert both.err.startswith(f"cascade-bench: left out: {bad} is JSON, but not a run")
    assert both.err.count("\n") == 1
    assert main(["report", str(good), "--markdown"]) == 0
    assert capsys.readouterr().out == both.out
    assert main(["report", str(bad), "--markdown"]) == 2
    alone = capsys.readouterr()
    assert alone.out == ""
    assert "not a run of this suite" in alone.err


def test_where_the_samples_of_the_newest_run_are_bad_the_run_before_is_shown_whole(
    tmp_path: Path, capsys: Out
) -> None:
    good, bad = (save_run(one, tmp_path) for one in (whole_run(), later()))
    samples_path(bad).write_bytes(b"PK")
    assert main(["report", str(good), str(bad), "--markdown"]) == 2
    both = capsys.readouterr()
    assert main(["report", str(good), "--markdown"]) == 0
    assert capsys.readouterr().out == both.out
    assert "samples of a run" in both.err
