"""What ``cascade-bench history`` prints of cells that changed and of those that did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cli import main
from results.records.storage import save_run
from tests.helpers.factories.report_runs import whole_run

history = pytest.importorskip("results.regression.history")


def test_where_nothing_changed_the_cells_that_were_looked_at_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_run(whole_run(variants=("n2",), sizes=("seed",)), tmp_path)
    assert main(["history", f"--results={tmp_path}"]) == 0
    cells = len(history.series(history.load(tmp_path), "box-1"))
    assert main(["history", "--changed", f"--results={tmp_path}"]) == 0
    *_, whole, changed = capsys.readouterr().out.split("machine box-1: ")
    said = f"0 of {cells} cells changed their level; {cells} have fewer than 8 runs"
    assert cells > 3
    assert said in " ".join(whole.split())
    assert said in " ".join(changed.split())
    assert len(changed.splitlines()) < len(whole.splitlines()) - cells
