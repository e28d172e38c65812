"""The clock: which calls it surrounds, how often it is read, and in which order cells run."""

from __future__ import annotations

import gc
import itertools
import time
import weakref
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.protocol import busy_time
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.worker import clock
from tests.helpers.fake_clock import FakeClock


class Sleeper:
    """A program that prepares slowly, sleeps for a known time, and logs its calls.

    Attributes:
        slept: the seconds of each sleep, by a clock that is not the harness's: a busy machine wakes
            a sleeper late.
    """

    def __init__(self, *seconds: float) -> None:
        self.seconds = itertools.cycle(seconds or (0.004,))
        self.log: list[str] = []
        self.slept: list[float] = []

    def prepare(self) -> int:
        time.sleep(0.01)
        self.log.append("prepare")
        return len(self.log)

    def run(self, carry: Any) -> Any:
        self.log.append("run")
        return carry

    def wait(self, result: Any) -> None:
        start = time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
        time.sleep(next(self.seconds))  # the work goes on until it is waited for
        self.slept.append(time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - start)
        self.log.append("wait")

    def reset(self) -> None:
        self.log.append("reset")


def deviation(sleeper: Sleeper, calls: int) -> float:
    """Return by how much a reading differs from the mean of the sleeps that it was taken of."""
    sleeper.slept.clear()
    return abs(clock.batch(sleeper, calls) - sum(sleeper.slept) / calls)


@pytest.mark.serial
def test_sleep_of_known_length_is_read_right_and_preparing_is_not_timed() -> None:
    sleeper = Sleeper()
    best = min(deviation(sleeper, 3) for _ in range(5))  # others may run between the two clocks
    assert best < 1e-4  # 2 % of a sleep, and the log
    assert min(sleeper.slept) >= 0.004
    assert sleeper.log == (["prepare"] * 3 + ["run", "wait"] * 3) * 5


def test_stopping_before_the_wait_would_read_nothing() -> None:
    sleeper, unsynchronised = Sleeper(), []
    for _ in range(5):  # others may run meanwhile
        start = time.perf_counter()
        sleeper.run(None)
        unsynchronised.append(time.perf_counter() - start)
    assert min(unsynchronised) < 0.1 * clock.batch(sleeper, 1)


@pytest.mark.parametrize(("seconds", "calls"), [(2.0**-3, 3), (2.0**-5, 6), (2.0**-8, 13)])
def test_warm_up_calls_at_least_three_times_and_fifty_milliseconds(
    monkeypatch: pytest.MonkeyPatch, seconds: float, calls: int
) -> None:
    fake = FakeClock(run=seconds)
    fake.replace_clock(monkeypatch)
    clock.warm_up(fake)
    assert fake.log[0] == "reset"
    assert fake.log.count("run") == calls


@pytest.mark.parametrize(
    ("seconds", "residual_bytes", "calls"),
    [
        (1e-4, None, 10),
        (3e-4, None, 4),  # three would last less than a millisecond
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
    samples = clock.interleave(timed, seconds=0.0, least=40, rng=np.random.default_rng(0))
    blocks = ["".join(order[i : i + 3]) for i in range(0, len(order), 3)]
    assert len(blocks) == 40
    assert {"".join(sorted(block)) for block in blocks} == {"abc"}
    assert len(set(blocks)) == 6
    assert [len(samples[name]) for name in "abc"] == [40] * 3


@pytest.mark.parametrize(("seconds", "blocks"), [(0.125, 64), (0.0, 1)])
def test_blocks_go_on_until_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, seconds: float, blocks: int
) -> None:
    fake = FakeClock(run=2.0**-9)
    fake.replace_clock(monkeypatch)
    timed = {"a": partial(clock.batch, fake, 1)}
    samples = clock.interleave(timed, seconds=seconds, least=1, rng=np.random.default_rng(0))
    assert samples["a"] == [2.0**-9] * blocks


@pytest.mark.parametrize("calls", [1, 3, 8])
def test_sample_is_running_and_waiting_a_call_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, calls: int
) -> None:
    fake = FakeClock(prepare=100.0, run=1.0, wait=0.5, reset=1000.0)
    fake.replace_clock(monkeypatch)
    assert clock.batch(fake, calls) == 1.5


class Uneven(FakeClock):
    """A program whose calls take one and three milliseconds in turn."""

    def run(self, carry: None) -> None:
        self.parts["run"] = 4e-3 - self.parts["run"]
        super().run(carry)


