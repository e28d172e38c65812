"""Test how option values that list several names are split, and held to those of saved runs."""

from __future__ import annotations

import pytest

from benchmarks.harness.selection.names import names_of_runs, split_names
from benchmarks.harness.selection.options import SelectionError


@pytest.mark.parametrize(
    ("values", "names"),
    [(None, None), ([], None), (["a"], ("a",)), (["a,b", "c"], ("a", "b", "c"))],
)
def test_names_are_split_at_commas_and_joined_over_options(
    values: list[str] | None, names: tuple[str, ...] | None
) -> None:
    assert split_names(values) == names


def test_all_among_saved_runs_is_every_name() -> None:
    there = {"framework": {"torch"}, "size": {"seed", "large"}}
    selected = {"framework": ("all",), "size": ("seed",)}
    assert names_of_runs(selected, there) == {"framework": None, "size": ("seed",)}
    assert names_of_runs({"size": None}, there) == {"size": None}


def test_name_that_no_saved_cell_has_is_said_with_the_nearest() -> None:
    there = {"size": {"seed", "large"}}
    with pytest.raises(SelectionError, match=r"no saved cell has --size 'lrge'; did you .*'large'"):
        names_of_runs({"size": ("seed", "lrge")}, there)
    with pytest.raises(SelectionError, match=r"--size 'gpu' \(there are: large, seed\)"):
        names_of_runs({"size": ("gpu",)}, there)
