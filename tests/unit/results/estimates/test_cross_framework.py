"""Check that frameworks are compared unpaired, and that unequal modes are marked as such."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

from results.estimates import counterparts
from results.estimates.cross_framework import framework_ratios
from results.records.record import Record, Run, sample_key
from results.statistics.estimators import welch_interval
from tests.helpers.factories.records import CELL, record, run


def cell(framework: str, mode: str, **changes: str) -> Record:
    return record(CELL | {"framework": framework, "mode": mode, "strategy": "summed"} | changes)


def timed(*cells: Record) -> Run:
    rng = np.random.default_rng(5)
    rows = {sample_key(one): [np.exp(rng.normal(-5, 0.1, 3)) for _ in range(6)] for one in cells}
    return run(records=list(cells), samples=rows)


def test_interval_is_that_of_scipys_welch_test() -> None:
    rng = np.random.default_rng(2)
    one, other = rng.normal(0.0, 0.05, 6), rng.normal(0.3, 0.2, 9)
    interval: Any = welch_interval([[np.exp(v)] for v in one], [[np.exp(v)] for v in other])
    expected = scipy.stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert np.log([interval["low"], interval["high"]]) == pytest.approx(
        [expected.low, expected.high]
    )
    assert np.log(interval["estimate"]) == pytest.approx(other.mean() - one.mean())
    assert interval["launches"] == 6


def test_few_launches_have_no_interval_and_equal_times_have_one_without_width() -> None:
    assert welch_interval([[1.0]] * 6, [[2.0]] * 5)["low"] is None
    same = welch_interval([[1.0]] * 6, [[2.0]] * 6)
    assert (same["low"], same["high"]) == pytest.approx((2.0, 2.0))
    with pytest.raises(ValueError, match="no launches"):
        welch_interval([[1.0]], [])


def test_only_cells_that_differ_in_framework_and_mode_are_paired() -> None:
    one = cell("torch", "eager")
    others = [
        cell("jax", "jit"),
        cell("jax", "eager"),
        cell("jax", "jit", size="seed"),
        cell("jax", "jit", phase="gradient"),
        cell("jax", "jit") | {"strategy": "reforward", "outcome": "crashed"},
    ]
    made = timed(one, *others)
    pairs = list(framework_ratios(made.records, made.samples))
    assert [(a.torch, a.jax, a.equal_modes) for a in pairs] == [
        (one, others[0], False),
        (one, others[1], True),
    ]
    torch, jax = (np.log([np.quantile(r, 0.25) for r in made.samples[sample_key(c)]]).mean()
                  for c in (one, others[0]))  # fmt: skip
    assert np.log(pairs[0].ratio["estimate"]) == pytest.approx(jax - torch)


def test_compiled_is_never_compared_with_operation_by_operation() -> None:
    made = timed(cell("torch", "compile"), cell("jax", "jit"), cell("jax", "eager"))
    assert [
        (a.jax["mode"], a.equal_modes) for a in framework_ratios(made.records, made.samples)
    ] == [("jit", True)]


def paired(*cells: Record) -> list[tuple[str, ...]]:
    """Return the names of each pair of these cells, with JAX's mode."""
    made = timed(*cells)
    return [(*p.names, p.jax["mode"]) for p in framework_ratios(made.records, made.samples)]


def freezing(framework: str, mode: str, *names: str) -> list[Record]:
    return [cell(framework, mode, kind="freeze", phase="step") | {"strategy": n} for n in names]


def test_recipes_that_do_the_same_work_are_paired_whatever_their_names() -> None:
    """Each has one counterpart; JAX's grad_of_trainable is not compared twice."""
    torch = ("unfrozen", "requires_grad_false", "no_grad_forward", "detach", "grad_of_trainable")
    jax = ("unfrozen", "stop_gradient", "grad_of_trainable", "partition", "all_gradients")
    cells = [*freezing("torch", "eager", *torch, "optimizer_only"), *freezing("jax", "jit", *jax)]
    assert paired(*cells) == [
        ("unfrozen", "jit"),
        ("requires_grad_false", "grad_of_trainable", "jit"),
        ("detach", "stop_gradient", "jit"),
        ("optimizer_only", "all_gradients", "jit"),
    ]


def test_copy_of_a_recipe_is_compared_with_that_copy() -> None:
    torch = freezing("torch", "eager", "detach", "detach@again")
    jax = freezing("jax", "jit", "stop_gradient", "stop_gradient@again")
    assert paired(*torch, *jax) == [
        ("detach", "stop_gradient", "jit"),
        ("detach@again", "stop_gradient@again", "jit"),
    ]


def test_names_of_recipes_say_nothing_of_strategies() -> None:
    differing = [pair for pair in counterparts.COUNTERPARTS if pair.torch != pair.jax]
    others = [cell("jax", "jit") | {"strategy": pair.jax} for pair in differing]
    for pair in differing:
        assert not paired(cell("torch", "eager") | {"strategy": pair.torch}, *others)


def test_namesakes_that_do_other_work_in_eager_jax_are_not_paired() -> None:
    def both(mode: str) -> list[Record]:
        names = ("separate_grad", "summed")
        return [
            *(cell("torch", "eager") | {"strategy": name} for name in names),
            *(cell("jax", mode) | {"strategy": name} for name in names),
        ]

    assert paired(*both("eager")) == [("summed", "eager")]
    assert paired(*both("jit")) == [("separate_grad", "jit"), ("summed", "jit")]
