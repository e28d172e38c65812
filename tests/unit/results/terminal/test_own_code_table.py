"""The table of a user's own case: one screen, every figure, and names that cannot break it."""

from __future__ import annotations

from typing import Any

import pytest

from results.terminal.own_code_table import table
from tests.helpers.own_code import example_document, example_of_both


@pytest.fixture
def document() -> dict[str, Any]:
    document = example_document()
    document["frameworks"][0]["rows"][3]["equivalence"] = "the case has no stages"
    document["answer"] = "Sum the losses."
    return document


WORDS = "summed · one pass of the sum; "  # begins the last line, the ways in words


def lines_with(shown: str, word: str) -> list[str]:
    """Return the lines with a word in them, before the ways are told in words."""
    lines = shown.partition(WORDS)[0].splitlines()
    return [" ".join(line.split()) for line in lines if word in line]


def test_answer_flow_and_figures_are_on_one_screen(document: dict[str, Any]) -> None:
    shown = table(document)
    lines = shown.splitlines()
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    assert lines[0] == "my_case.py:make  (41 s)"
    assert lines[1] == document["answer"]
    assert "torch 2.13.0 eager cpu float32" in lines
    assert lines_with(shown, "gradient of code") == ["gradient of code → encoder; none in head"]
    assert lines_with(shown, "summed")[0] == "summed 2.00 ms –"
    assert lines_with(shown, "separate_retained") == [
        "separate_retained 1.32 [1.30, 1.35] ▲ (1.33) 1.11 [1.09, 1.14] ▲ (1.12)"
    ]
    (freeze,) = lines_with(shown, "requires_grad")
    assert freeze == "requires_grad_false 0.600 [0.580, 0.630] ▼ (0.606)"
    (absent,) = lines_with(shown, "boundary_split")
    assert absent == "cannot be used: boundary_split: the case has no stages"
    words = "separate_retained · a pass for each loss; requires_grad_false · autograd told"
    assert " ".join(shown.partition(WORDS)[2].split()).startswith(words)
    assert "boundary_split ·" not in shown
    said = "central differences confirm to 1e-08; largest error of a gradient 3e-07"
    assert said in " ".join(shown.split())


def test_way_that_is_wrong_is_shown_with_its_reason(document: dict[str, Any]) -> None:
    row = document["frameworks"][0]["rows"][1]
    row |= {"outcome": "wrong_gradients", "equivalence": "encoder.0.weight is off by 0.1"}
    row |= {"seconds": None, "ratio": None}
    shown = table(document)
    first = lines_with(shown, "separate_retained")[0]
    assert first.startswith("separate_retained ✗ wrong gradients")
    said = "✗ separate_retained in phase backward: encoder.0.weight is off by 0.1"
    assert said in shown.splitlines()


def test_what_was_interrupted_is_said_once_in_the_table(document: dict[str, Any]) -> None:
    row = document["frameworks"][0]["rows"][1]
    row |= {"outcome": "interrupted", "equivalence": "pass", "seconds": None, "ratio": None}
    shown = table(document)
    assert lines_with(shown, "separate_retained")[0].startswith("separate_retained ✗ interrupted")
    assert "separate_retained in phase backward" not in shown


def test_flow_that_is_not_as_expected_comes_first(document: dict[str, Any]) -> None:
    document["frameworks"][0]["flow_problem"] = "code → head is value, expect_flow says absent"
    assert "✗ code → head is value, expect_flow says absent" in table(document).splitlines()


def test_ratio_without_an_interval_stands_alone(document: dict[str, Any]) -> None:
    row = document["frameworks"][0]["rows"][1]
    row["ratio"] |= {"low": None, "high": None}
    row["verdict"] = "not told"
    assert "1.32 ? (1.33)" in lines_with(table(document), "separate_retained")[0]


def test_document_of_an_error_is_shown(document: dict[str, Any]) -> None:
    shown = table({"answer": "Nothing was measured: no scalar", "frameworks": []})
    assert shown.splitlines() == ["a case", "Nothing was measured: no scalar"]


def test_hostile_names_stay_text(document: dict[str, Any]) -> None:
    part = document["frameworks"][0]
    part["flow"] = {"[red]a\x1b[2J\n": {"[bold]b": "value", "c" * 300: "absent"}}
    document["case"]["name"] = "\x1b]0;title\x07"
    shown = table(document, 80, colour=False)
    assert "\x1b" not in shown
    assert "[red]a" in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_two_frameworks_are_compared_below_the_tables_of_each() -> None:
    document = example_of_both()
    shown = table(document)
    assert max(map(len, shown.splitlines())) <= 100
    assert shown.index("torch 2.13.0") < shown.index("jax 0.10.2") < shown.index("JAX ÷ torch")
    below = shown.partition("JAX ÷ torch")[2]
    assert lines_with(below, "summed") == [
        "summed 0.500 [0.400, 0.625] ▼ 0.900 [0.720, 1.13] ? –",
    ]
    assert lines_with(below, "detach / stop_gradient")[0].endswith("– – 0.500 [0.400, 0.625] ▲")
    assert "the same in both: losses to the last bit, gradients to 2e-15 (head.w1)" in below
    assert "weights: 7 arrays of JAX filled from torch's, 1 by the same name" in below
    assert "head.k3 ← head.w3 transposed" in below
    assert "head.k4" not in below
    assert "and 2 more, which --json and --report list" in below
    assert "note: JAX's batch differed in x: torch's was taken" in below


def test_sides_that_differ_have_no_ratio_and_prove_nothing() -> None:
    document = example_of_both()
    document["answer"] = "torch and JAX do not compute the same: the gradients by x differ."
    document["pair"] |= {"problem": "the gradients by x differ", "rows": []}
    shown = table(document)
    assert shown.splitlines()[1] == document["answer"]
    assert "the same in both" not in shown
    assert "JAX ÷ torch" not in shown


def test_what_the_suite_says_itself_is_shown_in_full() -> None:
    said = "check that both use the same epsilon, activation and loss reduction; " * 8
    document = example_of_both()
    document["answer"] = f"torch and JAX do not compute the same: {said}or measure one alone."
    document["frameworks"][0]["notes"] = [f"{said}once more."]
    shown = " ".join(table(document).split())
    assert document["answer"] in shown
    assert f"note: {said}once more." in shown
