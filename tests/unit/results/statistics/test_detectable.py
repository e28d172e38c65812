"""Check what launch pairs can find against figures known otherwise."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.stats

from results.statistics import detectable
from results.statistics.detectable import LastTest, Noise

EXACT = np.full(5, 1e6)  # degrees of freedom of a spread that is known


def test_with_known_noise_it_is_the_power_of_a_normal_test() -> None:
    noise, test = Noise(np.full(5, 0.05), EXACT, 10), LastTest(1e-9, 0.01, 1)
    error = 0.05 / math.sqrt(30)
    needed = (scipy.stats.norm.ppf(0.995) + scipy.stats.norm.ppf(0.8)) * error
    found = detectable.detectable(noise, test, 30)
    assert found.slowdown == pytest.approx(math.expm1(needed), rel=1e-3)
    assert detectable.chance(found.slowdown, noise, test, 30) == pytest.approx(0.8, abs=1e-6)
    assert detectable.pairs_needed(found.slowdown * 1.0001, noise, test) == 30


def test_nothing_within_the_margin_is_ever_found() -> None:
    noise, test = Noise(np.full(5, 0.001), EXACT, 10), LastTest(math.log1p(0.02), 0.01, 24)
    assert 0.02 < detectable.detectable(noise, test, 30).slowdown < 0.0205
    assert detectable.pairs_needed(0.02, noise, test) == math.inf
    assert detectable.pairs_needed(0.03, noise, test) < 10


def test_less_is_found_with_fewer_pairs_more_noise_and_more_rows() -> None:
    def found(spread: float, rows: int, pairs: int) -> float:
        noise = Noise(np.full(5, spread), np.full(5, 10.0), 10)
        return detectable.detectable(noise, LastTest(math.log1p(0.02), 0.005, rows), pairs).slowdown

    assert found(0.03, 24, 30) < found(0.03, 24, 20) < found(0.05, 24, 20)
    assert found(0.03, 12, 30) < found(0.03, 48, 30)


def test_a_spread_from_few_pairs_makes_the_range_wider() -> None:
    test = LastTest(1e-9, 0.005, 24)
    few, many = (
        detectable.detectable(Noise(np.full(5, 0.05), np.full(5, dof), 10), test, 30)
        for dof in (5.0, 50.0)
    )
    assert few.low < many.low < many.slowdown < many.high < few.high
    # with all cells alike, 80 % of spreads estimated on 50 degrees of freedom are off by no more
    factor = math.sqrt(50 / scipy.stats.chi2.ppf(0.1, 50))
    assert math.log1p(many.high) < math.log1p(many.slowdown) * factor * 1.01


def test_a_cell_too_noisy_for_any_slowdown_has_none() -> None:
    noise, test = Noise(np.full(2, 40.0), np.full(2, 3.0), 10), LastTest(0.02, 0.001, 24)
    assert detectable.detectable(noise, test, 12).slowdown == math.inf
    assert detectable.pairs_needed(0.021, noise, test) == math.inf


def test_noise_comes_from_standard_errors() -> None:
    noise = detectable.noise_of([0.01, 0.02], [9.0, 12.0], [16, 25])
    assert noise.spreads == pytest.approx([0.04, 0.1])
    assert noise.pairs == 25
