"""Simulate launch pairs of two versions with a known change, and check the verdicts on them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from results.statistics import common_mode, launch_pairs, look_levels, verdict

CELLS = 8
ONE_METRIC = launch_pairs.Design((0,) * CELLS)


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Compute the level from fewer sessions than a user's, so that the tests stay quick."""
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 64_000)
    look_levels.per_look_level.cache_clear()
    yield
    look_levels.per_look_level.cache_clear()


def sessions(
    rng: np.random.Generator, count: int, spread: float = 0.01, pairs: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Return d and control of unchanged sessions, [sessions, cells, pairs], sharing their base."""
    base, head, control = rng.normal(0, spread / math.sqrt(2), (3, count, CELLS, pairs))
    return head - base, control - base


# The session


def test_pair_ratio_is_that_of_the_quantiles() -> None:
    base, head = [[1.0, 2.0, 3.0, 4.0, 5.0], [4.0]], [[2.0, 4.0, 6.0, 8.0, 10.0], [1.0]]
    assert launch_pairs.pair_ratios(base, head) == pytest.approx([math.log(2), -math.log(4)])
    assert launch_pairs.pair_ratios([[1.0, 9.0]], [[2.0, 9.0]], 0) == pytest.approx([math.log(2)])


@pytest.mark.parametrize("bad", [[], [0.0], [math.nan], [-1.0]])
def test_pair_without_proper_times_is_named(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"cell 1 of this launch pair .* measure the pair"):
        launch_pairs.pair_ratios([[1.0], [1.0]], [[1.0], bad])
    with pytest.raises(ValueError, match="base has 2 cells and head 1"):
        launch_pairs.pair_ratios([[1.0], [1.0]], [[1.0]])


def test_common_mode_is_taken_out_and_kept() -> None:
    d = np.array([[0.11, 0.21], [0.10, 0.20], [0.09, 0.19], [0.5, 0.6]])
    own, common = common_mode.take_out_common(d, (0, 0, 0, 1))
    assert common == pytest.approx(np.array([[0.10, 0.20], [0.5, 0.6]]))
    # the median of the others is 0.09, 0.09 and 0.10, of two the one nearer to no change
    assert own[:3] == pytest.approx(np.array([[0.02, 0.02], [0.01, 0.01], [-0.01, -0.01]]))
    assert own[3] == pytest.approx(d[3])  # alone in its group: nothing to share


def test_one_slowed_cell_is_found_and_the_others_are_equal() -> None:
    d, control = sessions(np.random.default_rng(4), 50)
    d[:, 2] += math.log(1.05)
    verdicts = launch_pairs.decide(d, control, ONE_METRIC).verdicts
    assert np.mean(verdicts[:, 2] == "slower") > 0.95
    assert np.mean(np.delete(verdicts, 2, axis=1) == "equal") > 0.95


def test_slowdown_of_everything_is_the_common_mode_and_no_cell() -> None:
    d, control = sessions(np.random.default_rng(5), 50)
    verdicts = launch_pairs.decide(d + math.log(1.05), control, ONE_METRIC).verdicts
    assert (verdicts[:, -1] == "slower").all()
    assert not (verdicts[:, :-1] == "slower").any()


def test_shifting_load_hides_no_cell() -> None:
    """A load that doubles all times of one side in half of the pairs, at random."""
    rng = np.random.default_rng(6)
    d, control = sessions(rng, 50)
    shift = rng.choice([0.0, 0.7, -0.7], (50, 1, 24))
    d[:, 0] -= math.log(1.05)
    assert (
        np.mean(launch_pairs.decide(d + shift, control, ONE_METRIC).verdicts[:, 0] == "faster")
        > 0.95
    )


def test_control_outside_the_margin_makes_its_group_inconclusive() -> None:
    d, control = sessions(np.random.default_rng(7), 20, spread=0.004)
    d[:, 1] += 0.3
    design = launch_pairs.Design((0,) * 4 + (1,) * 4)
    control[:, 6] += 0.1
    session = launch_pairs.decide(d, control, design)
    assert (session.verdicts[:, [4, 5, 6, 7, 9]] == "inconclusive").all()
    assert (session.verdicts[:, 1] == "slower").all()
    assert session.control_passed.tolist() == [[True] * 4 + [False] * 4 + [True, False]] * 20
    assert (session.pairs == 24).all()


def test_control_by_row_leaves_the_other_rows_alone() -> None:
    d, control = sessions(np.random.default_rng(7), 20, spread=0.004)
    d[:, 1] += 0.3
    design = launch_pairs.Design((0,) * CELLS, control="row")
    control[:, 6] += 0.1
    session = launch_pairs.decide(d, control, design)
    assert (session.verdicts[:, 6] == "inconclusive").all()
    assert (session.verdicts[:, [0, 7]] == "equal").all()
    assert (session.verdicts[:, 1] == "slower").all()
    moved = launch_pairs.decide(d, control + 0.1, design)  # base again is slower as a whole
    assert (moved.verdicts == "inconclusive").all()


def test_session_ends_when_every_row_is_decided() -> None:
    d, control = sessions(np.random.default_rng(8), 40, spread=0.003)
    assert (launch_pairs.decide(d, control, ONE_METRIC).pairs == 10).all()
    noisy, control = sessions(np.random.default_rng(8), 40, spread=0.02)
    assert (launch_pairs.decide(noisy, control, ONE_METRIC).pairs > 10).all()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("later", "stays"),
    [
        (0.05, True),  # too noisy for a verdict of its own, and the mean is beyond the margin
        (-0.13, False),  # … within the margin
        (-0.3, False),  # … beyond it, but the other way
    ],
)
def test_what_one_look_found_stays_unless_more_pairs_take_it_back(
    later: float, stays: bool, sign: int
) -> None:
    d, control = sessions(np.random.default_rng(9), 10, spread=0.004)
    d[:, 0, :10] += sign * 0.1
    d[:, 0, 10:] += sign * later + 0.3 * np.resize([1, -1], 14)
    d[:, 1, ::2] += 0.1  # never decided: the session goes on to the last look
    first = launch_pairs.decide(d, control, ONE_METRIC, looks=(10,))
    session = launch_pairs.decide(d, control, ONE_METRIC)
    early = "slower" if sign > 0 else "faster"
    assert (session.pairs == 24).all()
    assert (first.verdicts[:, 0] == early).all()
    assert (session.verdicts[:, 0] == (early if stays else "inconclusive")).all()
    beyond = sign * session.rows.log_ratio[:, 0] > ONE_METRIC.bound
    assert (beyond == stays).all()


def test_finding_whose_control_breaks_later_is_taken_back() -> None:
    d, control = sessions(np.random.default_rng(9), 10, spread=0.004)
    d[:, 0] += 0.1
    d[:, 1, ::2] += 0.1  # never decided: the session goes on to the last look
    design = launch_pairs.Design((0,) * CELLS, control="row")
    assert (launch_pairs.decide(d, control, design).verdicts[:, 0] == "slower").all()
    control[:, 0, 10:] += 0.2
    assert (launch_pairs.decide(d, control, design, looks=(10,)).verdicts[:, 0] == "slower").all()
    assert (launch_pairs.decide(d, control, design).verdicts[:, 0] == "inconclusive").all()


def test_change_inside_the_margin_is_no_finding() -> None:
    d, control = sessions(np.random.default_rng(10), 50, spread=0.002)
    d[:, 0] += math.log(1.015)
    assert (launch_pairs.decide(d, control, ONE_METRIC).verdicts[:, 0] != "slower").all()


def test_one_session_is_decided_as_many_are() -> None:
    d, control = sessions(np.random.default_rng(11), 3)
    many = launch_pairs.decide(d, control, ONE_METRIC)
    for i in range(3):
        one = launch_pairs.decide(d[i], control[i], ONE_METRIC)
        assert one.verdicts.tolist() == many.verdicts[i].tolist()
        assert one.pairs == many.pairs[i]


def test_all_looks_together_alarm_as_often_as_they_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check the level on sessions from another distribution than it was computed from."""
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 160_000)
    rng = np.random.default_rng(12)
    groups = (0,) * 6
    level = look_levels.per_look_level(groups, launch_pairs.LOOKS, 0.05)
    spreads = np.exp(rng.uniform(-0.7, 0.7, (4000, 6, 1)))
    d = rng.normal(0, 0.05, (4000, 6, 24)) * spreads
    alarms = np.zeros(4000, bool)
    for count in launch_pairs.LOOKS:
        rows = common_mode.estimate(d[..., :count], groups)
        alarms |= verdict.holm(verdict.difference_ps(rows)).min(axis=-1) < level
    assert 0.038 < alarms.mean() < 0.062  # α = 0.05; both ends, or the test is not tested
    assert level < 0.05 / 2  # three looks at 5 % each would alarm in far more


