"""Measured ratios beside those of the limits: what is counted, drawn and named."""

from __future__ import annotations

from typing import Any

import pytest

from results.records.limits import is_near, predicted_ratio, told_operation
from results.records.record import Run
from results.report.collection import collect
from results.report.model import Chart, Fold, Section
from results.report.sections import limits
from tests.helpers.factories.report_runs import whole_run

OPERATIONS = [{"name": "mm 3×4", "count": 2, "seconds": 3e-3, "flops": 48, "bytes": 300}]


def with_limits(run: Run, off: float) -> Run:
    """Give each record a limit whose ratio is off by a factor in torch, and exact in JAX."""
    for record in run.records:
        ratio = record["ratio"]
        if ratio:
            factor = off if record["framework"] == "torch" else 1.0
            record["limit_ratio"] = ratio["estimate"] * factor
        record["limit_seconds"], record["limit_share"] = 4e-3, 0.8
        record["operations"] = OPERATIONS  # type: ignore[typeddict-item]
    return run


def section(off: float) -> Section:
    found = limits.section(collect([with_limits(whole_run(), off)])[0])
    assert found
    return found


@pytest.mark.parametrize(("off", "near"), [(1.09, True), (1.11, False), (0.92, True), (0.9, False)])
def test_ratios_within_ten_percent_are_counted_for_each_framework(off: float, near: bool) -> None:
    found = section(off)
    compared = 2 * 2 * (2 + 2)  # variants, sizes; strategies and recipes beside the baselines
    count = {r["framework"] for r in whole_run().records}
    assert count == {"torch", "jax"}
    title = found.title
    torch = [r for r in whole_run().records if r["framework"] == "torch" and r["ratio"]]
    torch = [r for r in torch if r["strategy"] != r["baseline"]]
    assert f"{len(torch) if near else 0} of {len(torch)} in torch" in title
    assert compared
    assert any(isinstance(block, Fold) for block in found.blocks) is not near


def test_what_is_far_off_is_named_with_its_longest_operation_and_that_of_the_baseline() -> None:
    (fold,) = [block for block in section(1.5).blocks if isinstance(block, Fold)]
    table: Any = fold.blocks[0]
    row = table.rows[0].cells
    assert {row_.filters["framework"] for row_ in table.rows} == {"torch"}
    assert row[7].text == "0.667"
    assert [cell.text for cell in row[-2:]] == ["mm 3×4, 75%"] * 2
    assert row[-1].note == "2 × mm 3×4: 3.00 ms"


def test_the_picture_holds_every_comparison_and_the_band() -> None:
    pytest.importorskip("altair")
    (chart,) = [block for block in section(1.5).blocks if isinstance(block, Chart)]
    text = str(chart.spec)
    assert "'field': 'limit'" in text
    assert "'field': 'least'" in text


def test_without_limits_there_is_no_section_and_flops_predict() -> None:
    run = whole_run()
    assert limits.section(collect([run])[0]) is None
    record: Any = dict(run.records[1])
    assert predicted_ratio(record) == record["predicted_ratio"]
    record["limit_ratio"] = 3.0
    assert predicted_ratio(record) == record["predicted_ratio"]
    record["predicted_ratio"] = None  # where FLOPs are not counted
    assert predicted_ratio(record) == 3.0
    assert told_operation(record) == ""
    assert not is_near({**record, "ratio": {"estimate": 1.0}})
