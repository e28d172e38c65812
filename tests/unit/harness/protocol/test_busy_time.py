"""Worker time: each second counts once, however many worked in it, and the gate's not at all."""

from __future__ import annotations

import time

import pytest

from benchmarks.harness.protocol import busy_time

NAP = 0.02  # seconds of a call of the fake strategy `slow`


@pytest.mark.parametrize(
    ("spans", "seconds"),
    [
        ([], 0.0),
        ([(1.0, 3.0)], 2.0),
        ([(1.0, 3.0), (5.0, 6.0)], 3.0),
        ([(5.0, 6.0), (1.0, 3.0)], 3.0),  # out of order
        ([(1.0, 3.0), (2.0, 4.0)], 3.0),  # two workers at once
        ([(1.0, 9.0), (2.0, 3.0), (4.0, 5.0)], 8.0),  # one inside the other
        ([(1.0, 9.0), (2.0, 3.0), (8.0, 10.0)], 9.0),
        ([(1.0, 2.0), (2.0, 3.0)], 2.0),
    ],
)
def test_second_in_which_several_worked_counts_once(
    spans: list[tuple[float, float]], seconds: float
) -> None:
    assert busy_time.seconds(spans) == seconds


def nap_and_fail() -> None:
    time.sleep(NAP)
    raise RuntimeError


def test_work_is_noted_however_it_ends_and_returned_once() -> None:
    timer = busy_time.BusyTimer()
    with pytest.raises(RuntimeError), timer.working(), timer.working():
        nap_and_fail()
    inner, outer = timer.take_spans()
    assert outer[0] <= inner[0] < inner[1] <= outer[1]
    assert busy_time.seconds([inner, outer]) == outer[1] - outer[0] >= NAP
    assert timer.take_spans() == []
