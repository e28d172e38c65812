"""The rules by which two gradients are the same, each with the smallest case that breaks it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol import equivalence, flow
from benchmarks.harness.protocol.equivalence import Arrays, compare, tolerance
from benchmarks.harness.worker import gate
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Scenario, Variant

ONE = np.array([[3.0, 4.0]])


def problem(gradients: Arrays, reference: Arrays | None = None, **changes: object) -> str | None:
    options = {"allowed": 1e-6, "dtype": "float64", "networks": ["net1"]} | changes
    return compare(gradients, reference or {"net1.w": ONE}, **options).problem  # type: ignore[arg-type]


def test_equal_gradients_pass_and_the_worst_tensor_is_named() -> None:
    assert problem({"net1.w": ONE.copy()}) is None
    worse = {"net1.v": ONE * (1 + 2e-7), "net1.w": ONE * (1 + 1e-7)}
    difference = compare(
        worse, dict.fromkeys(worse, ONE), allowed=1e-6, dtype="float64", networks=["net1"]
    )
    assert difference.problem is None
    assert difference.tensor == "net1.v"
    assert difference.relative == pytest.approx(2e-7, rel=1e-6)
    assert difference.parameters == pytest.approx({"net1.v": 2e-7, "net1.w": 1e-7}, rel=1e-6)


def test_difference_is_relative_to_the_tensors_own_norm() -> None:
    moved = ONE + np.array([[0.0, 5e-6]])  # 1e-6 of the norm 5
    assert problem({"net1.w": moved}, allowed=0.99e-6) is not None
    assert problem({"net1.w": moved}, allowed=1.01e-6) is None


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ({}, "no gradient for net1.w"),
        ({"net1.w": ONE, "net2.w": ONE}, "a gradient for net2.w, which should have none"),
        ({"net1.w": ONE[0]}, "shape (2,), should be (1, 2)"),
        ({"net1.w": ONE.astype(np.float32)}, "dtype float32, should be float64"),
        ({"net1.w": np.array([[3.0, np.nan]])}, "not finite"),
        ({"net1.w": np.array([[np.inf, 4.0]])}, "not finite"),
        ({"net1.w": ONE * 1.001}, "relative difference 0.001, allowed 1e-06"),
        ({"net1.w": np.zeros((1, 2))}, "relative difference 1, allowed 1e-06"),
    ],
)
def test_what_is_not_the_same_is_said(gradients: Arrays, message: str) -> None:
    assert message in (problem(gradients) or "")


def test_reference_that_is_not_finite_passes_nothing() -> None:
    for wrong in (np.nan, np.inf):
        message = problem({"net1.w": ONE}, {"net1.w": np.array([[3.0, wrong]])})
        assert message == "net1.w: the reference is not finite"


def test_zero_gradient_is_held_to_its_networks_norm() -> None:
    reference = {"net1.w": ONE, "net1.b": np.array([1e-17])}
    limit = 10 * equivalence.EPS["float64"] * 5.0
    for factor, passes in ((0.9, True), (1.1, False)):
        gradients = {"net1.w": ONE, "net1.b": np.array([factor * limit])}
        message = problem(gradients, reference, zero_gradient=("net1.b",))
        assert (message is None) == passes, message


def test_each_parameter_has_its_own_error_but_one_whose_true_gradient_is_0() -> None:
    reference = {"net1.w": ONE, "net1.b": np.array([1e-17]), "net2.w": ONE}
    gradients = {"net1.w": ONE * 1.5, "net1.b": np.array([0.0]), "net2.w": ONE}
    for zero, named in ((("net1.b",), {"net1.w", "net2.w"}), ((), set(reference))):
        difference = compare(
            gradients,
            reference,
            allowed=1.0,
            dtype="float64",
            networks=["net1"],
            zero_gradient=zero,
        )
        assert set(difference.parameters) == named
        assert difference.parameters["net1.w"] == pytest.approx(0.5)
        assert difference.parameters["net2.w"] == 0.0
    assert compare({}, reference, allowed=1.0, dtype="float64", networks=[]).parameters == {}


def test_parameter_without_elements_is_no_obstacle() -> None:
    empty, one = np.zeros(0, np.float32), np.ones(2, np.float32)
    gradients = {"net.none": empty, "net.w": one}
    dead = tuple(equivalence.dead_tensors(gradients, ["net"], ()))
    assert dead == ("net.none",)
    found = equivalence.compare(
        gradients, gradients, allowed=1e-6, dtype="float32", networks=["net"], zero_gradient=dead
    )
    assert found.problem is None


def test_absent_zero_and_value_are_three_things() -> None:
    states = [equivalence.gradient_state(a) for a in (None, np.zeros(2), np.array([0.0, 1e-30]))]
    assert states == ["absent", "zero", "value"]


def test_dead_tensor_is_named_unless_declared_zero() -> None:
    grads = {"net1.w": ONE, "net1.b": np.array([1e-7])}
    assert equivalence.dead_tensors(grads, ["net1"], ()) == ["net1.b"]
    assert equivalence.dead_tensors(grads, ["net1"], ("net1.b",)) == []


def test_bounds_are_tighter_off_the_kinks() -> None:
    assert tolerance("float64", None) == 1e-11
    assert tolerance("float32", 1e-5) == pytest.approx(1.19e-5, rel=0.01)
    assert tolerance("float32", 1e-6) == 1e-3
    assert tolerance("float32", 1e-7) == tolerance("float32", None) == 1e-2


def test_zero_gradient_behind_long_sums_may_be_larger() -> None:
    reference = {"net1.w": ONE, "net1.b": np.array([0.0])}
    limit = 1000 * equivalence.EPS["float64"] * 5.0
    for factor, passes in ((0.9, True), (1.1, False)):
        gradients = {"net1.w": ONE, "net1.b": np.array([factor * limit])}
        message = problem(gradients, reference, zero_gradient=("net1.b",), allowed=1e-3)
        assert (message is None) == passes, message


def test_references_of_long_sums_may_leave_more_where_the_true_gradient_is_0() -> None:
    reference = {"net1.w": ONE, "net1.b": np.array([0.0])}
    gradients = {"net1.w": ONE, "net1.b": np.array([36 * equivalence.EPS["float64"] * 5.0])}
    options: dict[str, Any] = {"allowed": 1e-12, "dtype": "float64", "networks": ["net1"]}
    for long, passes in ((False, False), (True, True), (None, False)):
        message = compare(
            gradients, reference, **options, zero_gradient=("net1.b",), long_sums=long
        ).problem
        assert (message is None) == passes, message
    assert [equivalence.long_sums(margin) for margin in (1e-5, 1e-6, None)] == [False, True, True]


def test_bounds_are_those_that_the_documentation_gives() -> None:
    assert equivalence.REFERENCES_AGREE == 1e-12
    assert equivalence.FLOAT64_TOLERANCE == 1e-11
    assert pytest.approx(1.1920929e-5) == equivalence.ROUNDING  # 100 eps
    assert (equivalence.ROUNDING_OF_LONG_SUMS, equivalence.KINKS) == (1e-3, 1e-2)
    assert gate.UPDATE_TOLERANCE == {"sgd": 1e-3, "adam": 2e-2, "adamw": 2e-2}


def test_norms_of_networks_whose_names_begin_alike_are_kept_apart() -> None:
    grads = {"net1.w": ONE, "net10.w": 2 * ONE}
    for networks in (["net1", "net10"], ["net10", "net1"]):
        assert equivalence.norms(grads, networks) == pytest.approx({"net1": 5.0, "net10": 10.0})


# The flow


def spec() -> Scenario:
    """Return `linear_cascade` with three losses, a frozen layer, and two whose gradient is 0.

    One of these is 0 exactly, the other up to rounding.
    """
    networks = ("net1", "net2", "net10")
    flow = {"loss1": ("net1",), "loss2": ("net1", "net2"), "loss10": networks}
    variant = Variant(networks, flow, frozen=("net2.frozen",), exact_zero=("net1.exact",))
    return replace(
        CATALOGUE["linear_cascade"], variants={"-": variant}, zero_gradient=("net1.rounding",)
    )


@pytest.mark.parametrize(
    ("loss", "name", "torch", "jax"),
    [
        ("loss1", "net1.w", "value", "value"),
        ("loss1", "net2.w", "absent", "zero"),  # not reached: torch has none, JAX exact zeros
        ("loss1", "net10.w", "absent", "zero"),  # and it does not belong to net1
        ("loss2", "net2.w", "value", "value"),
        ("loss2", "net2.frozen", "absent", "absent"),
        ("loss2", "net1.exact", "zero", "zero"),
        ("loss10", "net1.rounding", "value zero", "value zero"),
    ],
)
def test_each_state_of_a_gradient_is_right_in_its_own_place(
    loss: str, name: str, torch: str, jax: str
) -> None:
    for framework, expected in (("torch", torch), ("jax", jax)):
        for state in ("absent", "zero", "value"):
            messages = list(flow.mistakes({loss: {name: state}}, spec(), "-", framework))
            right = state in expected.split()
            should = " or ".join(expected.split())
            assert messages == ([] if right else [f"{loss} → {name}: {state}, should be {should}"])
