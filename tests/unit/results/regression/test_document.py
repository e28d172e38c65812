"""Check the conclusions of a comparison: verdicts, their order, the exit code, the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from results.records.record import RecordError
from results.regression import document as regression
from results.regression.document import FAILED, FIXED, NEW, WRONG, Ratio
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER
from results.terminal import regression_table
from tests.helpers.factories.comparisons import comparison


def named(result: regression.Analysis, framework: str, scenario: str) -> regression.Finding:
    (one,) = [
        f
        for f in result.findings
        if f.cell["framework"] == framework and scenario in f.cell["scenario"]
    ]
    return one


def test_unchanged_code_is_no_regression() -> None:
    result = regression.analysis(comparison())
    assert {one.verdict for one in result.findings} == {EQUAL}
    assert [shift.verdict for shift in result.shifts] == [EQUAL, EQUAL]
    assert (result.exit_code, result.pairs) == (regression.NOTHING_SLOWER, 24)


def test_a_slower_cell_comes_first_and_is_a_regression() -> None:
    result = regression.analysis(comparison({3: 0.05, 7: 0.4}))
    first, second = result.findings[:2]
    assert (first.cell["framework"], first.cell["scenario"]) == ("jax", "stacked_cascade")
    assert (second.cell["framework"], second.cell["scenario"]) == ("torch", "gan")
    assert [one.verdict for one in result.findings[:3]] == [SLOWER, SLOWER, EQUAL]
    assert second.ratios["wall"].low < 1.05 < second.ratios["wall"].high
    assert result.exit_code == regression.REGRESSION


def test_two_changed_cells_of_four_do_not_pass_for_a_common_shift() -> None:
    document = comparison({0: 0.05, 1: 0.4}, frameworks=("torch",))
    document["cells"][4] |= {"state": "wrong_in_head", "why": "net1.weight", "seconds": {}}
    result = regression.analysis(document)
    assert [one.verdict for one in result.findings] == [WRONG, SLOWER, SLOWER, EQUAL, EQUAL]
    (shift,) = result.shifts
    assert shift.verdict != SLOWER


def test_what_all_cells_of_a_framework_share_is_a_row_of_its_own() -> None:
    result = regression.analysis(comparison(dict.fromkeys(range(5), 0.06)))
    torch, jax = sorted(result.shifts, key=lambda shift: shift.framework, reverse=True)
    assert (torch.verdict, jax.verdict) == (SLOWER, EQUAL)
    assert torch.ratios["wall"].estimate == pytest.approx(1.06, abs=0.01)
    assert SLOWER not in {one.verdict for one in result.findings}
    assert result.exit_code == regression.REGRESSION


def test_two_cells_have_nothing_in_common_to_speak_of() -> None:
    document = comparison(frameworks=("jax",))
    for entry in document["cells"][2:]:
        entry |= {"state": "only_in_head", "why": "gone", "seconds": {}}
    assert regression.analysis(document).shifts == []


def test_wrong_gradients_come_before_everything_slower() -> None:
    document = comparison({1: 0.3}, frameworks=("torch",))
    document["cells"][4] |= {"state": "wrong_in_head", "why": "net1.weight: 0.1", "seconds": {}}
    result = regression.analysis(document)
    assert [one.verdict for one in result.findings[:2]] == [WRONG, SLOWER]
    assert (result.findings[0].why, result.findings[0].base) == ("net1.weight: 0.1", None)


@pytest.mark.parametrize(
    ("state", "verdict", "code"),
    [
        ("wrong_in_head", WRONG, 1),
        ("failed_in_head", FAILED, 2),
        ("failed", FAILED, 2),
        ("wrong_in_base", FIXED, 0),
        ("only_in_head", NEW, 0),
    ],
)
def test_the_exit_code_of_what_was_not_compared(state: str, verdict: str, code: int) -> None:
    document = comparison(frameworks=("torch",))
    document["cells"][0] |= {"state": state, "why": "because", "seconds": {}}
    result = regression.analysis(document)
    assert verdict in {one.verdict for one in result.findings}
    assert result.exit_code == code


def test_where_nothing_was_compared_nothing_was_told() -> None:
    document = comparison()
    for entry in document["cells"]:
        entry |= {"state": "only_in_head", "why": "new", "seconds": {}}
    assert regression.analysis(document).exit_code == regression.UNDECIDED


def test_before_the_first_look_there_are_times_and_no_verdict() -> None:
    result = regression.analysis(comparison({0: 1.0}, pairs=7, taken=()))
    assert {one.verdict for one in result.findings} == {INCONCLUSIVE}
    assert result.exit_code == regression.UNDECIDED
    slowest = max(one.head or 0.0 for one in result.findings)
    assert slowest == pytest.approx(4e-3, rel=0.02)


def test_base_against_base_that_differs_makes_its_cell_inconclusive() -> None:
    result = regression.analysis(comparison({2: 0.1}, control={2: 0.08}))
    assert result.findings[0].verdict == INCONCLUSIVE
    assert "base against base differs" in result.findings[0].why
    assert result.exit_code == regression.UNDECIDED


def test_noise_that_hides_a_change_is_inconclusive_not_equal() -> None:
    result = regression.analysis(comparison(spread=0.08))
    assert {one.verdict for one in result.findings} == {INCONCLUSIVE}


def test_a_look_that_was_had_early_counts() -> None:
    result = regression.analysis(comparison({0: 0.3}, pairs=19, taken=(10, 16, 19)))
    assert result.pairs == 19
    assert result.findings[0].verdict == SLOWER


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        ({"wall": EQUAL, "cpu": INCONCLUSIVE}, EQUAL),
        ({"wall": EQUAL, "cpu": SLOWER}, SLOWER),
        ({"wall": FASTER, "cpu": SLOWER}, SLOWER),
        ({"wall": INCONCLUSIVE, "cpu": FASTER}, INCONCLUSIVE),  # it may wait instead
        ({"wall": FASTER, "cpu": INCONCLUSIVE}, FASTER),
        ({"wall": INCONCLUSIVE, "cpu": EQUAL}, INCONCLUSIVE),
    ],
)
def test_one_verdict_of_two_metrics(verdicts: dict[str, str], expected: str) -> None:
    assert regression.joint_verdict(verdicts) == expected


def test_a_launch_is_a_low_quantile_of_its_turns_without_their_first_samples() -> None:
    turns = [[9.0, 9.0, 9.0, 1.0, 2.0], [9.0, 3.0], [4.0]]
    assert regression.launch_quantile(turns, 0.0, 3) == 1.0
    assert regression.launch_quantile(turns, 100.0, 3) == 4.0  # the last of a turn is kept
    wrong: list[list[list[float]]] = [[], [[]], [[0.0]], [[float("nan")]]]
    for bad in wrong:
        with pytest.raises(ValueError, match="above 0"):
            regression.launch_quantile(bad, 5.0, 3)


def test_what_is_none_of_ours_is_named() -> None:
    with pytest.raises(RecordError, match="no comparison"):
        regression.analysis({"cells": [{}]})


def test_changes_read_as_percent() -> None:
    assert (
        regression_table.change_text(Ratio(1.051, 1.042, 1.0604, SLOWER)) == "+5.1 % [+4.2, +6.0]"
    )
    assert regression_table.change_text(Ratio(2.51, 2.4, 2.6, SLOWER)) == "+151 % [+140, +160]"
    assert regression_table.change_text(None) == "–"


def test_the_terminal_s_table_fits_and_says_everything() -> None:
    document = comparison({3: 0.05})
    document["cells"][0] |= {"state": "wrong_in_head", "why": "net1.weight: 0.1", "seconds": {}}
    shown = regression_table.text(document, regression.analysis(document))
    assert max(map(len, shown.splitlines())) <= 100
    lines = shown.splitlines()
    places = [next(i for i, line in enumerate(lines) if line.startswith(mark))
              for mark in ("✗ wrong gradients", "▲ slower", "= equal")]  # fmt: skip
    assert places == sorted(places)
    assert "all 5 jax cells together: " in shown
    assert (
        "wrong gradients: torch conv_cascade small eager gradient summed: net1.weight: 0.1" in shown
    )
    assert "a regression: wrong gradients, wall time, CPU time (exit code 1)" in shown
    assert "both: python 3.11.7, torch 2.13.0, jax 0.10.2" in shown


def why_in_cells(**reasons: Any) -> list[str]:
    """Return the lines of the table on reasons; each cell named by its place has its own."""
    document = comparison()
    for place, (state, why) in reasons.items():
        entry = document["cells"][int(place.removeprefix("cell"))]
        entry |= {"state": state, "why": why, "seconds": {}}
    return list(regression_table.reasons(regression.analysis(document).findings))


def test_a_reason_is_said_once_and_not_once_a_cell() -> None:
    crash = ("failed", "no memory")
    (line,) = why_in_cells(cell0=crash, cell1=crash, cell5=crash)
    assert line == "failed: 3 cells: no memory"
    (line,) = why_in_cells(cell0=crash)
    assert line == "failed: torch conv_cascade small eager gradient summed: no memory"


def test_cells_are_named_where_those_of_one_verdict_have_several_reasons() -> None:
    crash, kernel = ("failed", "no memory, 3 GB"), ("failed", "no memory, 4 GB")
    lines = why_in_cells(cell0=crash, cell1=crash, cell5=kernel)
    assert lines == [
        "failed: 2 cells (torch conv_cascade small eager gradient summed; "
        "torch linear_cascade small eager gradient summed): no memory, 3 GB",
        "failed: jax conv_cascade small jit gradient summed: no memory, 4 GB",
    ]


def test_reasons_of_inconclusive_cells_that_differ_in_figures_are_one() -> None:
    found = regression.analysis(comparison()).findings
    figures = ("40", "39.5", "52", "40")
    unsure = [
        replace(one, verdict=INCONCLUSIVE, why=f"nothing under {figure} % can be seen here")
        for one, figure in zip(found, figures, strict=False)
    ]
    (line,) = regression_table.reasons(unsure)
    assert line == "inconclusive: 4 cells: nothing under 39.5 to 52 % can be seen here"
    (line,) = regression_table.reasons([unsure[0], unsure[3]])
    assert line == "inconclusive: 2 cells: nothing under 40 % can be seen here"


def test_versions_that_differ_stand_beside_their_side() -> None:
    document = comparison()
    document["sides"]["base"] = {**document["sides"]["base"]}
    document["sides"]["base"]["versions"] = {"python": "3.11.7", "torch": "2.12.1", "jax": "0.10.2"}
    assert list(regression_table.version_lines(document)) == [
        "both: python 3.11.7, jax 0.10.2",
        "base: main, torch 2.12.1",
        "head: the work tree, torch 2.13.0",
    ]


def test_markdown_folds_what_is_equal_and_escapes_names() -> None:
    document = comparison({3: 0.05}, spread=0.008)
    document["sides"]["head"] = {**document["sides"]["head"], "label": "<b>|x`"}
    shown = regression_table.markdown(document, regression.analysis(document))
    assert shown.startswith("### A regression: wall time, CPU time (exit code 1)\n")
    loud, folded = shown.split("<details>")
    assert "▲ slower | torch gan small" in loud
    assert "= equal" not in loud
    assert folded.count("| = equal |") == 9
    assert "<b>" not in shown
    assert "&lt;b&gt;\\|x\\`" in shown
    assert "cascade-bench regress main --budget 10m" in shown


def test_the_json_is_plain_data_with_all_that_was_taken() -> None:
    document = comparison({3: 0.05})
    shown = json.loads(
        json.dumps(regression_table.document_json(document, regression.analysis(document)))
    )
    assert (shown["exit_code"], shown["findings"][0]["verdict"]) == (1, "slower")
    assert shown["findings"][0]["ratios"]["wall"]["estimate"] == pytest.approx(1.05, abs=0.01)
    assert shown["comparison"]["cells"][0]["seconds"]["wall"][23]


@pytest.mark.parametrize(
    ("more", "unchanged", "slower", "prefix"),
    [
        ({}, 0, 1, ""),
        ({"unsaved": True}, 2, 1, "not saved; "),
        ({"broke_off": "no more workers"}, 2, 1, "broken off, until then: "),
        ({"stopped": regression.INTERRUPTED}, 130, 130, "stopped by Ctrl-C, until then: "),
    ],
)
def test_one_exit_code_in_every_form(
    more: dict[str, Any], unchanged: int, slower: int, prefix: str
) -> None:
    for changes, code in (({}, unchanged), ({0: 0.3}, slower)):
        document = comparison(changes) | more
        result = regression.analysis(document)
        assert regression.session_exit_code(document, result) == code
        shown = regression_table.document_json(document, result)
        assert shown["exit_code"] == code
        assert shown["outcome"].startswith(prefix)
        last = f"(exit code {code})"
        assert shown["outcome"].endswith(last)
        assert regression_table.text(document, result).splitlines()[0].endswith(last)
        assert last in regression_table.markdown(document, result).splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "again"),
    [
        (["HEAD^1", "--budget", "10m"], "000000000 --budget 10m"),
        (["main~2", "@"], "000000000 111111111"),
        (["main", "HEAD"], "main 111111111"),
        (["main", "--json", "HEAD.json"], "main --json HEAD.json"),
        (["--base-python", "HEAD"], "--base-python HEAD"),
    ],
)
def test_the_command_that_asks_the_same_means_the_same_elsewhere(
    arguments: list[str], again: str
) -> None:
    document = comparison() | {"arguments": arguments}
    document["sides"]["head"]["commit"] = "1" * 40
    shown = regression_table.markdown(document, regression.analysis(document))
    assert f"Again: `cascade-bench regress {again}`" in shown
