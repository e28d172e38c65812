"""What ``cascade-bench history`` prints of cells that changed and of those that did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.cli import main
from results.records.storage import save_run
from results.statistics import change_points
from results.terminal import history_table
from tests.helpers.factories.report_runs import run_of_day, whole_run

history = pytest.importorskip("results.regression.history")
pytest.importorskip("ruptures")


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


def test_commits_of_the_suite_are_not_those_of_a_user_s_own_scenario() -> None:
    """Name no commits of the suite: `regress` would compare another repository."""
    runs = [run_of_day(day, drift=1.5 if day > 12 else 1.0, seed=day) for day in range(1, 25)]
    for record in (made.records[0] for made in runs):
        record["rerun"] = "pytest benchmarks --benchmark-only --scenario-path=mine.py"
    own, other, *_ = history.series_of_runs(runs)
    for line, has in ((own, False), (other, True)):
        changed = history_table.CellHistory(line, [change_points.Change(12, 1.5)])
        assert (history_table.confirming_command(changed) is not None) == has
