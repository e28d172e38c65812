"""Test how much longer a slower machine may take, and how many readings are taken."""

from __future__ import annotations

from itertools import accumulate

import pytest

from tests.helpers import machine_speed
from tests.helpers.machine_speed import REFERENCE_SECONDS, least_reading, slowdown


@pytest.mark.parametrize(
    ("times", "expected"),
    [((4.0, 3.0, 6.0), 3.0), ((1.0, 5.0, 5.0), 1.0), ((0.5, 0.4, 0.6), 1.0)],
    ids=["slower", "as fast, and busy", "faster"],
)
def test_slowdown_is_that_of_the_fastest_loop_and_never_below_one(
    monkeypatch: pytest.MonkeyPatch, times: tuple[float, ...], expected: float
) -> None:
    monkeypatch.setattr(machine_speed, "LOOPS", 1)
    lengths = [seconds * REFERENCE_SECONDS for one in times for seconds in (one, 0.0)]
    readings = iter(list(accumulate(lengths, initial=0.0)))
    assert slowdown(lambda: next(readings)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("readings", "least", "taken"),
    [((1.0, 0.5), 1.0, 1), ((5.0, 1.0), 1.0, 2), ((5.0, 3.0, 4.0, 1.0), 3.0, 3)],
    ids=["below", "then below", "never below"],
)
def test_least_reading_is_the_first_below_the_bar_or_the_least_of_three(
    readings: tuple[float, ...], least: float, taken: int
) -> None:
    left = list(readings)
    assert least_reading(lambda: left.pop(0), bar=2.0) == least
    assert len(readings) - len(left) == taken
