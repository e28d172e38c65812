"""Find a cell by the words that tables show, or by the name of its test."""

from __future__ import annotations

import pytest

from benchmarks.harness.selection.one_cell import EXAMPLE, find_cell
from benchmarks.harness.selection.options import SelectionError

ID = "linear_cascade---small-torch-eager-separate_retained-gradient-cpu-float32"


@pytest.mark.parametrize(
    "words",
    [
        [EXAMPLE],
        EXAMPLE.split()[::-1],
        ["torch linear_cascade small eager gradient separate_retained"],
        ["torch linear_cascade - small eager gradient separate_retained"],
        [ID],
        [f"test_backward[{ID}]"],
    ],
)
def test_words_in_any_order_and_the_names_of_a_test_find_the_cell(words: list[str]) -> None:
    assert find_cell(words, "cpu").id == ID


def test_what_is_left_out_has_its_default() -> None:
    cell = find_cell(["jax frozen_prefix partition"], "cpu")
    assert (cell.kind, cell.size, cell.mode, cell.phase) == ("freeze", "small", "jit", "step")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("torch linear_casade small", "did you mean 'linear_cascade'"),
        ("torch linear_cascade small gradient", "which strategy or recipe"),
        ("torch jax linear_cascade summed", "'torch' and 'jax' are both a framework"),
        ("linear_cascade small gradient reforward", "name the framework (torch, jax)"),
        ("torch linear_cascade small gradient summed", "is the baseline that others"),
        ("torch linear_cascade small backward reforward", "cannot exist here"),
        ("jax linear_cascade small gradient functional", "leaves no cell|no cell is of these"),
        (f"{ID}x", "did you mean"),
        (" ", "name a cell, such as"),
    ],
)
def test_other_names_are_refused_with_what_to_do(words: str, message: str) -> None:
    with pytest.raises(SelectionError) as raised:
        find_cell([words], "cpu")
    assert any(part in str(raised.value) for part in message.split("|")), raised.value
