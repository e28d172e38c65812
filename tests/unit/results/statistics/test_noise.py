"""Check spreads of A/A comparisons by hand, and the promised detection rates by simulation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from results.statistics import noise, verdict
from results.statistics.moderation import NO_PRIOR, moderated_interval

RNG = np.random.default_rng(20)


def test_spread_of_two_copies_is_the_deviation_of_their_log_ratio() -> None:
    d = np.array([0.01, -0.02, 0.03, 0.0])
    launch = np.array([1.0, 2.0, 3.0, 4.0])  # what a launch does to both is no noise of their ratio
    spread = noise.spread_of_copies([launch, launch + d])
    assert spread.sd == pytest.approx(float(d.std(ddof=1)))
    assert spread.dof == 3
    assert noise.pooled_spread([d]) == pytest.approx(spread)


def test_spread_of_many_copies_is_that_of_any_two() -> None:
    table = 0.02 * RNG.standard_normal((40, 200)) + RNG.standard_normal(200)
    spread = noise.spread_of_copies(table + RNG.standard_normal((40, 1)))
    assert spread.sd == pytest.approx(0.02 * math.sqrt(2), rel=0.03)
    assert spread.dof == 39 * 199


def test_spread_pools_cells_by_their_launches() -> None:
    spread = noise.pooled_spread([[0.0, 2.0], [1.0, 1.0, 1.0], [5.0]])
    assert spread.sd == pytest.approx(math.sqrt(2 / 3))
    assert spread.dof == 3


@pytest.mark.parametrize("bad", [[], [[1.0]], [[1.0], [2.0]]])
def test_too_little_for_a_spread_is_refused(bad: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="none with 2 launches"):
        noise.pooled_spread(bad)
    with pytest.raises(ValueError, match="at least 2"):
        noise.spread_of_copies(bad)


def test_interval_of_a_spread_covers_it() -> None:
    hits = 0
    for _ in range(2000):
        low, high = noise.sd_interval(noise.spread_of_copies(RNG.standard_normal((4, 6))))
        hits += low < math.sqrt(2) < high
    assert 0.93 < hits / 2000 < 0.97


def test_longer_measuring_makes_the_figure_surer_and_not_smaller() -> None:
    """Samples of a launch are independent here: one long stretch is steadier than a short one."""
    samples = np.exp(0.05 * RNG.standard_normal((4, 30, 400)))
    whole, cut = noise.unchanged(samples.tolist()), noise.unchanged(samples.tolist(), 10)
    assert cut.ratio.sd == pytest.approx(whole.ratio.sd * math.sqrt(10), rel=0.15)
    assert cut.within_launch == whole.within_launch == pytest.approx(0.05, rel=0.05)


def test_what_processes_differ_by_is_across_and_not_in_the_ratio() -> None:
    launch = 0.1 * RNG.standard_normal((1, 400, 1))
    samples = np.exp(launch + 0.001 * RNG.standard_normal((4, 400, 20)))
    unchanged = noise.unchanged(samples.tolist())
    assert unchanged.across_processes == pytest.approx(0.1 * math.sqrt(2), rel=0.1)
    assert unchanged.ratio.sd < 0.001


@pytest.mark.parametrize("launches", [6, 10, 16])
def test_half_of_the_intervals_are_narrower_than_promised(launches: int) -> None:
    promised, narrower = noise.half_width(0.03, launches), 0
    for d in 0.03 * RNG.standard_normal((2000, launches)):
        figure: Any = moderated_interval(d, NO_PRIOR)
        narrower += math.log(figure["high"] / figure["low"]) / 2 < promised
    assert 0.46 < narrower / 2000 < 0.54


@pytest.mark.parametrize(("sd", "launches"), [(0.002, 6), (0.01, 6), (0.05, 6), (0.03, 16)])
def test_smallest_change_is_found_as_often_as_promised(sd: float, launches: int) -> None:
    change, detected = noise.smallest_change(sd, launches), 0
    for d in change + sd * RNG.standard_normal((2000, launches)):
        figure: Any = moderated_interval(d, NO_PRIOR)
        detected += figure["low"] > 1 and math.log(figure["estimate"]) > verdict.MARGIN
    assert 0.76 < detected / 2000 < 0.84


def test_no_noise_at_all_still_leaves_the_margin_to_pass() -> None:
    assert noise.half_width(0.0, 6) == 0
    assert noise.smallest_change(0.0, 6) == verdict.MARGIN


def test_margin_is_two_percent_where_most_cells_are_noisy() -> None:
    assert [noise.level(sd) for sd in (0.0, 0.009, 0.015, 0.05)] == [
        "quiet", "quiet", "noisy", "very noisy",
    ]  # fmt: skip
    assert noise.margin([0.001, 0.002, 0.5]) == 0.01
    assert noise.margin([0.001, 0.02, 0.5]) == 0.02
    with pytest.raises(ValueError, match="no spread"):
        noise.margin([])


def test_one_launch_has_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 2"):
        noise.half_width(0.01, 1)
