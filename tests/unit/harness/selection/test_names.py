"""Test how option values that list several names are split."""

from __future__ import annotations

import pytest

from benchmarks.harness.selection.names import split_names


@pytest.mark.parametrize(
    ("values", "names"),
    [(None, None), ([], None), (["a"], ("a",)), (["a,b", "c"], ("a", "b", "c"))],
)
def test_names_are_split_at_commas_and_joined_over_options(
    values: list[str] | None, names: tuple[str, ...] | None
) -> None:
    assert split_names(values) == names
