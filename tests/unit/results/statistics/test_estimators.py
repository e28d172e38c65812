"""Times and ratios from samples: against answers by hand, and against simulated truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from results.statistics.estimators import log_ratios, lower_quartiles, time_estimate

# Quartiles and times


def test_the_lower_quartile_is_taken_launch_by_launch() -> None:
    np.testing.assert_allclose(lower_quartiles([[4, 1, 3, 2, 5], [1, 2], [7]]), [2, 1.25, 7])


@pytest.mark.parametrize("bad", [[], [1.0, 0.0], [1.0, math.nan], [math.inf], [[1.0, 2.0]]])
def test_a_launch_without_proper_times_is_named(bad: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"launch 1 holds .* above 0 s; measure"):
        lower_quartiles([[1.0], bad])


def test_the_time_is_the_median_over_launches() -> None:
    figure = time_estimate([[9.0], [2.0], [1.0], [5.0]])
    assert figure == {
        "estimate": 3.5, "low": None, "high": None, "confidence": 0.95, "launches": 4,
    }  # fmt: skip


# Ranks from the table of binomial intervals for the median (David & Nagaraja 2003).
@pytest.mark.parametrize(
    ("count", "low", "high"), [(6, 1, 6), (8, 1, 8), (9, 2, 8), (12, 3, 10), (20, 6, 15)]
)
def test_the_interval_of_the_time_runs_between_order_statistics(
    count: int, low: int, high: int
) -> None:
    launches = [[float(value)] for value in np.random.default_rng(0).permutation(count) + 1]
    figure = time_estimate(launches)
    assert (figure["low"], figure["high"]) == (low, high)


@pytest.mark.parametrize(("count", "confidence"), [(5, 0.5), (6, 0.99)])
def test_too_few_launches_give_no_interval_of_the_time(count: int, confidence: float) -> None:
    figure = time_estimate([[float(value)] for value in range(1, count + 1)], confidence)
    assert figure["low"] is None
    assert figure["high"] is None


def test_the_interval_of_the_time_covers_the_median_of_a_skewed_distribution() -> None:
    rng = np.random.default_rng(1)
    figures: list[Any] = [time_estimate(list(rng.lognormal(0, 1, (6, 1)))) for _ in range(2000)]
    covered = np.mean([figure["low"] <= 1 <= figure["high"] for figure in figures])
    assert 0.955 <= covered <= 0.98  # 96.9 % in theory, standard deviation 0.4 %


def test_the_interval_of_the_time_is_over_launches_and_not_over_rounds() -> None:
    launches = [[float(value), *[1e3 * value] * 3] for value in range(1, 7)]
    figure = time_estimate([sorted(launch) for launch in launches])
    quartiles = [value + 0.75 * 999 * value for value in range(1, 7)]  # 3/4 of the first step
    assert (figure["low"], figure["high"]) == pytest.approx((quartiles[0], quartiles[-1]))
    assert figure["estimate"] == pytest.approx(np.median(quartiles))
    assert figure["launches"] == 6


# Ratios


def test_launches_are_paired_as_measured_and_not_by_their_size() -> None:
    """The second launch was slow for both: sorted, or against the mean, its ratio would change."""
    d = log_ratios([[3.0], [10.0], [1.0]], [[9.0], [20.0], [1.0]])
    np.testing.assert_allclose(d, np.log([3, 2, 1]))


def test_rounds_of_a_launch_give_one_ratio() -> None:
    d = log_ratios([[1.0, 2.0, 3.0, 4.0, 5.0]] * 2, [[2.0, 4.0, 6.0, 8.0, 10.0]] * 2)
    np.testing.assert_allclose(d, [math.log(2)] * 2)


def test_a_log_ratio_is_paired_by_launch() -> None:
    d = log_ratios([[1.0], [10.0]], [[2.0], [30.0]])
    np.testing.assert_allclose(d, [math.log(2), math.log(3)])


def test_different_numbers_of_launches_are_not_paired() -> None:
    with pytest.raises(ValueError, match="baseline has 2 launches and the cell 1;"):
        log_ratios([[1.0], [1.0]], [[1.0]])
