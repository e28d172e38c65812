"""Recipes that are compared across the frameworks do the same work, and none is forgotten."""

from __future__ import annotations

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.test_recipes import COSTS
from results.estimates.counterparts import ALONE, COUNTERPARTS, UNLIKE, counterpart, saves


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_every_recipe_has_one_counterpart_or_a_reason_to_have_none(framework: str) -> None:
    paired = [getattr(pair, framework) for pair in COUNTERPARTS]
    assert sorted([*paired, *ALONE[framework]]) == sorted(cells.RECIPES[framework])


@pytest.mark.parametrize("variant", ["frozen_net1", "frozen_net2"])
def test_counterparts_compute_as_many_products(variant: str) -> None:
    """The numbers are those that a check compares with what each framework counts."""
    torch, jax = (COSTS[framework, variant] for framework in ("torch", "jax"))
    possible = [pair for pair in COUNTERPARTS if pair.torch in torch]
    assert len(possible) >= 3
    for pair in possible:
        assert torch[pair.torch][0] == jax.get(pair.jax, (None,))[0], pair
        assert saves(pair.torch) == (torch[pair.torch][0] < torch["unfrozen"][0]), pair


def test_strategies_that_are_unlike_are_some_of_both() -> None:
    shared = set(cells.STRATEGIES["torch"]) & set(cells.STRATEGIES["jax"])
    assert {name for name, _ in UNLIKE} <= shared
    assert {mode for _, mode in UNLIKE} <= set(cells.MODES["jax"])
    assert counterpart("backward", "separate_grad", "jit") == "separate_grad"