@pytest.mark.parametrize("first", [1e-3, 3e-3])
@pytest.mark.parametrize("calls", [2, 8])
def test_sample_is_the_mean_of_its_calls_and_not_one_of_them(
    monkeypatch: pytest.MonkeyPatch, first: float, calls: int
) -> None:
    fake = Uneven(run=4e-3 - first)
    fake.replace_clock(monkeypatch)
    wall, cpu = clock.turn(fake, calls, 0.05)
    assert clock.batch(fake, calls) == pytest.approx(2e-3)
    assert [*wall, *cpu] == pytest.approx([2e-3] * 2 * len(wall))


def test_uneven_sleeps_read_their_mean() -> None:
    """Sleeps of one and three milliseconds, by the real clock."""
    sleeper = Sleeper(0.001, 0.003)
    sleeper.prepare = lambda: 0  # type: ignore[method-assign]
    assert min(deviation(sleeper, 2) for _ in range(20)) < 6e-5  # 2 % of their mean, and the log


def test_warm_up_tells_the_last_call_and_not_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first call compiles, or reads its code from the disk: batches would be too small."""
    fake = FakeClock(run=0.02, first=5.0)
    fake.replace_clock(monkeypatch)
    assert clock.warm_up(fake).seconds == pytest.approx(0.02)


class Result:
    """The result of work that is not done."""


class ForgetfulProgram(FakeClock):
    """A program whose work is never done, and that can say so only while its result is alive.

    JAX behaves like this: it says only of arrays that are alive whether they are ready.
    """

    def run(self, carry: None) -> Any:
        result = Result()
        self.result = weakref.ref(result)
        return result

    def finished(self) -> bool:
        return self.result() is None


def test_guard_holds_the_result_while_it_asks_for_it() -> None:
    with pytest.raises(clock.Unfinished, match="the work was not done"):
        clock.guarded(ForgetfulProgram())


def test_every_sample_stands_under_the_name_of_its_own_cell() -> None:
    own = {"a": 1.0, "b": 2.0, "c": 3.0}
    timed = {name: partial(float, seconds) for name, seconds in own.items()}
    samples = clock.interleave(timed, seconds=0.0, least=20, rng=np.random.default_rng(0))
    assert samples == {name: [seconds] * 20 for name, seconds in own.items()}


def test_collector_rests_while_samples_are_taken_and_works_again_after() -> None:
    assert gc.isenabled()
    samples = clock.interleave(
        {"a": lambda: float(gc.isenabled())},
        seconds=0.0,
        least=2,
        rng=np.random.default_rng(0),
    )
    assert samples["a"] == [0.0, 0.0]
    assert gc.isenabled()


def test_collector_that_was_off_before_stays_off() -> None:
    gc.disable()
    try:
        with clock.collector_off():
            assert not gc.isenabled()
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_collector_works_again_after_a_sample_that_failed() -> None:
    def fails() -> float:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        clock.interleave({"a": fails}, seconds=0.0, least=1, rng=np.random.default_rng(0))
    assert gc.isenabled()


class Spinner(Sleeper):
    """A program that keeps the CPU busy while it is waited for."""

    def wait(self, result: Any) -> None:
        end = time.process_time() + next(self.seconds)
        while time.process_time() < end:
            pass


@pytest.mark.serial
def test_a_turn_takes_wall_and_cpu_time_apart() -> None:
    wall, cpu = clock.turn(Sleeper(), 2, 0.5)  # time for many samples, of which a few suffice
    assert len(wall) == len(cpu) >= 2
    assert min(wall) >= 0.004
    assert median(cpu) < 0.002
    wall, cpu = clock.turn(Spinner(), 2, 0.5)
    assert min(cpu) == pytest.approx(0.004, rel=0.1)


def test_functions_that_a_user_s_code_replaces_later_are_not_the_clock_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The clock has bound its own when it was imported, and so has the heartbeat."""
    for name in ("perf_counter", "perf_counter_ns", "process_time", "monotonic", "time"):
        monkeypatch.setattr(time, name, lambda: 0.0)
    for name in ("collect", "disable", "enable", "isenabled"):
        monkeypatch.setattr(gc, name, lambda: None)
    heartbeat, timer = Heartbeat(), busy_time.BusyTimer()
    with timer.working():
        samples = clock.interleave(
            {"a": partial(clock.batch, Sleeper(), 1)},
            seconds=0.0,
            least=1,
            rng=np.random.default_rng(0),
        )
        heartbeat.set_cell("a")
    assert samples["a"][0] >= 0.004
    assert heartbeat.since > 0.0
    assert busy_time.seconds(timer.take_spans()) > 0.0
