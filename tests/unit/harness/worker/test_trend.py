"""The test for a trend, and how long warming up goes on because of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import kendalltau

from benchmarks.harness.session import recording
from benchmarks.harness.worker import clock, trend


@pytest.mark.parametrize("count", range(trend.LEAST, trend.MOST + 1))
def test_p_is_kendalls_exact_one(count: int) -> None:
    rng = np.random.default_rng(count)
    for tilt in (0.0, 0.3, 1.0):
        values = rng.standard_normal(count) + tilt * np.arange(count)
        expected = kendalltau(np.arange(count), values, method="exact").pvalue
        assert trend.p_of_trend(list(values)) == pytest.approx(expected, rel=1e-12)


def test_without_a_trend_one_order_in_a_hundred_at_most_is_taken_for_one() -> None:
    for count in (6, 7):
        orders = list(itertools.permutations(range(count)))
        alarms = sum(trend.is_steady(order) is False for order in orders)
        assert 2 <= alarms <= trend.LEVEL * len(orders)


def test_least_is_the_smallest_number_in_which_a_trend_can_show() -> None:
    assert trend.p_of_trend(range(trend.LEAST - 1)) > trend.LEVEL
    assert trend.p_of_trend(range(trend.LEAST)) <= trend.LEVEL
    assert trend.is_steady(range(trend.LEAST)) is False
    assert trend.is_steady([1.0] * (trend.LEAST - 1)) is None


def test_equal_times_are_steady_and_a_single_slow_call_is_no_trend() -> None:
    assert trend.is_steady([1.0] * 20) is True
    assert trend.is_steady([9.0] + [1.0] * 5) is True


class Scripted:
    """A program that moves the clock on by a scripted time, which depends on when a call begins."""

    def __init__(self, seconds: Callable[[float], float], monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.now, self.times = seconds, 0.0, []  # type: Any, float, list[float]
        self.jitter = np.random.default_rng(1)
        monkeypatch.setattr(clock, "perf_counter", lambda: self.now)

    def prepare(self) -> None: ...

    def run(self, carry: None) -> None: ...

    def wait(self, result: None) -> None:
        seconds = self.seconds(self.now) * (1 + 0.01 * self.jitter.standard_normal())
        self.times.append(seconds)
        self.now += seconds

    def reset(self) -> None: ...


@pytest.mark.parametrize(
    ("seconds", "is_steady", "low", "high"),
    [
        (lambda now: 1e-3, True, 0.05, 0.052),
        (lambda now: 1e-3 * (1 + max(0.0, 0.1 - now) * 20), True, 0.1, 0.21),
        (lambda now: 2e-3 / (1 + 2 * now), False, 0.44, 0.502),
        (lambda now: 1e-3 * (1 + now), False, 0.44, 0.502),
        (lambda now: 3e-3 if now < 0.03 else 1e-3, True, 0.05, 0.21),
        (lambda now: 0.3 if now == 0 else 1e-3, True, 0.3, 0.31),
    ],
    ids=["flat", "falls_for_0.1s", "falls_on", "rises", "jumps", "slow_first_call"],
)
def test_warming_goes_on_while_there_is_a_trend(
    monkeypatch: pytest.MonkeyPatch, seconds: Any, is_steady: bool, low: float, high: float
) -> None:
    program = Scripted(seconds, monkeypatch)
    warm = clock.warm_up(program)
    assert warm.steady is is_steady
    assert low <= program.now <= high
    assert warm.seconds == pytest.approx(program.times[-1])


@pytest.mark.parametrize(
    ("call", "is_steady", "calls"),
    [(0.02, True, 6), (0.08, True, 6), (0.09, None, 3), (0.2, None, 3), (2.0, None, 3)],
)
def test_slow_cell_is_tested_where_enough_calls_fit_and_never_called_steady_untested(
    monkeypatch: pytest.MonkeyPatch, call: float, is_steady: bool | None, calls: int
) -> None:
    program = Scripted(lambda now: call, monkeypatch)
    assert clock.warm_up(program).steady is is_steady
    assert len(program.times) == calls


@pytest.mark.parametrize(
    ("launches", "expected"),
    [
        ([True, True], True), ([True, False], False), ([None, False], False),
        ([True, None], None), ([None], None), ([], None),
    ],
)  # fmt: skip
def test_record_is_steady_only_where_every_launch_was(
    launches: list[bool | None], expected: bool | None
) -> None:
    assert recording.steady_in_all(launches) is expected
