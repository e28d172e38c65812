"""What a session does to times: the figures tell drift that is shared from what is a cell's own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.evaluation.trial import sessions
from benchmarks.paths import ROOT
from results.records.storage import save_run
from tests.helpers.factories.report_runs import whole_run
from tests.unit.results.regression.test_stored_runs import later, slowed

COUNT = 40


def series(drift: float, own: float, noise: float, cells: int = 6) -> list[dict[str, Any]]:
    """Cells whose log times share a drift that the frozen reference shows, beside its own noise."""
    rng = np.random.default_rng(3)
    shared = rng.normal(0.0, drift, COUNT)
    frozen = np.exp(shared + rng.normal(0.0, noise, COUNT))
    return [
        {
            "cell": f"cell {index}",
            "framework": "torch",
            "seconds": ((index + 1) * np.exp(shared + rng.normal(0.0, own, COUNT))).tolist(),
            "frozen": frozen.tolist(),
        }
        for index in range(cells)
    ]


def test_drift_that_the_reference_shows_is_taken_out() -> None:
    found = sessions.figures(series(drift=0.1, own=0.01, noise=0.0))["torch"]
    assert found["cells"] == 6
    assert found["frozen"] == pytest.approx(0.1, rel=0.3)
    assert found["common"] == pytest.approx(0.1, rel=0.3)
    assert found["common_out"] < 0.01
    assert found["own"] == pytest.approx(0.01, rel=0.4)
    assert found["cell"] == pytest.approx(0.1, rel=0.3)
    assert found["cell_out"] == pytest.approx(0.01, rel=0.4)


def test_reference_that_is_noise_makes_it_worse_and_that_shows() -> None:
    found = sessions.figures(series(drift=0.0, own=0.01, noise=0.1))["torch"]
    assert found["cell"] == pytest.approx(0.01, rel=0.4)
    assert found["cell_out"] == pytest.approx(0.1, rel=0.4)
    assert (found["changes"], found["changes_out"]) == (0, 0)


def test_change_of_every_cell_is_counted() -> None:
    kept = series(drift=0.001, own=0.01, noise=0.001)
    for one in kept:
        one["seconds"][COUNT // 2 :] = [2 * t for t in one["seconds"][COUNT // 2 :]]
    found = sessions.figures(kept)["torch"]
    assert (found["changes"], found["changes_out"]) == (6, 6)


def test_table_has_a_row_a_framework_and_as_many_cells_as_heads() -> None:
    found = sessions.figures(series(0.1, 0.01, 0.0))
    head, rule, *rows = sessions.table(found | {"jax": found["torch"]})
    assert [row.split()[1] for row in rows] == ["torch", "jax"]
    assert {line.count("|") for line in (head, rule, *rows)} == {len(sessions.HEADINGS) + 1}


def test_series_and_pairs_are_of_the_runs_that_there_are(tmp_path: Path) -> None:
    for run in (whole_run(), later()):
        save_run(run, tmp_path)
    found = sessions.load_series(tmp_path)
    assert {len(one["seconds"]) for one in found} == {2}
    assert {len(one["frozen"]) for one in found} == {2}
    assert sessions.compare_pairs(tmp_path) == {"pairs": 1, "slower": 0, "faster": 0}
    save_run(slowed(whole_run("20261123T010203-ab12cd", seed=3), 4, 3.0), tmp_path)
    assert sessions.compare_pairs(tmp_path) == {"pairs": 3, "slower": 2, "faster": 0}


def test_figures_of_the_docs_are_those_of_the_series_that_are_kept() -> None:
    page = (ROOT / "docs" / "history.md").read_text()
    kept = json.loads(sessions.SERIES_FILE.read_text())
    for line in sessions.table(sessions.figures(kept["series"])):
        assert line in page
    assert sessions.stored_text(kept["stored"]) in page.replace("\n", " ")
