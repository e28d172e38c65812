"""Test that a comparison counts before it times: what it says, where, and with which exit code."""

from __future__ import annotations

import errno
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from benchmarks.regression import worker_pairs
from benchmarks.regression.counting import Counting
from benchmarks.regression.references import References
from benchmarks.regression.versions import Side
from results.regression import validation
from results.regression.document import analysis
from tests.helpers.fake_comparisons import Measure, cell

PATIENCE = 8.0  # seconds for an answer, where a cell hangs


def counted(measure: Measure, *strategies: str, **options: Any) -> tuple[dict[str, Any], list[str]]:
    """Return the document of a comparison without a clock, and the lines that were said."""
    said: list[str] = []
    named = map(cell, strategies or ("summed",))
    document = measure(*named, counting=True, counts_only=True, warn=said.append, **options)
    return document, said


def test_what_costs_more_is_said_at_once_and_is_a_regression(measure: Measure) -> None:
    document, said = counted(measure, "summed", "other", head="summed/gradient=wasteful")
    name = "fake linear_cascade seed eager gradient summed"
    assert said == [
        f"count worse: {name}: FLOPs 100 → 200",
        f"count other: {name}: operations 5 → 7 (product 3 → 5)",
    ]
    assert (document["pairs"], document["cells"][1]["counts"]["flops"]) == (0, [100, 100])
    result = analysis(document)
    assert (result.exit_code, result.worse_metrics) == (1, ["FLOPs"])
    assert validation.CELL(document["cells"][0], "") is None


def test_memory_that_is_no_more_overwritten_is_a_regression_of_its_own(measure: Measure) -> None:
    """Take what a step in JAX does that no longer donates its arguments."""
    document, _ = counted(measure, head="summed/gradient=copying")
    result = analysis(document)
    assert result.worse_metrics == ["bytes held at once", "bytes overwritten in place"]
    better = analysis(counted(measure, base="summed/gradient=copying")[0])
    assert [one.verdict for one in better.findings[0].counts] == ["better", "better"]
    assert (result.exit_code, better.exit_code) == (1, 0)


def test_base_that_knows_no_footprint_is_counted_by_what_both_can(measure: Measure) -> None:
    document, said = counted(measure, base="summed/gradient=old")
    assert document["cells"][0]["counts"] == {"flops": [100, 100]}
    assert said == []
    assert analysis(document).exit_code == 0


@pytest.mark.slow
def test_a_count_that_is_never_the_same_is_left_out(measure: Measure) -> None:
    document, said = counted(measure, head="summed/gradient=moody")
    entry = document["cells"][0]
    assert entry["not_repeated"] == ["optimizer_state_bytes"]
    assert "optimizer_state_bytes" not in entry["counts"]
    assert said == []
    assert analysis(document).exit_code == 0


@pytest.mark.slow
def test_what_cannot_be_counted_is_said_and_costs_no_other_cell(measure: Measure) -> None:
    document, said = counted(measure, "summed", "other", head="summed/gradient=uncountable")
    assert "counts" not in document["cells"][0]
    assert document["cells"][1]["counts"]["flops"] == [100, 100]
    (line,) = said
    assert line == "1 of 2 cells could not be counted: RuntimeError: no count of this"
    assert analysis(document).exit_code == 3


@pytest.mark.slow
def test_a_cell_that_hangs_is_not_waited_for_again(
    measure: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pairs, "ANSWER_SECONDS", PATIENCE)
    document, _ = counted(measure, "summed", "other", head="summed/gradient=hang")
    assert document["cells"][0]["state"] == "failed_in_head"
    assert "no answer within 8 s" in document["cells"][0]["why"]
    assert document["cells"][1]["counts"]["flops"] == [100, 100]
    assert analysis(document).exit_code == 2


@pytest.mark.slow
def test_a_cell_that_hangs_when_it_is_counted_again_can_still_be_timed(
    measure: Measure, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(worker_pairs, "ANSWER_SECONDS", PATIENCE)
    monkeypatch.setenv("FIRST_LAUNCH", str(tmp_path / "first"))
    document, said = counted(measure, "summed", "other", head="summed/gradient=slow_again")
    assert [one["state"] for one in document["cells"]] == ["ok", "ok"]
    assert "counts" not in document["cells"][0]
    (line,) = said
    assert line.startswith("1 of 2 cells could not be counted: ")
    assert "no answer within 8 s" in line


def test_workers_that_do_not_start_leave_the_cells_uncounted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_memory(*arguments: Any, **options: Any) -> Any:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    monkeypatch.setattr(worker_pairs, "start_worker", no_memory)
    here = Side("base", "base", None, 0, sys.executable, {}, ROOT, "", {})
    failures: list[Any] = []
    counter = Counting({"base": here, "head": here}, "cpu", References(), failures.append)
    assert counter.count_once([cell()]) == {}
    assert counter.uncounted == {cell(): "[Errno 12] Cannot allocate memory"}
    assert failures == []
