"""Test that samples during which the machine stood still are set aside, and counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.session import summary
from benchmarks.harness.worker import clock, pauses
from tests.helpers.fake_framework import FAKES


class Machine:
    """A machine whose samples take a millisecond, and that stands still at some of them."""

    def __init__(self, *paused: int, seconds: float = 2.0) -> None:
        self.time, self.calls, self.paused, self.seconds = 0.0, 0, paused, seconds

    def now(self) -> float:
        return self.time

    def sample(self, value: float) -> float:
        self.time += 0.001 + (self.seconds if self.calls in self.paused else 0.0)
        self.calls += 1
        return value


def interleaved(
    monkeypatch: pytest.MonkeyPatch, machine: Machine
) -> tuple[dict[str, list[float]], list[float]]:
    """Return the samples of two cells, four blocks at least, and the pauses that were noted."""
    monkeypatch.setattr(pauses, "now", machine.now)
    paused: list[float] = []
    timed = {name: partial(machine.sample, value) for name, value in (("a", 1.0), ("b", 2.0))}
    samples = clock.interleave(
        timed, seconds=0.0, least=4, rng=np.random.default_rng(0), paused=paused
    )
    return samples, paused


@pytest.mark.parametrize("call", [0, 3, 7])
def test_block_in_which_the_machine_stood_still_is_taken_anew(
    monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    machine = Machine(call)
    samples, paused = interleaved(monkeypatch, machine)
    assert samples == {"a": [1.0] * 4, "b": [2.0] * 4}
    assert machine.calls == 10  # five blocks of two
    assert paused == pytest.approx([2.0])


def test_machine_that_stands_still_for_less_is_disturbed_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(2, seconds=0.4)
    _, paused = interleaved(monkeypatch, machine)
    assert (machine.calls, paused) == (8, [])


def test_long_call_that_a_neighbour_makes_slower_is_no_pause() -> None:
    assert pauses.among([2.0, 2.1, 3.5, 2.0]) == {}
    assert pauses.among([2.0, 2.1, 4.2, 2.0]) == {2: pytest.approx(2.15)}


def test_machine_that_never_goes_on_does_not_hold_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = Machine(*range(0, 100, 5))
    samples, _ = interleaved(monkeypatch, machine)
    assert machine.calls <= 2 * clock.ATTEMPTS * 4
    assert len(samples["a"]) == len(samples["b"]) >= 4


def test_pauses_are_told_in_one_line() -> None:
    assert list(summary.pause_lines({})) == []
    (line,) = summary.pause_lines({"a": [1.0, 2.0], "b": [0.5]})
    assert "stood still for 3.5 s in all" in line
    assert "3 blocks of samples set aside" in line


STOPPED = """
import numpy as np, time
from benchmarks.harness.worker import clock
paused = []
taken = 0
def sample():
    global taken
    taken += 1
    if taken == 5:  # the loop goes on for long, so most samples are whole
        print("ready", flush=True)
        time.sleep(0.2)  # the signal comes while this sample is taken, not between two
    time.sleep(0.02)
    return 0.02
samples = clock.interleave({"a": sample}, seconds=3.0, least=4, rng=np.random.default_rng(0),
                           paused=paused)
print(max(samples["a"]), paused)
"""


@pytest.mark.slow
@pytest.mark.serial
def test_process_that_is_really_stopped_notices() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(1.0)
        os.kill(process.pid, signal.SIGCONT)
        longest, _, paused = process.stdout.read().partition(" ")
    assert float(longest) < 0.5
    assert 0.5 < sum(map(float, paused.strip().strip("[]").split(","))) < 3.0


class Late:
    """A queue that is woken late at its first wait, as where this process was stopped."""

    def __init__(self, launch: Launch, seconds: float) -> None:
        self.waits, self.seconds, self.launch = 0, seconds, launch

    def put(self, line: Any) -> None: ...

    def get(self, timeout: float) -> Any:
        import queue

        self.waits += 1
        time.sleep(timeout + (self.seconds if self.waits == 1 else 0.0))
        raise queue.Empty


@pytest.mark.slow
@pytest.mark.serial
def test_pause_of_this_process_does_not_count_as_the_workers_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from benchmarks.harness.launches.launch import WorkerTimeout

    monkeypatch.setenv("PYTHONPATH", str(FAKES))
    launch = Launch("fake")
    launch.wait_until_ready()
    late: Any = Late(launch, 1.0)
    monkeypatch.setattr(launch, "_lines", late)
    begin = time.monotonic()
    with pytest.raises(WorkerTimeout):
        launch._next_line(1.0)
    assert time.monotonic() - begin > 1.8
    assert late.waits >= 4  # of ten; if the pause counted it would be one
