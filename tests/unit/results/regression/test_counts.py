"""Check which counts of two versions differ, what that means, and how it is shown."""

from __future__ import annotations

from typing import Any

import pytest

from results.regression import counts
from results.regression import document as regression
from results.regression.counts import BETTER, OTHER, WORSE
from results.statistics.verdict import EQUAL
from results.terminal import count_table, regression_table
from tests.helpers.factories.comparisons import comparison

SAME = {"base": {"flops": 100}, "head": {"flops": 100}}
NAME = "torch conv_cascade small eager gradient summed"


def compared(**changed: list[float]) -> dict[str, Any]:
    """Return a comparison of unchanged times whose first cell has these counts."""
    document = comparison()
    for entry in document["cells"]:
        entry["counts"] = {"flops": [100.0, 100.0], "operations": [60, 60]}
    document["cells"][0]["counts"] |= changed
    return document


def footprints(**values: tuple[Any, Any]) -> dict[str, dict[str, Any]]:
    """Return the footprints of base and head with these values."""
    return {
        side: {name: pair[place] for name, pair in values.items()}
        for place, side in enumerate(("base", "head"))
    }


def test_unchanged_counts_are_one_line_and_no_regression() -> None:
    document = compared()
    result = regression.analysis(document)
    shown = regression_table.text(document, result)
    assert (result.exit_code, result.worse_metrics) == (0, [])
    assert "counts: FLOPs, operations: the same in 10 of 10 cells" in shown
    assert "≠" not in shown


@pytest.mark.parametrize(
    ("metric", "pair", "verdict", "code"),
    [
        ("flops", [100.0, 101.0], WORSE, 1),
        ("flops", [100.0, 99.0], BETTER, 0),
        ("aliased_bytes", [296, 0], WORSE, 1),
        ("aliased_bytes", [0, 296], BETTER, 0),
        ("held_bytes", [4096, 4100], WORSE, 1),
        ("operations", [60, 64], OTHER, 0),  # what one more costs, the clock says
        ("compile_seconds", [1.0, 1.6], WORSE, 1),
    ],
)
def test_a_count_that_costs_is_a_regression_and_one_that_may_is_not(
    metric: str, pair: list[float], verdict: str, code: int
) -> None:
    result = regression.analysis(compared(**{metric: pair}))
    (change,) = next(one.counts for one in result.findings if one.counts)
    assert (change.metric, change.verdict, result.exit_code) == (metric, verdict, code)
    assert result.worse_metrics == ([change.label] if code else [])
    assert {one.verdict for one in result.findings} == {EQUAL}  # of the clock


@pytest.mark.parametrize("pair", [[1.0, 1.4], [0.1, 0.29], [2.0, 2.0]])
def test_compiling_that_takes_a_little_longer_is_no_change(pair: list[float]) -> None:
    assert not counts.is_changed("compile_seconds", *pair)


def test_with_another_release_the_clock_alone_decides() -> None:
    """Decide nothing by counts that another release may take in another way."""
    document = compared(flops=[100.0, 120.0])
    base = document["sides"]["base"]
    document["sides"]["base"] = base | {"versions": base["versions"] | {"torch": "2.12.0"}}
    result = regression.analysis(document)
    (change,) = next(one.counts for one in result.findings if one.counts)
    assert (change.verdict, change.decides, result.exit_code) == (WORSE, False, 0)
    document["sides"]["base"] = base | {"versions": base["versions"] | {"jax": "0.9"}}
    assert regression.analysis(document).exit_code == 1  # the cell is torch's


def test_a_cell_whose_gradients_are_wrong_has_no_counts() -> None:
    document = compared(flops=[100.0, 120.0])
    document["cells"][0] |= {"state": "wrong_in_base", "why": "x", "seconds": {}}
    assert not any(one.counts for one in regression.analysis(document).findings)


def test_first_line_says_which_metrics_and_the_table_which_cell() -> None:
    document = compared(flops=[1e6, 1.5e6], operations=[60, 64])
    document["cells"][0]["operations"] = {"aten.mm.default": [5, 8], "aten.add.Tensor": [2, 3]}
    document["cells"][7]["seconds"] = comparison({7: 0.4})["cells"][7]["seconds"]
    result = regression.analysis(document)
    shown = regression_table.text(document, result)
    assert shown.startswith("a regression: wall time, CPU time, FLOPs (exit code 1)\n")
    assert max(map(len, shown.splitlines())) <= 100
    row = next(line for line in shown.splitlines() if line.startswith("▲ worse"))
    assert " ".join(row.split()).endswith("FLOPs 1.00 M 1.50 M +50 %")
    assert "aten.mm.default 5 → 8" in " ".join(shown.split())
    comment = regression_table.markdown(document, result)
    loud, _ = comment.split("<details>")
    assert f"| ▲ worse | {NAME} | FLOPs | 1.00 M | 1.50 M | +50 % |" in loud
    answer = regression_table.document_json(document, result)
    assert answer["worse"] == ["wall time", "CPU time", "FLOPs"]
    (counted,) = [one["counts"] for one in answer["findings"] if one["counts"]]
    assert [(one["metric"], one["base"], one["head"]) for one in counted] == [
        ("flops", 1e6, 1.5e6),
        ("operations", 60, 64),
    ]


def test_without_a_clock_no_cell_is_said_to_be_untold() -> None:
    document = compared()
    document |= {"counts_only": True, "pairs": 0}
    document["design"]["taken"] = []
    for entry in document["cells"]:
        entry["seconds"] = {}
    result = regression.analysis(document)
    shown = regression_table.text(document, result)
    assert shown.startswith("no count got worse; nothing was timed (exit code 0)")
    assert "not told" not in shown + regression_table.markdown(document, result)
    del document["cells"][3]["counts"]
    result = regression.analysis(document)
    assert result.exit_code == 3
    assert "not everything could be counted" in regression_table.text(document, result)


def test_values_that_look_alike_are_shown_in_full() -> None:
    (change,) = next(
        one.counts
        for one in regression.analysis(compared(held_bytes=[10485760, 10485764])).findings
        if one.counts
    )
    assert count_table.values(change) == ("10,485,760", "10,485,764")


def test_what_is_not_the_same_in_both_rounds_is_left_out() -> None:
    first = footprints(flops=(1, 2), held_bytes=(8, 16))
    second = footprints(flops=(1, 2), held_bytes=(8, 8))
    assert counts.joined([SAME]) == {"counts": {"flops": [100, 100]}}
    assert counts.joined([first, second]) == {
        "counts": {"flops": [1, 2]},
        "not_repeated": ["held_bytes"],
    }


def test_of_two_compilations_the_nearest_are_compared() -> None:
    """One slow compilation, as beside another process, is no change."""
    rounds = [
        footprints(trace_seconds=(0.1, 0.1), compile_seconds=pair)
        for pair in ((0.4, 3.0), (0.4, 0.5))
    ]
    assert counts.joined(rounds)["counts"]["compile_seconds"] == pytest.approx([0.5, 0.6])
    rounds[1] = footprints(trace_seconds=(0.1, 0.1), compile_seconds=(0.5, 2.8))
    assert counts.joined(rounds)["counts"]["compile_seconds"] == pytest.approx([0.6, 2.9])


def test_operations_of_other_numbers_are_named() -> None:
    both = footprints(operations=({"mm": 3, "add": 1}, {"mm": 5, "add": 1, "sum": 2}))
    found = counts.joined([both, both])
    assert found["counts"] == {"operations": [4, 8]}
    assert found["operations"] == {"mm": [3, 5], "sum": [0, 2]}
