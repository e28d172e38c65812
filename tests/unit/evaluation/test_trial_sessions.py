"""Test that the figures of sessions separate the shared drift from each cell's own spread."""

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
    """Return cells whose log times share a drift, which the machine reference shows with noise."""
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
    figures = sessions.figures(series(drift=0.1, own=0.01, noise=0.0))["torch"]
    assert figures["cells"] == 6
    assert figures["frozen"] == pytest.approx(0.1, rel=0.3)
    assert figures["common"] == pytest.approx(0.1, rel=0.3)
    assert figures["common_out"] < 0.01
    assert figures["own"] == pytest.approx(0.01, rel=0.4)
    assert figures["cell"] == pytest.approx(0.1, rel=0.3)
    assert figures["cell_out"] == pytest.approx(0.01, rel=0.4)


def test_reference_that_is_noise_makes_it_worse_and_that_shows() -> None:
    figures = sessions.figures(series(drift=0.0, own=0.01, noise=0.1))["torch"]
    assert figures["cell"] == pytest.approx(0.01, rel=0.4)
    assert figures["cell_out"] == pytest.approx(0.1, rel=0.4)
    assert (figures["changes"], figures["changes_out"]) == (0, 0)


def test_change_of_every_cell_is_counted() -> None:
    saved = series(drift=0.001, own=0.01, noise=0.001)
    for one in saved:
        one["seconds"][COUNT // 2 :] = [2 * t for t in one["seconds"][COUNT // 2 :]]
    figures = sessions.figures(saved)["torch"]
    assert (figures["changes"], figures["changes_out"]) == (6, 6)


def test_table_has_a_row_a_framework_and_as_many_cells_as_heads() -> None:
    figures = sessions.figures(series(0.1, 0.01, 0.0))
    head, rule, *rows = sessions.table(figures | {"jax": figures["torch"]})
    assert [row.split()[1] for row in rows] == ["torch", "jax"]
    assert {line.count("|") for line in (head, rule, *rows)} == {len(sessions.HEADINGS) + 1}


def test_series_and_pairs_are_of_the_runs_that_there_are(tmp_path: Path) -> None:
    for run in (whole_run(), later()):
        save_run(run, tmp_path)
    loaded = sessions.load_series(tmp_path)
    assert {len(one["seconds"]) for one in loaded} == {2}
    assert {len(one["frozen"]) for one in loaded} == {2}
    assert sessions.compare_pairs(tmp_path) == {"pairs": 1, "slower": 0, "faster": 0}
    save_run(slowed(whole_run("20261123T010203-ab12cd", seed=3), 4, 3.0), tmp_path)
    assert sessions.compare_pairs(tmp_path) == {"pairs": 3, "slower": 2, "faster": 0}


def test_figures_of_the_docs_are_those_of_the_series_that_are_kept() -> None:
    page = (ROOT / "docs" / "history.md").read_text()
    saved = json.loads(sessions.SERIES_FILE.read_text())
    for line in sessions.table(sessions.figures(saved["series"])):
        assert line in page
    assert sessions.stored_text(saved["stored"]) in page.replace("\n", " ")
