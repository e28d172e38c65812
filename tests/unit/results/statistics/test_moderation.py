"""Locations, priors and moderated ratios: answers by hand, SciPy's, and simulated truth."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import scipy.special
import scipy.stats

from results.statistics import moderation
from results.statistics.moderation import (
    NO_PRIOR,
    Prior,
    fit_prior,
    location,
    moderate,
    moderated_interval,
    trigamma_inverse,
)

CELLS = 8

# The location


def test_nine_launches_are_averaged() -> None:
    d = [0, 0, 0, 0, 0, 0, 0, 0, 9]
    assert location(d) == pytest.approx((1.0, 9.0, 8.0))  # (8·1 + 64) / 8


def test_ten_launches_are_trimmed_and_their_squares_winsorized() -> None:
    d = [-1000, -90, 1, 2, 3, 4, 5, 6, 70, 8000]
    # Six are left, mean 3.5; winsorized 1 1 1 2 3 4 5 6 6 6, squares 42.5 about 3.5.
    assert location(d) == pytest.approx((3.5, 42.5 / (6 * 5) * 10, 5.0))


def test_the_trimmed_mean_is_that_of_scipy() -> None:
    d = np.random.default_rng(2).standard_t(2, 17)
    assert location(d).estimate == pytest.approx(scipy.stats.trim_mean(d, 0.2))


def test_no_launches_have_no_location() -> None:
    with pytest.raises(ValueError, match="at least one launch"):
        location([])


# The moderated t


def test_the_inverse_of_trigamma_undoes_it() -> None:
    for y in np.logspace(-5, 8, 60):
        assert trigamma_inverse(float(scipy.special.polygamma(1, y))) == pytest.approx(y, rel=1e-5)


def draws(rng: np.random.Generator, dof: Any, d0: float, s0: float) -> Any:
    """Estimated variances of cells whose true ones are scaled inverse chi-squared: [cells]."""
    return d0 * s0**2 / rng.chisquare(d0, len(dof)) * rng.chisquare(dof) / dof


@pytest.mark.parametrize("d0", [3.0, 8.0, 20.0])
def test_the_prior_is_found_again(d0: float) -> None:
    rng, dof = np.random.default_rng(3), np.full(4000, 5)
    priors = [fit_prior(draws(rng, dof, d0, 0.02), dof) for _ in range(20)]
    assert np.median([prior.dof for prior in priors]) == pytest.approx(d0, rel=0.15)
    assert np.median([prior.variance for prior in priors]) == pytest.approx(4e-4, rel=0.03)


def test_the_prior_of_three_cells_is_that_of_the_two_moments() -> None:
    """By hand: log s² are 0, log 4 and 2 log 4; their variance over n - 1 is (log 4)²."""
    prior = fit_prior([1.0, 4.0, 16.0], [5, 5, 5])
    half = prior.dof / 2
    excess = math.log(4) ** 2 - scipy.special.polygamma(1, 2.5)
    assert scipy.special.polygamma(1, half) == pytest.approx(excess)
    mean = math.log(4) - scipy.special.digamma(2.5) + math.log(2.5)
    shift = scipy.special.digamma(half) - math.log(half)
    assert prior.variance == pytest.approx(math.exp(mean + shift))
    assert prior.pooled_dof == 15


def test_the_prior_is_found_again_from_cells_of_unequal_launches() -> None:
    rng = np.random.default_rng(4)
    dof = np.tile([5, 11], 2000)
    prior = fit_prior(draws(rng, dof, 6.0, 0.5), dof)
    assert prior.dof == pytest.approx(6, rel=0.15)
    assert prior.variance == pytest.approx(0.25, rel=0.05)


def test_cells_that_share_one_variance_have_infinitely_many_prior_degrees() -> None:
    prior = fit_prior([2.0, 2.0, 2.0, 2.0], [5, 5, 5, 5])
    # log s² lies log(dof/2) - digamma(dof/2) under log σ² on average, and is moved up by it.
    variance = 2 * math.exp(math.log(2.5) - scipy.special.digamma(2.5))
    assert prior == pytest.approx((variance, math.inf, 20.0))


def test_fewer_than_three_cells_have_no_prior() -> None:
    assert fit_prior([1.0, 2.0], [5, 5]).dof == 0
    assert fit_prior([1.0, 2.0, math.nan], [5, 5, 5]).dof == 0
    assert fit_prior([1.0, 2.0, 3.0], [5, 5, 0]).dof == 0  # one launch: no spread
    assert fit_prior([1.0, 2.0, 3.0], [5, 5, 5]).dof > 0


def test_a_zero_variance_is_raised_to_a_little_and_all_zero_is_no_prior() -> None:
    some = fit_prior([0.0, 1.0, 2.0, 3.0], [5] * 4)
    assert some == fit_prior([1.5e-5, 1.0, 2.0, 3.0], [5] * 4)
    assert 0 < some.dof < 2  # such a spread is worth less than one more launch
    assert fit_prior([0.0, 0.0, 0.0, 1.0], [5] * 4).dof == 0


def test_the_moderated_variance_is_weighted_by_degrees_of_freedom() -> None:
    d = [0, 0, 0, 0, 0, 6]  # mean 1, variance 6 on 5 degrees
    centre, error, dof = moderate(d, Prior(variance=2.0, dof=15.0))
    assert (centre, dof) == (1.0, 20.0)
    assert error == pytest.approx(math.sqrt((15 * 2 + 5 * 6) / 20 / 6))


def test_without_a_prior_the_interval_is_that_of_the_ordinary_t() -> None:
    d = np.random.default_rng(5).normal(0.1, 0.02, 7)
    figure: Any = moderated_interval(d, NO_PRIOR)
    test = scipy.stats.ttest_1samp(d, 0).confidence_interval(0.95)
    expected = np.exp([d.mean(), test.low, test.high])
    np.testing.assert_allclose([figure[key] for key in ("estimate", "low", "high")], expected)
    assert (figure["confidence"], figure["launches"]) == (0.95, 7)


def test_with_infinite_degrees_the_interval_is_normal() -> None:
    figure = moderated_interval([0.0] * 3 + [2.0] * 3, Prior(variance=6.0, dof=math.inf))
    assert figure["high"] == pytest.approx(math.exp(1 + 1.959964), rel=1e-6)


def test_no_interval_claims_more_degrees_than_the_cells_have_together() -> None:
    prior = fit_prior([2.0, 2.0, 2.0], [5, 5, 5])
    assert prior.dof == math.inf
    assert moderate([0.0] * 3 + [2.0] * 3, prior).dof == 15


def test_five_launches_give_an_estimate_and_no_interval() -> None:
    figure = moderated_interval([math.log(2)] * 5, Prior(1.0, 4.0))
    assert figure["estimate"] == pytest.approx(2)
    assert figure["low"] is None
    assert figure["high"] is None
    assert figure["launches"] == 5


def simulate(launches: int, d0: float, cells: int = 40, sessions: int = 75) -> dict[str, Any]:
    """Coverage and mean width of the intervals, moderated and not, over many sessions in
    which the cells' true variances come from one distribution and the true ratio is 1.5."""
    rng = np.random.default_rng([launches, int(min(d0, 99))])
    truth = math.log(1.5)
    figures: list[Any] = []
    plain: list[Any] = []
    for _ in range(sessions):
        spread = 0.03 * np.sqrt(d0 / rng.chisquare(d0, cells)) if d0 < math.inf else 0.03
        d = truth + rng.standard_normal((launches, cells)) * spread
        located = [location(column) for column in d.T]
        prior = fit_prior([at.variance for at in located], [at.dof for at in located])
        figures += [moderated_interval(column, prior) for column in d.T]
        plain += [moderated_interval(column, NO_PRIOR) for column in d.T]
    return {
        "trials": len(figures),
        "coverage": np.mean([figure["low"] <= 1.5 <= figure["high"] for figure in figures]),
        "width": np.mean([figure["high"] - figure["low"] for figure in figures]),
        "plain width": np.mean([figure["high"] - figure["low"] for figure in plain]),
    }


