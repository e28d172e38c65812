"""Test a pool that one thread closes while another asks it for workers, as after Ctrl-C."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.harness.launches import pool as pool_module
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.pool import Pool, PoolClosed
from tests.helpers.fake_framework import fake_framework

WHERE = ("fake", "cpu", "float32")
STARTING = 0.5  # seconds between the start of a worker and the end of its constructor


class SlowLaunch(Launch):
    """Start so slowly that another thread can close the pool meanwhile."""

    pool: Pool
    begun = threading.Event()
    started: list[Launch] = []  # noqa: RUF012

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.started.append(self)
        self.begun.set()
        time.sleep(STARTING)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[SlowLaunch]]:
    monkeypatch.setattr(pool_module, "Launch", SlowLaunch)
    SlowLaunch.begun.clear()
    SlowLaunch.started.clear()
    with fake_framework(monkeypatch) as created:
        SlowLaunch.pool = created
        yield SlowLaunch
    for worker in SlowLaunch.started:
        worker.kill()


def ask_for_several(pool: Pool) -> Launch:
    return pool.launches(*WHERE, 2)[0]


def ask_for_one(pool: Pool) -> Launch:
    return pool.launch(*WHERE, 0)


def ask_for_a_separate_one(pool: Pool) -> None:
    with pool.separate_worker(*WHERE, environment={}) as launch:
        launch.wait_until_ready()


def ask_for_a_replacement(pool: Pool) -> Launch:
    (old,) = pool.workers()
    return pool.replace(old)


ASKING = [ask_for_several, ask_for_one, ask_for_a_separate_one]


@pytest.mark.parametrize("ask", [*ASKING, ask_for_a_replacement])
def test_worker_that_starts_while_the_pool_is_closed_is_ended(
    slow: type[SlowLaunch], ask: Callable[[Pool], Any]
) -> None:
    """A session would otherwise wait for that worker until its time limit."""
    pool = slow.pool
    if ask is ask_for_a_replacement:
        pool.launches(*WHERE, 1)
        slow.begun.clear()
    with ThreadPoolExecutor(1) as other:
        future = other.submit(ask, pool)
        assert slow.begun.wait(60.0)
        pool.close()
        assert future.exception(60.0) is None or ask is ask_for_a_separate_one
    assert slow.started
    assert all(worker.dead for worker in slow.started)


@pytest.mark.parametrize("ask", ASKING)
def test_closed_pool_starts_no_worker(slow: type[SlowLaunch], ask: Callable[[Pool], Any]) -> None:
    slow.pool.close()
    with pytest.raises(PoolClosed, match="the session has ended"):
        ask(slow.pool)
    assert not slow.started


def test_a_second_interrupt_while_it_closes_leaves_no_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: Launch) -> None:
        monkeypatch.setattr(Launch, "kill", kill)
        raise KeyboardInterrupt

    kill = Launch.kill
    with fake_framework(monkeypatch) as pool:
        launches = list(pool.launches(*WHERE, 3))
        for worker in launches:
            worker.wait_until_ready()
        monkeypatch.setattr(Launch, "kill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            pool.close()
        pool.close()  # as at the interpreter's end
        dead = [worker.dead for worker in launches]
        for worker in launches:
            worker.kill()
    assert dead == [True] * 3
    with pytest.raises(PoolClosed):
        pool.launches(*WHERE, 1)
