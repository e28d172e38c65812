"""The gate: right and wrong gradients, updates, and frozen parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol.equivalence import EPS
from benchmarks.harness.worker import gate

WEIGHT = np.array([[3.0, 4.0]])
TRUE = {
    **{f"gradient/{net}.w": WEIGHT for net in ("net1", "net2")},
    **{f"start/{net}.w": 10 * WEIGHT for net in ("net1", "net2")},
    **{f"updated/{net}.w": 9 * WEIGHT for net in ("net1", "net2")},
}


class FinishedProgram:
    """A program that has run, with multiples of `WEIGHT` as its gradients and parameters."""

    def __init__(self, gradients: dict[str, float], updates: dict[str, float]) -> None:
        self._gradients, self._updates = gradients, updates

    def gradients(self) -> dict[str, Any]:
        return {n: (f * WEIGHT).astype(np.float32) for n, f in self._gradients.items()}

    def updates(self) -> dict[str, Any]:
        return {n: (f * WEIGHT).astype(np.float32) for n, f in self._updates.items()}


def rules(**changes: Any) -> Any:
    """Return the rules of a step in which net1 is frozen, with changes."""
    standard = {
        "allowed": 1e-5,
        "dtype": "float32",
        "phase": "step",
        "networks": ["net1", "net2"],
        "zero_gradient": [],
        "exact_zero": [],
        "optimizer": "sgd",
        "still": ["net1.w"],
        "no_gradient": ["net1.w"],
    }
    return standard | changes


def judged(program: FinishedProgram, **changes: Any) -> str:
    return gate.judge(program, TRUE, rules(**changes))["equivalence"]


def test_frozen_that_keeps_still_and_trained_that_moves_right_pass() -> None:
    assert judged(FinishedProgram({"net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})) == "pass"


def test_frozen_that_moves_by_the_least_bit_is_named() -> None:
    moved = float(np.nextafter(np.float32(10.0), np.float32(11.0)))
    verdict = judged(FinishedProgram({"net2.w": 1.0}, {"net1.w": moved, "net2.w": 9.0}))
    assert verdict == "net1.w is frozen and moved"


def test_gradient_of_what_is_frozen_is_named_unless_the_recipe_computes_it() -> None:
    program = FinishedProgram({"net1.w": 1.0, "net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})
    assert judged(program) == "a gradient for net1.w, which should have none"
    assert judged(program, no_gradient=[]) == "pass"


def test_wasted_gradient_must_be_right_as_well() -> None:
    program = FinishedProgram({"net1.w": 1.001, "net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})
    assert "net1.w: relative difference" in judged(program, no_gradient=[])


def test_parameter_without_elements_is_no_obstacle_to_a_step() -> None:
    empty = np.zeros(0)
    true = {
        f"{part}/net.{name}": array
        for part, w in (("gradient", WEIGHT), ("start", 10 * WEIGHT), ("updated", 9 * WEIGHT))
        for name, array in (("w", w), ("none", empty))
    }

    class Ran(FinishedProgram):
        def gradients(self) -> dict[str, Any]:
            return super().gradients() | {"net.none": empty.astype(np.float32)}

        def updates(self) -> dict[str, Any]:
            return super().updates() | {"net.none": empty.astype(np.float32)}

    own = rules(networks=["net"], zero_gradient=["net.none"], optimizer="adam", still=[])
    found = gate.judge(Ran({"net.w": 1.0}, {"net.w": 9.0}), true, own | {"no_gradient": []})
    assert found["equivalence"] == "pass"


def test_wrong_update_is_named() -> None:
    verdict = judged(FinishedProgram({"net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.1}))
    assert verdict.startswith("net2.w: the update is off by")
    for there in ({"net1.w": 10.0}, {"net2.w": 9.0}):
        verdict = judged(FinishedProgram({"net2.w": 1.0}, there))
        assert verdict.startswith(f"updated {list(there)}, should be ['net1.w', 'net2.w']")


@pytest.mark.parametrize(("optimizer", "share"), [("sgd", 1e-3), ("adam", 2e-2), ("adamw", 2e-2)])
def test_update_may_be_off_by_a_share_of_the_change_and_no_more(
    optimizer: str, share: float
) -> None:
    """The change is from 10 to 9, beside which float32 resolves 10 eps."""
    for factor, passes in ((0.9, True), (1.1, False)):
        moved = 9.0 - factor * (share + 10 * EPS["float32"])
        verdict = judged(
            FinishedProgram({"net2.w": 1.0}, {"net1.w": 10.0, "net2.w": moved}), optimizer=optimizer
        )
        assert (verdict == "pass") == passes, verdict


def test_wrong_gradient_is_told_with_the_worst_tensor() -> None:
    program = FinishedProgram({"net1.w": 1.0, "net2.w": 1.5}, {})
    verdict = gate.judge(program, TRUE, rules(phase="gradient", no_gradient=[]))
    assert verdict["equivalence"].startswith("net2.w: relative difference 0.5")
    assert verdict["gradient_error"] is not None
    assert verdict["gradient_error"]["tensor"] == "net2.w"
    assert verdict["gradient_error"]["relative"] == pytest.approx(0.5)
    assert verdict["gradient_error"]["allowed"] == 1e-5
    assert verdict["gradient_error"]["parameters"] == pytest.approx({"net1.w": 0.0, "net2.w": 0.5})


def test_no_gradient_at_all_passes_only_in_a_step() -> None:
    """Plain gradient descent keeps none: its update is held to the reference instead."""
    moved = {"net1.w": 10.0, "net2.w": 9.0}
    assert judged(FinishedProgram({}, moved)) == "pass"
    assert judged(FinishedProgram({}, moved), phase="gradient") == "no gradient for net2.w"


def test_exact_zero_may_be_rounding_only_where_it_comes_back_from_a_moment() -> None:
    true = TRUE | {"gradient/net2.w": 0 * WEIGHT, "gradient/net2.v": WEIGHT}
    program = FinishedProgram({"net2.w": 1e-7, "net2.v": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})
    changes = {"exact_zero": ["net2.w"], "allowed": 1e-5}
    assert gate.judge(program, true, rules(**changes))["equivalence"] == "pass"
    verdict = gate.judge(program, true, rules(**changes, phase="gradient"))["equivalence"]
    assert verdict.startswith("net2.w: relative difference inf")


# What the timed call returned, and what the reference holds


@pytest.mark.parametrize(
    ("phase", "returned", "problem"),
    [
        ("gradient", ["net1.w", "net2.w"], None),
        ("gradient", ["net2.w"], "the timed call returned no gradient for net1.w"),
        ("gradient", [], "the timed call returned no gradient for net1.w, net2.w"),
        ("backward", ["net1.w", "net2.w", "net3.w"], "a gradient for net3.w, which has none"),
        ("step", ["net1.w", "net2.w", "net3.w"], None),  # its optimizer holds what keeps still
        ("step", ["net1.w"], "the timed call returned no gradient for net2.w"),
    ],
)
def test_timed_call_must_return_what_is_checked(
    phase: str, returned: list[str], problem: str | None
) -> None:
    verdict = gate.unreturned(returned, rules(phase=phase, gradients=["net1.w", "net2.w"]))
    assert verdict == problem or (problem and problem in str(verdict))


def test_wrong_gradient_is_told_before_one_that_was_not_returned() -> None:
    assert gate.first_problem("pass", None) == "pass"
    assert gate.first_problem("pass", "no gradient for w") == "no gradient for w"
    assert gate.first_problem("w: not finite", "no gradient for x") == "w: not finite"


@pytest.mark.parametrize("part", ["gradient", "updated", "start"])
def test_reference_that_lacks_a_parameter_judges_no_cell(part: str) -> None:
    whole = FinishedProgram({"net2.w": 1.0}, {"net1.w": 10.0, "net2.w": 9.0})
    lacking = {name: array for name, array in TRUE.items() if name != f"{part}/net2.w"}
    demanding = rules(gradients=["net2.w"])
    assert gate.judge(whole, TRUE, demanding)["equivalence"] == "pass"
    # a program that lacks the same must not agree with it either
    for program in (whole, FinishedProgram({}, {"net1.w": 10.0})):
        verdict = gate.judge(program, lacking, demanding)
        assert verdict["equivalence"] == f"the float64 reference has no {part} of net2.w"
        assert verdict["gradient_error"] is None


@pytest.mark.parametrize(
    ("dtype", "moved", "passes"),
    [
        ("float32", (9.0, 4.0), True),  # a whole step of noise, which is no step of the reference
        ("float32", (9.5, 5.0), False),  # a wrong step of what has a gradient
        ("float64", (9.0, 5.0), True),
        ("float64", (9.0, 4.0), False),  # in float64 Adam's epsilon hides the noise
    ],
)
def test_update_of_a_zero_gradients_element_is_compared_in_float64_only(
    dtype: str, moved: tuple[float, float], passes: bool
) -> None:
    true: dict[str, Any] = {
        "gradient/net2.w": np.array([3.0, 0.0]),
        "zero/net2.w": np.array([False, True]),
        "start/net2.w": np.array([10.0, 5.0]),
        "updated/net2.w": np.array([9.0, 5.0]),
    }
    program = FinishedProgram({}, {})
    program.updates = lambda: {"net2.w": np.array(moved, dtype)}  # type: ignore[method-assign]
    changes = {"dtype": dtype, "still": [], "no_gradient": [], "optimizer": "adamw"}
    verdict = gate.judge(program, true, rules(**changes))["equivalence"]
    assert (verdict == "pass") == passes, verdict


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("optimizer", "moved", "passes"),
    [
        ("adam", 4.0, True),  # a whole step, as long as that of the other element
        ("adam", 6.9, True),  # beside a reference that makes a whole step to the other side
        ("adam", 7.1, False),
        ("adamw", 1e30, False),
        ("adamw", NAN, False),
        ("adam", INF, False),
        ("sgd", 5.0, True),
        ("sgd", 5.0 - 1.4e-6, True),  # ten roundings of the norm of all updates, and one of itself
        ("sgd", 5.0 - 4e-6, False),
        ("sgd", NAN, False),
    ],
)
@pytest.mark.parametrize("whole", [False, True])
def test_update_of_a_zero_gradients_element_moves_by_a_step_of_noise_at_most(
    optimizer: str, moved: float, passes: bool, whole: bool
) -> None:
    first = {"net2.w": [10.0, 5.0]} if not whole else {"net2.w": [10.0], "net2.b": [5.0]}
    last = {"net2.w": [9.0, 5.0]} if not whole else {"net2.w": [9.0], "net2.b": [5.0]}
    found = {"net2.w": [9.0, moved]} if not whole else {"net2.w": [9.0], "net2.b": [moved]}
    masks = {"zero/net2.b": np.array([True])} if whole else {"zero/net2.w": np.array([False, True])}
    true = {f"start/{n}": np.array(a) for n, a in first.items()}
    true |= {f"updated/{n}": np.array(a) for n, a in last.items()} | masks
    true |= {f"gradient/{n}": np.ones(len(a)) for n, a in first.items()}
    program: Any = FinishedProgram({}, {})
    program.updates = lambda: {n: np.array(a, np.float32) for n, a in found.items()}
    changes = {"still": [], "no_gradient": [], "optimizer": optimizer}
    verdict = gate.judge(program, true, rules(**changes))["equivalence"]
    assert (verdict == "pass") == passes, verdict
    assert passes or f"net2.{'b' if whole else 'w'}: {gate.WILD} is off by " in verdict
    # what a scenario declares is held to the same bound as what is found
    if whole:
        declared = {name: array for name, array in true.items() if not name.startswith("zero/")}
        again = gate.judge(program, declared, rules(**changes, zero_gradient=["net2.b"]))
        assert again["equivalence"] == verdict


def test_gradient_that_is_wrongly_zero_is_caught_whatever_is_zero_beside_it() -> None:
    true = {
        "gradient/net2.w": np.array([3.0, 1e-17, 4.0]),
        "zero/net2.w": np.array([False, True, False]),
    }
    program = FinishedProgram({}, {})
    for gradient, passes in (([3.0, 1e-8, 4.0], True), ([3.0, 0.0, 0.0], False)):
        program.gradients = lambda g=gradient: {"net2.w": np.array(g, np.float32)}  # type: ignore[misc, method-assign]
        changes = {"phase": "gradient", "no_gradient": []}
        verdict = gate.judge(program, true, rules(**changes))["equivalence"]
        assert (verdict == "pass") == passes, verdict
