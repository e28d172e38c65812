"""Two precisions in a report, in tables and in comparisons: beside each other, never mixed."""

from __future__ import annotations

from typing import Any

import pytest

from results.estimates.cross_framework import framework_ratios
from results.records.record import Record, RecordError, Run, sample_key
from results.regression import stored_runs
from results.report.build import build
from results.report.collection import collect
from results.report.gradient_errors import epsilon_of
from results.terminal.ratios import ratios
from tests.helpers.factories.records import CELL, record, run

RATIO = {"estimate": 1.5, "low": 1.4, "high": 1.6, "confidence": 0.95, "launches": 6}
OTHER_ID = "20261121T010204-ab12cd"


def measured(mode: str, **changes: str) -> Record:
    fields = CELL | {"precision_mode": mode} | changes
    return record(fields, ratio=RATIO, verdict="slower", seconds=RATIO)


def run_in(*modes: str, run_id: str = "20261121T010203-ab12cd") -> Run:
    records = [measured(mode, framework=name) for mode in modes for name in ("torch", "jax")]
    rows: list[Any] = [[1e-3 + 1e-6 * i, 1e-3] for i in range(6)]
    return run(run_id, records=records, samples={sample_key(one): rows for one in records})


def test_report_has_a_part_for_each_precision_and_says_so() -> None:
    report = build([run_in("ieee"), run_in("bf16", run_id=OTHER_ID)])
    full, lower = report.parts
    assert "precision" not in full.title
    assert lower.title.endswith("precision bf16")
    (warning,) = [text for text in report.warnings if "precisions" in str(text[0])]
    assert "ieee, bf16" in str(warning[0])


@pytest.mark.parametrize(
    "runs", [[run_in("ieee"), run_in("bf16", run_id=OTHER_ID)], [run_in("ieee", "bf16")]]
)
def test_part_holds_the_cells_of_one_precision(runs: list[Run]) -> None:
    parts = collect(runs)
    assert [part.precision_mode for part in parts] == ["ieee", "bf16"]
    for part in parts:
        assert {one["precision_mode"] for one in part.records} == {part.precision_mode}


def test_frameworks_are_compared_within_a_precision() -> None:
    one, other = run_in("ieee", "bf16").records[0], run_in("bf16", "ieee").records[1]
    assert (one["framework"], other["framework"]) == ("torch", "jax")
    samples = {sample_key(each): [[1e-3]] * 6 for each in (one, other)}
    assert not list(framework_ratios([one, other], samples))
    assert len(list(framework_ratios(run_in("bf16").records, run_in("bf16").samples))) == 1


def test_tables_of_a_terminal_name_a_lower_precision_and_hold_one() -> None:
    text = ratios(run_in("ieee", "bf16").records)
    titles = [line for line in text.splitlines() if line.startswith(("torch", "jax"))]
    assert [("bf16" in line) for line in titles] == [False, False, True, True]


def test_stored_runs_are_compared_within_a_precision() -> None:
    with pytest.raises(RecordError, match="no timed cell in common"):
        stored_runs.compare(run_in("ieee"), run_in("bf16", run_id=OTHER_ID))


def test_gradient_error_is_told_in_units_of_what_the_networks_compute_in() -> None:
    assert epsilon_of(record()) == 2.0**-23
    assert epsilon_of(measured("bf16")) == 2.0**-7
