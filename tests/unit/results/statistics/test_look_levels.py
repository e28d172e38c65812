"""Check the levels of looks against published bounds, whatever looks are taken."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from results.statistics import common_mode, look_levels, verdict
from results.statistics.look_levels import SPENDING

# Two-sided bounds of five equally spaced looks, α = 0.05: Lan & DeMets (1983); Reboussin, DeMets,
# Kim & Lan (2000), "Computations for group sequential boundaries".
PUBLISHED = {
    "obrien_fleming": (4.877, 3.357, 2.680, 2.290, 2.031),
    "pocock": (2.438, 2.427, 2.410, 2.397, 2.386),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_levels_of_normal_statistics_are_the_published_bounds(name: str) -> None:
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(5, 400_000)).cumsum(axis=0)
    z_values = np.abs(steps) / np.sqrt(np.arange(1, 6))[:, None]
    p_values = 2 * scipy.special.ndtr(-z_values)
    allowed = [SPENDING[name](share, 0.05) for share in (0.2, 0.4, 0.6, 0.8, 1.0)]
    levels = look_levels.levels_of(p_values, allowed)
    first = 1 if name == "obrien_fleming" else 0  # 1 in 1,000,000 of these alarms at the first
    bounds = -scipy.special.ndtri(np.array(levels[first:]) / 2)
    assert bounds == pytest.approx(np.array(PUBLISHED[name][first:]), abs=0.03)


@pytest.mark.parametrize("name", SPENDING)
def test_all_of_alpha_is_spent_at_the_end_and_none_before_the_start(name: str) -> None:
    spent = [SPENDING[name](share, 0.01) for share in (0.0, 0.25, 0.5, 1.0)]
    assert spent[0] == 0.0
    assert spent[-1] == pytest.approx(0.01)
    assert spent == sorted(spent)
    assert SPENDING["quadratic"](0.5, 0.04) == pytest.approx(0.01)


def test_what_a_look_may_not_use_yet_is_left_for_later() -> None:
    lowest = np.linspace(0.001, 1.0, 1000)
    none, all_of_it = look_levels.levels_of([lowest, lowest], [0.0, 0.01])
    assert none == 0.0
    assert all_of_it == pytest.approx(0.011)
    early, late = look_levels.levels_of([lowest, lowest], [0.005, 0.01])
    assert (lowest < early).sum() == 5
    assert (lowest < late).sum() == 10
    with pytest.raises(ValueError, match="2 looks, and"):
        look_levels.levels_of([lowest, lowest], [0.01])
    with pytest.raises(ValueError, match="none smaller"):
        look_levels.levels_of([lowest, lowest], [0.01, 0.005])


@pytest.mark.parametrize("looks", [(10, 13, 17, 22), (10, 22), (12, 14, 15, 16, 18)])
def test_unchanged_sessions_alarm_as_often_as_they_may_whatever_looks_were_taken(
    looks: tuple[int, ...],
) -> None:
    """Check the levels on sessions from another distribution than they were computed from."""
    groups, rng = (0,) * 6, np.random.default_rng(12)
    shares = tuple(count / looks[-1] for count in looks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look_levels, "DRAWN_CELLS", 160_000)
        look_levels.spent_levels.cache_clear()
        levels = look_levels.spent_levels(groups, looks, shares, 0.05).difference
        look_levels.spent_levels.cache_clear()
    spreads = np.exp(rng.uniform(-0.7, 0.7, (3000, 6, 1)))
    d = rng.normal(0, 0.05, (3000, 6, looks[-1])) * spreads
    alarms = np.zeros(3000, bool)
    for count, level in zip(looks, levels, strict=True):
        rows = common_mode.estimate(d[..., :count], groups)
        alarms |= verdict.holm(verdict.difference_ps(rows)).min(axis=-1) < level
    assert 0.035 < alarms.mean() < 0.065  # α = 0.05
    assert 0 < levels[0] < levels[-1]  # most of α is left for the end


def test_a_longer_session_begins_as_a_shorter_one() -> None:
    """The sessions of all looks are the same ones, or the looks would not belong together."""
    short, long = (
        look_levels._unchanged(np.random.default_rng(3), 4, (0, 0, 1), pairs) for pairs in (5, 9)
    )
    assert (long[..., :5] == short).all()


@pytest.mark.parametrize("load", [0.0, 1.0, 5.0])
def test_three_cells_under_a_load_alarm_no_more_than_they_may(load: float) -> None:
    """A load moves all cells of a pair alike, by up to five times the noise of one."""
    groups, rng, looks = (0,) * 3, np.random.default_rng(15), (10, 16, 24)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(look_levels, "DRAWN_CELLS", 160_000)
        look_levels.per_look_level.cache_clear()
        level = look_levels.per_look_level(groups, looks, 0.05)
        look_levels.per_look_level.cache_clear()
    d = rng.normal(0, 0.01, (3000, 3, 24)) + rng.normal(0, 0.01 * load, (3000, 1, 24))
    alarms = np.zeros(3000, bool)
    for count in looks:
        rows = common_mode.estimate(d[..., :count], groups)
        alarms |= verdict.holm(verdict.difference_ps(rows)).min(axis=-1) < level
    assert 0.01 < alarms.mean() < 0.055  # α = 0.05
