"""A base that cannot be compared, and how often the results are looked at."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.regression import failures, plan, references, side_launches, worker_pairs
from benchmarks.regression.failures import CannotStart
from benchmarks.regression.versions import Side
from tests.helpers.fake_comparisons import Measure, cell


def test_a_base_on_which_nothing_runs_is_named(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = worker_pairs.start_worker

    def start_worker(side: Side, *rest: Any, **named: Any) -> Any:
        if side.name == "base":
            side = Side(**{**vars(side), "python": "/bin/false"})
        return original(side, *rest, **named)

    monkeypatch.setattr(worker_pairs, "start_worker", start_worker)
    with pytest.raises(CannotStart, match="nothing of this selection runs on BASE: the worker"):
        measure(cell())


def test_a_tree_without_the_framework_does_not_run_the_installed_one(tmp_path: Path) -> None:
    side = Side("base", "base", None, 0, sys.executable, {}, tmp_path, str(tmp_path), {})
    launches = side_launches.SideLaunches({"base": side})
    files = ProblemFiles("linear_cascade", "-", "seed")
    failure = references._reference(cell(), files, launches, "base", "torch")
    files.close()
    assert isinstance(failure, references.ReferenceFailure)
    assert failure.why == "this tree has no impl_torch/session.py"
    assert launches.started == {}


def test_a_base_of_another_protocol_is_named(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    def warm(*_: Any) -> int:
        why = "AttributeError: 'Worker' object has no attribute 'do_warm'"
        raise failures.CellFailed(cell(), "base", "crashed", why, repeatable=True, reported=True)

    monkeypatch.setattr(worker_pairs.WorkerPairs, "_warm", warm)
    with pytest.raises(CannotStart, match="BASE: its workers speak an older protocol"):
        measure(cell())


def test_pairs_that_fit_into_a_time() -> None:
    assert plan.pairs_within(100.0, 9.0) == 11
    assert plan.pairs_within(1e9, 9.0) == plan.MOST_PAIRS
    assert plan.pairs_within(-1.0, 9.0) == 0