def test_unchanged_sessions_alarm_as_often_as_they_may_without_a_margin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look_levels, "DRAWN_CELLS", 160_000)
    rng = np.random.default_rng(14)
    spreads = np.exp(rng.normal(0, 0.4, (3000, CELLS, 1)))
    d = sessions(rng, 3000)[0] * spreads + rng.normal(0, 0.05, (3000, 1, 24))
    design = launch_pairs.Design((0,) * CELLS, margin=1e-12, alpha=0.05)
    verdicts = launch_pairs.decide(d, np.zeros_like(d), design).verdicts
    alarms = np.isin(verdicts, ("slower", "faster")).any(axis=-1).mean()
    assert 0.035 < alarms < 0.065  # α = 0.05


@pytest.mark.parametrize(
    "wrong",
    [
        {"groups": (0, 2)},
        {"groups": ()},
        {"looks": (16, 10)},
        {"looks": (1,)},
        {"margin": 0.0},
        {"alpha": 1.0},
        {"control": "none"},
    ],
)
def test_impossible_designs_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        launch_pairs.Design(**{"groups": (0,), **wrong})


def test_too_few_pairs_are_refused() -> None:
    d, control = sessions(np.random.default_rng(13), 1, pairs=9)
    with pytest.raises(ValueError, match="9 launch pairs; the first look takes 10"):
        launch_pairs.decide(d, control, ONE_METRIC)
    with pytest.raises(ValueError, match=r"\[\.\.\., 8 cells, pairs\]"):
        launch_pairs.decide(d, control[..., :4], ONE_METRIC)
