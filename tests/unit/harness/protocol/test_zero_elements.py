"""Zero gradients by element: found in the references alone, and compared with their network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol import zero_elements
from benchmarks.harness.protocol.equivalence import EPS, compare

NORM = 5.0  # of net1's gradient
NOISE = EPS["float64"] * NORM
WEIGHT = np.array([3.0, 4.0])


def reference(*elements: float) -> dict[str, np.ndarray]:
    """Return net1's gradients: a weight of norm 5, and a bias of these elements."""
    return {"net1.w": WEIGHT, "net1.b": np.array(elements)}


def found(*references: dict[str, np.ndarray], long_sums: bool = False) -> dict[str, list[bool]]:
    masks = zero_elements.find(references, ["net1"], long_sums=long_sums)
    return {name: mask.tolist() for name, mask in masks.items()}


def test_noise_is_found_beside_values_and_exact_zeros_beside_noise() -> None:
    assert found(reference(NOISE, 0.0, 1e-3)) == {"net1.b": [True, True, False]}


def test_bound_is_ten_roundings_of_the_networks_norm_and_wider_behind_long_sums() -> None:
    for times, found_at in ((9.0, (True, True)), (11.0, (False, True)), (1100.0, (False, False))):
        gradient = reference(times * NOISE, 1e-3)
        for long_sums, expected in zip((False, True), found_at, strict=True):
            assert ("net1.b" in found(gradient, long_sums=long_sums)) == expected, times


def test_exact_zeros_alone_are_compared_like_values() -> None:
    """A ReLU that no input activates leaves exact zeros, in float32 as well."""
    assert found(reference(0.0, 1e-3)) == {}
    for wrong, passes in ((0.0, True), (1e-6, False)):
        gradient = {n: a.astype(np.float32) for n, a in reference(wrong, 1e-3).items()}
        problem = judged(gradient, reference(0.0, 1e-3))
        assert (problem is None) == passes, problem


def test_value_in_one_reference_is_no_zero() -> None:
    assert found(reference(NOISE, 1e-3), reference(1e-9, 1e-3)) == {}
    assert found(reference(NOISE, 1e-3), reference(-NOISE, 1e-3)) == {"net1.b": [True, False]}


def test_without_a_reference_nothing_is_zero() -> None:
    """Find none where every framework's part failed: that failure is what must be reported."""
    assert found() == {}


def judged(gradient: dict[str, Any], true: dict[str, np.ndarray]) -> str | None:
    """Return what is said of a float32 gradient, with the mask of the reference."""
    masks = zero_elements.find([true], ["net1"], long_sums=False)
    return compare(
        gradient, true, allowed=1e-5, dtype="float32", networks=["net1"], zero_elements=masks
    ).problem


@pytest.mark.parametrize(
    ("gradient", "problem"),
    [
        ((9 * EPS["float32"] * NORM, 1e-3), None),
        ((11 * EPS["float32"] * NORM, 1e-3), "the true gradient of 1 elements is 0, found 6.6e-06"),
        ((0.0, 1e-3 * (1 + 2e-5)), "net1.b: relative difference 2e-05"),
        ((0.0, 0.0), "net1.b: relative difference 1"),
        ((np.nan, 1e-3), "not finite"),
    ],
)
def test_noise_is_held_to_the_network_and_the_other_elements_to_themselves(
    gradient: tuple[float, float], problem: str | None
) -> None:
    """The tensor's own norm is 1e-3, beside which noise of the network would be far too much."""
    float32 = {n: a.astype(np.float32) for n, a in reference(*gradient).items()}
    said = judged(float32, reference(NOISE, 1e-3))
    assert (said is None) if problem is None else (problem in (said or "")), said


def test_gradient_that_is_wrongly_zero_is_no_zero_of_the_reference() -> None:
    gradient = {"net1.w": np.array([3.0, 0.0], np.float32)}
    assert "relative difference 0.8" in (judged(gradient, {"net1.w": WEIGHT}) or "")


def test_tensor_of_noise_alone_passes_undeclared_and_has_no_relative_error() -> None:
    true = reference(NOISE, -NOISE)
    masks = zero_elements.find([true], ["net1"], long_sums=False)
    assert zero_elements.entirely_zero(masks) == ["net1.b"]
    float32 = {n: a.astype(np.float32) for n, a in reference(3e-7, 1e-7).items()}
    options: dict[str, Any] = {"allowed": 1e-5, "dtype": "float32", "networks": ["net1"]}
    difference = compare(float32, true, **options, zero_elements=masks)
    assert difference.problem is None
    assert set(difference.parameters) == {"net1.w"}


def test_declared_zero_that_is_not_zero_is_said() -> None:
    options: dict[str, Any] = {"networks": ["net1"], "long_sums": False}
    assert zero_elements.wrongly_declared(reference(NOISE), ["net1.b"], **options) is None
    said = zero_elements.wrongly_declared(reference(NOISE, 1e-9), ["net1.b"], **options)
    assert said == (
        "net1.b: zero_gradient declares its true gradient 0, but its float64 gradient has an "
        "element of 1e-09; take it out of zero_gradient"
    )
