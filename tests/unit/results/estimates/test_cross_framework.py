"""Check that frameworks are compared unpaired, and that unequal modes are marked as such."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats

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
    found: Any = welch_interval([[np.exp(v)] for v in one], [[np.exp(v)] for v in other])
    said = scipy.stats.ttest_ind(other, one, equal_var=False).confidence_interval(0.95)
    assert np.log([found["low"], found["high"]]) == pytest.approx([said.low, said.high])
    assert np.log(found["estimate"]) == pytest.approx(other.mean() - one.mean())
    assert found["launches"] == 6


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
    found = list(framework_ratios(made.records, made.samples))
    assert [(a.torch, a.jax, a.equal_modes) for a in found] == [
        (one, others[0], False),
        (one, others[1], True),
    ]
    torch, jax = (np.log([np.quantile(r, 0.25) for r in made.samples[sample_key(c)]]).mean()
                  for c in (one, others[0]))  # fmt: skip
    assert np.log(found[0].ratio["estimate"]) == pytest.approx(jax - torch)


def test_compiled_is_never_compared_with_operation_by_operation() -> None:
    made = timed(cell("torch", "compile"), cell("jax", "jit"), cell("jax", "eager"))
    assert [
        (a.jax["mode"], a.equal_modes) for a in framework_ratios(made.records, made.samples)
    ] == [("jit", True)]
