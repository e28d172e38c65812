"""Check what is taken out of each cell as common, also where cells were measured no more."""

from __future__ import annotations

import numpy as np
import pytest

from results.statistics import common_mode, moderation, verdict


def test_a_slower_cell_keeps_all_of_its_change() -> None:
    """A median of all five, itself among them, would lose a quarter of it."""
    d = np.random.default_rng(1).normal(0, 0.01, (200, 5, 40))
    d[:, 2] += 0.01
    own, _ = common_mode.take_out_common(d, (0,) * 5)
    assert own[:, 2].mean() == pytest.approx(0.01, abs=0.0005)
    assert own[:, [0, 1, 3, 4]].mean() == pytest.approx(0.0, abs=0.0015)


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


@pytest.mark.parametrize("cells", [5, 6])
def test_others_by_rank_are_the_others_by_hand(cells: int) -> None:
    d = np.random.default_rng(4).normal(size=(3, cells, 7))
    found = common_mode._shared_by_each(d)
    whole = common_mode._middle(d)
    for cell in range(cells):
        others = common_mode._middle(np.delete(d, cell, axis=1))
        nearer = np.where(np.abs(others) <= np.abs(whole), others, whole)
        assert (found[:, cell] == nearer).all()


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
