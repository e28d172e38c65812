"""Check what is taken out of each cell as common, also where cells were measured no more."""

from __future__ import annotations

import numpy as np
import pytest

from results.statistics import common_mode, moderation, verdict


@pytest.mark.parametrize("noise", [0.01, 0.06])
def test_a_slower_cell_keeps_all_of_its_change(noise: float) -> None:
    """A median of all five, itself among them, would lose a quarter of a change of 1 SE."""
    d = np.random.default_rng(1).normal(0, noise, (4000, 5, 40))
    d[:, 2] += 0.01
    own, _ = common_mode.take_out_common(d, (0,) * 5)
    assert own[:, 2].mean() == pytest.approx(0.01, abs=0.0008)
    assert own[:, [0, 1, 3, 4]].mean() == pytest.approx(0.0, abs=0.002)


def test_change_of_all_is_common_and_of_no_cell() -> None:
    d = np.random.default_rng(2).normal(0.05, 0.001, (50, 5, 40))
    own, common = common_mode.take_out_common(d, (0,) * 5)
    assert common.mean() == pytest.approx(0.05, abs=0.001)
    assert np.abs(own.mean(axis=(0, 2))).max() < 0.001


@pytest.mark.parametrize("cells", [4, 5])
def test_half_of_the_cells_slower_makes_the_others_no_faster(cells: int) -> None:
    d = np.random.default_rng(3).normal(0, 0.001, (50, cells, 40))
    d[:, :2] += 0.05
    own, _ = common_mode.take_out_common(d, (0,) * cells)
    assert own[:, :2].mean() == pytest.approx(0.05, abs=0.002)
    assert np.abs(own[:, 2:].mean(axis=(0, 2))).max() < 0.002


@pytest.mark.parametrize("change", [0.06, -0.06])
def test_noise_of_the_size_of_the_change_makes_the_others_no_faster(change: float) -> None:
    """By the median of each pair the others would be "faster" by 1.2 %, in 2 of 10 sessions."""
    rng = np.random.default_rng(8)
    d = rng.normal(0, 0.02, (400, 5, 24)) + rng.normal(0, 0.01, (400, 1, 24))
    d[:, :2] += change
    rows = common_mode.estimate(d, (0,) * 5)
    means = rows.log_ratio.mean(axis=0)
    assert means[:2] == pytest.approx(change, abs=0.004)
    assert np.abs(means[2:]).max() < 0.006
    beyond = np.abs(rows.log_ratio[:, 2:]) > np.log1p(verdict.NOISY_MARGIN)
    assert beyond.any(axis=-1).mean() < 0.03


def test_what_all_share_is_the_same_by_any_noise_of_the_pairs() -> None:
    """A load that moves all cells of a pair alike widens no interval of a cell."""
    rng = np.random.default_rng(9)
    quiet = rng.normal(0, 0.01, (50, 5, 24))
    loaded = quiet + rng.normal(0, 0.2, (50, 1, 24))
    own, common = common_mode.take_out_common(loaded, (0,) * 5)
    still, calm = common_mode.take_out_common(quiet, (0,) * 5)
    assert own.std(axis=-1) == pytest.approx(still.std(axis=-1), rel=0.25)
    assert common.std() > 10 * calm.std()


@pytest.mark.parametrize("cells", [3, 4, 5, 6])
def test_shared_change_and_fluctuation_are_those_by_hand(cells: int) -> None:
    d = np.random.default_rng(4).normal(size=(cells, 7))
    own, common = common_mode.take_out_common(d, (0,) * cells)
    changes = np.zeros(cells)
    for _ in range(2):
        fluctuation = _centred(np.median(d - changes[:, None], axis=0))
        changes = (d - fluctuation).mean(axis=-1)
    for cell in range(cells):
        rest = np.delete(d - changes[:, None], cell, axis=0)
        change = min(_middle(np.delete(changes, cell)), _middle(changes), key=abs)
        expected = d[cell] - _centred(np.median(rest, axis=0)) - change
        assert own[cell] == pytest.approx(expected)
    all_cells = _centred(np.median(d - changes[:, None], axis=0)) + _middle(changes)
    assert common[0] == pytest.approx(all_cells)


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean()


def _middle(changes: np.ndarray) -> float:
    """Return the median, of two in the middle the one nearer to 0."""
    ordered = sorted(changes)
    return float(min(ordered[(len(changes) - 1) // 2], ordered[len(changes) // 2], key=abs))


@pytest.mark.parametrize("decided", [2, 4])
def test_drift_after_a_cell_was_decided_is_no_change_of_the_others(decided: int) -> None:
    """The last twelve pairs are slower by 10 %, in all cells that are still measured."""
    d = np.random.default_rng(10).normal(0, 0.005, (100, 7, 24))
    d[:, 0] += 0.05
    d[..., 12:] += 0.1
    rows = common_mode.estimate(d, (0,) * 7, [12] * decided + [24] * (7 - decided))
    means = rows.log_ratio.mean(axis=0)
    assert means[0] == pytest.approx(0.05, abs=0.003)
    assert np.abs(means[1:]).max() < 0.002


def test_pairs_that_a_cell_lacks_are_not_looked_at() -> None:
    d = np.random.default_rng(5).normal(0, 0.01, (5, 24))
    counts = [12, 24, 24, 24, 12]
    whole, cut = d.copy(), d.copy()
    cut[[0, 4], 12:] = np.nan
    whole[[0, 4], 12:] = 9.0
    for values in (whole, cut):
        own, common = common_mode.take_out_common(values, (0,) * 5, counts)
        rows = common_mode.estimate(values, (0,) * 5, counts)
        assert np.isnan(common[0, 12:]).all()
        assert np.isfinite(rows.log_ratio).all()
        assert np.abs(own[[1, 2, 3]]).max() < 0.1
    first = common_mode.estimate(d[:, :12], (0,) * 5)
    assert rows.log_ratio[[0, 4, 5]] == pytest.approx(first.log_ratio[[0, 4, 5]])
    assert common_mode.row_counts((0, 0, 1), [3, 5, 7]).tolist() == [3, 5, 7, 3, 7]


def test_two_cells_that_are_left_stay_as_they_are() -> None:
    d = np.full((3, 4), 0.02)
    own, _ = common_mode.take_out_common(d, (0,) * 3, [2, 4, 4])
    assert own[:, :2] == pytest.approx(0.0)
    assert own[1:, 2:] == pytest.approx(0.02)


def test_one_disturbed_pair_does_not_widen_an_interval() -> None:
    """A pair of sixteen in which a cell read 1.9 times as much, its plain SD then 22 %."""
    d = np.random.default_rng(6).normal(0, 0.018, (400, 5, 16))
    calm = verdict.half_widths(common_mode.estimate(d, (0,) * 5))[:, 1]
    d[:, 1, 7] += 0.9
    assert d[:, 1].std(axis=-1).mean() > 0.2
    disturbed = verdict.half_widths(common_mode.estimate(d, (0,) * 5))[:, 1]
    assert np.median(disturbed / calm) < 1.25
    assert np.quantile(disturbed / calm, 0.95) < 2


def test_moderation_of_unequal_launches_is_that_of_each() -> None:
    d = np.random.default_rng(7).normal(0, 0.01, (4, 20))
    counts = np.array([20, 12, 12, 20])
    rows = moderation.moderate_alone(d, counts)
    for cell, count in enumerate(counts):
        one = moderation.moderate(d[cell, :count], moderation.NO_PRIOR)
        assert [part[cell] for part in rows] == pytest.approx(list(one))
