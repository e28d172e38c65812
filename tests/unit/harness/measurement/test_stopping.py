"""Test when a group stops taking launches: precise enough, too many, or out of time."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.measurement.stopping import PrecisionGoal, parse_precision
from results.statistics.moderation import (
    NO_PRIOR,
    Prior,
    fit_prior,
    location,
    moderate,
    moderated_interval,
)
from results.statistics.verdict import decide, half_width

GOAL = PrecisionGoal(0.01, most=24, seconds=60.0, baseline="summed")


def launches(count: int, spread: float, ratio: float = 1.0) -> list[list[float]]:
    moves = np.random.default_rng(3).normal(0.0, spread, count)
    return [[1e-3 * ratio * math.exp(move)] * 4 for move in moves]


def test_steps_go_from_what_there_is_to_the_most_allowed() -> None:
    assert list(GOAL.steps(6)) == [10, 16, 24, None]
    assert list(GOAL.steps(12)) == [16, 24, None]
    assert list(PrecisionGoal(0.01, 12, 60.0, "summed").steps(6)) == [10, 12, None]
    assert list(GOAL.steps(30)) == [None]


def test_precise_ratios_stop_it_whatever_the_ratio_is() -> None:
    for ratio in (1.0, 1.004, 2.0):
        samples = {"summed": launches(6, 0.0), "other": launches(6, 0.001, ratio)}
        assert GOAL.stop(samples, 10, 0.0) == "precision"


def test_wide_ratio_goes_on_whatever_it_is() -> None:
    for ratio in (0.5, 1.0, 2.0):
        samples = {"summed": launches(6, 0.0), "other": launches(6, 0.05, ratio)}
        assert GOAL.stop(samples, 10, 0.0) is None


def test_one_wide_ratio_of_the_group_goes_on_until_launches_or_time_are_up() -> None:
    samples = {
        "summed": launches(6, 0.0), "good": launches(6, 0.001), "wide": launches(6, 0.05),
    }  # fmt: skip
    assert GOAL.stop(samples, 10, 59.0) is None
    assert GOAL.stop(samples, None, 59.0) == "launches"
    assert GOAL.stop(samples, 10, 61.0) == "time"


def test_width_is_that_of_the_interval_that_is_reported() -> None:
    cell = launches(8, 0.02)
    figure: Any = moderated_interval([math.log(row[0] / 1e-3) for row in cell], NO_PRIOR)
    width = figure["high"] / figure["estimate"] - 1
    samples = {"summed": launches(8, 0.0), "other": cell}
    for factor, reason in ((1.001, "precision"), (0.999, None)):
        goal = PrecisionGoal(width * factor, 24, 60.0, "summed")
        assert goal.stop(samples, 10, 0.0) == reason


def test_under_six_launches_nothing_is_precise() -> None:
    samples = {"summed": launches(5, 0.0), "other": launches(5, 1e-6)}
    assert GOAL.stop(samples, 10, 0.0) is None


def test_without_a_baseline_or_another_there_is_nothing_to_compare() -> None:
    for samples in ({"summed": launches(6, 0.0)}, {"other": launches(6, 0.0)}, {}):
        assert GOAL.stop(samples, 10, 0.0) == "nothing to compare"


@pytest.mark.parametrize("prior", [NO_PRIOR, Prior(1e-4, 7.0, 40.0), Prior(1e-4, math.inf, 40.0)])
def test_travels_as_json(prior: Prior) -> None:
    sent = PrecisionGoal(0.01, 24, 60.0, "summed", prior)
    back = PrecisionGoal.from_rule(json.loads(json.dumps(sent.rule(), allow_nan=False)))
    samples = {"summed": launches(6, 0.0), "other": launches(6, 0.01)}
    for width in (0.005, 0.01, 0.02):
        one, other = (PrecisionGoal(width, 24, 60.0, "summed", p) for p in (prior, back.prior))
        assert one.stop(samples, 10, 0.0) == other.stop(samples, 10, 0.0)


def test_text_is_a_share_or_a_percentage() -> None:
    assert parse_precision("1%") == parse_precision("0.01") == 0.01
    for wrong in ("", "x", "0", "100%", "-1%", "nan", "1.5"):
        with pytest.raises(ValueError, match="must be above 0"):
            parse_precision(wrong)


def test_stopping_by_width_keeps_coverage_and_alarms_near_what_is_claimed() -> None:
    """Draw heavy-tailed ratios of unequal spread, and stop at 6, 10, 16 or 24 launches."""
    rng = np.random.default_rng(0)
    covered, alarms, cells = 0, 0, 0
    for _ in range(20):
        d = rng.standard_t(6, (60, 24)) * 0.02 * np.exp(rng.normal(0.0, 0.6, (60, 1)))
        prior = fit_prior(*zip(*[location(row[:6])[1:] for row in d], strict=True))
        for row in d:
            looks = (k for k in (6, 10, 16, 24) if half_width(moderate(row[:k], prior)) <= 0.02)
            taken = row[: next(looks, 24)]
            figure: Any = moderated_interval(taken, prior)
            covered += figure["low"] <= 1 <= figure["high"]
            alarms += decide([moderate(taken, prior)], 0.02) in (["slower"], ["faster"])
            cells += 1
    assert 0.92 < covered / cells < 0.97
    assert 0.0 < alarms / cells < 0.015