@pytest.mark.parametrize("d0", [4.0, math.inf])
@pytest.mark.parametrize("launches", [6, 12])
def test_nominal_95_percent_intervals_cover_and_are_narrower_than_without_a_prior(
    launches: int, d0: float
) -> None:
    simulated = simulate(launches, d0)
    assert simulated["trials"] >= 2000
    assert 0.93 <= simulated["coverage"] <= 0.97
    assert simulated["width"] < 0.95 * simulated["plain width"]


# Many sessions at once


@pytest.mark.parametrize("launches", [2, 6, 10, 24])
@pytest.mark.parametrize("unlike", [0.0, 1.0], ids=["one spread", "spreads of their own"])
def test_many_sessions_are_moderated_as_each_alone(launches: int, unlike: float) -> None:
    rng = np.random.default_rng(1)
    d = rng.normal(0.01, 0.02, (5, CELLS, launches))
    d *= np.exp(rng.normal(0, unlike, (5, CELLS, 1)))
    rows = moderation.moderate_sessions(d)
    for i, session in enumerate(d):
        prior = fit_prior(*zip(*[location(row)[1:] for row in session], strict=True))
        for j, row in enumerate(session):
            one = moderate(row, prior)
            from_arrays = [float(part[i, j]) for part in rows]
            assert from_arrays == pytest.approx(list(one), rel=1e-9)


def test_sessions_without_a_prior_have_the_ordinary_t() -> None:
    rng = np.random.default_rng(2)
    for d in (rng.normal(0, 1, (2, 8)), np.vstack([np.zeros((6, 8)), rng.normal(0, 1, (2, 8))])):
        rows = moderation.moderate_sessions(d)  # two cells only; a median variance of 0
        for j, row in enumerate(d):
            one = [float(part[j]) for part in rows]
            assert one == pytest.approx(list(moderate(row, NO_PRIOR)))
            assert one == pytest.approx([row.mean(), scipy.stats.sem(row), 7.0])


def test_every_session_has_a_prior_of_its_own() -> None:
    """By hand as above, for three sessions at once: shared variance, own variances, no prior."""
    variances = [[2.0, 2.0, 2.0], [1.0, 4.0, 16.0], [0.0, 0.0, 3.0]]
    priors = moderation.fit_priors(variances, 5.0)
    for i, session in enumerate(variances):
        one = fit_prior(session, [5, 5, 5])
        assert [float(part[i]) for part in priors] == pytest.approx(list(one), nan_ok=True)
    assert priors.dof[0] == math.inf
    assert priors.dof[2] == 0


def test_all_inverses_of_trigamma_undo_it() -> None:
    x = np.logspace(-9, 9, 40)
    y = moderation.trigamma_inverses(x)
    assert scipy.special.polygamma(1, y) == pytest.approx(x, rel=1e-5)
    assert y == pytest.approx([trigamma_inverse(v) for v in x])
