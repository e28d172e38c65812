"""Test that runs which an earlier version saved are read as they were meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from results.estimates.run_estimates import estimate_run
from results.records.record import RECORD_KEYS
from results.records.storage import find_runs, load_run

# saved by the version of 2026-11-21: modes, large sizes, and recipes of a freeze
RUNS = find_runs(ROOT / "tests" / "helpers" / "old_runs")


def test_there_are_runs_of_an_earlier_version() -> None:
    assert len(RUNS) == 3


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_every_record_has_the_keys_of_today(path: Path) -> None:
    run = load_run(path)
    assert run.records
    assert {frozenset(record) for record in run.records} == {frozenset(RECORD_KEYS)}


@pytest.mark.slow
@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_estimates_from_the_old_samples_are_those_that_were_saved(path: Path) -> None:
    """Times, ratios and verdicts of a run follow from its samples in the same way as then."""
    run = load_run(path)
    timed = [record for record in run.records if record["seconds"] is not None]
    assert timed
    bare: Any = [
        {**record, "seconds": None, "ratio": None, "verdict": None, "missing": {}}
        for record in timed
    ]
    for then, now in zip(timed, estimate_run(bare, run.samples), strict=True):
        assert now["verdict"] == then["verdict"]
        for key in ("seconds", "ratio"):
            assert_same(now[key], then[key])


def assert_same(now: Any, then: Any) -> None:
    """Fail unless two estimates are equal, numbers to rounding."""
    assert (now is None) == (then is None)
    for name, value in (then or {}).items():
        assert now[name] == (pytest.approx(value, rel=1e-9) if value is not None else None), name
