"""The clock: what it surrounds, how often it is read, and in what order."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import clock


class Sleeper:
    """Prepares slowly, runs for a known time, and logs what is done to it."""

    def __init__(self, seconds: float = 0.004) -> None:
        self.seconds, self.log = seconds, []  # type: tuple[float, list[str]]

    def prepare(self) -> int:
        time.sleep(0.01)
        self.log.append("prepare")
        return len(self.log)

    def run(self, carry: Any) -> Any:
        self.log.append("run")
        return carry

    def wait(self, result: Any) -> None:
        time.sleep(self.seconds)  # the work goes on until it is waited for
        self.log.append("wait")

    def reset(self) -> None:
        self.log.append("reset")


def test_sleep_of_known_length_is_read_right_and_preparing_is_not_timed() -> None:
    sleeper = Sleeper()
    assert clock.batch(sleeper, 3) == pytest.approx(0.004, rel=0.25)
    assert sleeper.log == ["prepare"] * 3 + ["run", "wait"] * 3


def test_stopping_before_the_wait_would_read_nothing() -> None:
    sleeper = Sleeper()
    start = time.perf_counter()
    sleeper.run(None)
    unsynchronised = time.perf_counter() - start
    assert unsynchronised < 0.1 * clock.batch(sleeper, 1)


def test_warm_up_calls_at_least_three_times_and_fifty_milliseconds() -> None:
    long, short = Sleeper(0.1), Sleeper(0.005)
    clock.warm_up(long)
    clock.warm_up(short)
    assert long.log.count("run") == 3
    assert short.log.count("run") >= 8


@pytest.mark.parametrize(
    ("seconds", "residual_bytes", "calls"),
    [
        (1e-4, None, 10),
        (1e-2, None, 1),
        (0.0, None, 10_000),
        (1e-5, 2**26, 4),  # 256 MB hold four graphs of 64 MB
        (1e-5, 2**30, 1),  # one graph there must be
    ],
)
def test_batch_lasts_a_millisecond_within_the_memory_set_aside(
    seconds: float, residual_bytes: int | None, calls: int
) -> None:
    assert clock.batch_size(seconds, residual_bytes) == calls


def test_blocks_hold_one_sample_of_each_in_random_order() -> None:
    order: list[str] = []

    def sample(name: str) -> float:
        order.append(name)
        return 1.0

    timed = {name: partial(sample, name) for name in "abc"}
    found = clock.interleave(timed, seconds=0.0, least=40, rng=np.random.default_rng(0))
    blocks = ["".join(order[i : i + 3]) for i in range(0, len(order), 3)]
    assert len(blocks) == 40
    assert {"".join(sorted(block)) for block in blocks} == {"abc"}
    assert len(set(blocks)) == 6
    assert [len(found[name]) for name in "abc"] == [40] * 3


def test_blocks_go_on_until_the_time_is_up() -> None:
    def sample() -> float:
        time.sleep(0.002)
        return 1.0

    start = time.perf_counter()
    found = clock.interleave({"a": sample}, seconds=0.1, least=1, rng=np.random.default_rng(0))
    elapsed = time.perf_counter() - start
    assert elapsed >= 0.1
    assert 1 < len(found["a"]) <= 50
    few = clock.interleave({"a": sample}, seconds=0.0, least=1, rng=np.random.default_rng(0))
    assert len(few["a"]) == 1
