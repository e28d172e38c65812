"""Gradients against central differences: losses that are smooth, coarse, cut, or nearly flat."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

START = np.linspace(0.5, 1.5, 400)


@pytest.fixture(params=["torch", "jax"])
def slopes(request: pytest.FixtureRequest) -> Any:
    pytest.importorskip(request.param)
    return importlib.import_module(f"impl_{request.param}.case_slopes")


def smooth(x: np.ndarray) -> float:
    return float(np.mean(np.sin(x) ** 2 + x))


def in_float32(x: np.ndarray) -> float:
    return float(np.mean((np.sin(x) ** 2 + x).astype(np.float32), dtype=np.float32))


def gradient(x: np.ndarray) -> np.ndarray:
    return (np.sin(2 * x) + 1) / x.size


def line(slopes: Any, loss: Callable[[np.ndarray], float], direction: np.ndarray) -> Any:
    return slopes.Line(lambda t: {"loss": loss(START + t * direction)}, 1e-6 * 20)


def random_direction() -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal(START.size)
    return drawn / np.linalg.norm(drawn)


def uphill() -> np.ndarray:
    return np.abs(random_direction())


def along(slopes: Any, loss: Callable[[np.ndarray], float], factor: float = 1.0) -> Any:
    """Return the slope along a random direction by a gradient that is ``factor`` times the true."""
    g, d = factor * gradient(START), random_direction()
    usual = float(np.linalg.norm(g)) / START.size**0.5
    return line(slopes, loss, d).slope("loss", float(g @ d), max(abs(float(g @ d)), usual))


def test_a_right_gradient_is_confirmed_and_a_wrong_one_is_not(slopes: Any) -> None:
    assert along(slopes, smooth).error < 1e-6
    wrong = along(slopes, smooth, 1.01)
    assert wrong.error > slopes.AGREES
    assert wrong.noise is None


def test_what_is_computed_in_float32_is_hidden_along_a_random_direction(slopes: Any) -> None:
    found = along(slopes, in_float32)
    assert found.error > slopes.AGREES
    assert found.noise is not None
    assert 1e-9 < found.noise < 1e-6


def test_what_is_computed_in_float32_is_confirmed_uphill_and_a_wrong_gradient_is_not(
    slopes: Any,
) -> None:
    noise, expected = along(slopes, in_float32).noise, float(gradient(START) @ uphill())
    right = line(slopes, in_float32, uphill()).coarse_slope("loss", expected, noise)
    assert right.error <= slopes.AGREES
    assert right.noise is None
    assert right.coarse is not None
    wrong = line(slopes, in_float32, uphill()).coarse_slope("loss", 1.01 * expected, noise)
    assert wrong.error == pytest.approx(0.01, rel=0.2)
    assert wrong.noise is None


def test_a_loss_in_steps_is_not_taken_for_one_of_float32(slopes: Any) -> None:
    def rounded(x: np.ndarray) -> float:
        return float(np.mean(np.round(8 * x) / 8))

    d = random_direction()
    usual = 1 / START.size
    found = line(slopes, rounded, d).slope("loss", float(d.mean()), usual)
    assert found.error > slopes.AGREES
    assert found.noise is None


def test_a_gradient_as_small_as_rounding_says_that_it_is_hidden(slopes: Any) -> None:
    flat = line(slopes, lambda x: 1.0 + 1e-16 * float(x.sum()), uphill())
    found = flat.slope("loss", 3e-15, 3e-15)
    assert found.noise is not None
    assert flat.coarse_slope("loss", 3e-15, found.noise).noise is not None


def test_no_gradient_is_right_where_the_loss_does_not_move_and_a_cut_where_it_does(
    slopes: Any,
) -> None:
    assert line(slopes, lambda x: 3.0, uphill()).slope("loss", 0.0, 0.0).error == 0.0
    assert line(slopes, smooth, uphill()).slope("loss", 0.0, 0.0).error == float("inf")


def test_the_worst_direction_counts_wrong_before_hidden_before_right(slopes: Any) -> None:
    right, hidden = slopes.Slope(1e-4), slopes.Slope(0.5, 1e-7)
    wrong = slopes.Slope(0.01)
    assert max([right, hidden, wrong], key=slopes._doubt) is wrong
    assert max([right, hidden], key=slopes._doubt) is hidden
