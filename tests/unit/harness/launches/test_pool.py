"""A pool that is closed by one thread while another asks it for workers, as Ctrl-C may do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks.harness.launches import pool
from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.pool import Pool, PoolClosed
from tests.helpers.fake_framework import fake_framework

WHERE = ("fake", "cpu", "float32")
STARTING = 0.5  # seconds between a worker's start and its being kept


class Slow(Launch):
    """One whose start takes long enough for something to happen meanwhile."""

    pool: Pool
    begun = threading.Event()
    made: list[Launch] = []  # noqa: RUF012

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.made.append(self)
        self.begun.set()
        time.sleep(STARTING)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Slow]]:
    monkeypatch.setattr(pool, "Launch", Slow)
    Slow.begun.clear()
    Slow.made.clear()
    with fake_framework(monkeypatch) as created:
        Slow.pool = created
        yield Slow
    for one in Slow.made:
        one.kill()


def one_of_several(kept: Pool) -> Launch:
    return kept.launches(*WHERE, 2)[0]


def one_alone(kept: Pool) -> Launch:
    return kept.launch(*WHERE, 0)


def one_for_an_errand(kept: Pool) -> None:
    with kept.apart(*WHERE, environment={}) as launch:
        launch.ready()


def one_in_the_place_of_another(kept: Pool) -> Launch:
    (old,) = next(iter(kept._launches.values()))
    return kept.replace(old)


ASKING = [one_of_several, one_alone, one_for_an_errand]


@pytest.mark.parametrize("ask", [*ASKING, one_in_the_place_of_another])
def test_worker_that_starts_while_the_pool_is_closed_is_ended(
    slow: type[Slow], ask: Callable[[Pool], Any]
) -> None:
    """Else the session waits for it, to its time limit, before it ends."""
    kept = slow.pool
    if ask is one_in_the_place_of_another:
        kept.launches(*WHERE, 1)
        slow.begun.clear()
    with ThreadPoolExecutor(1) as other:
        asked = other.submit(ask, kept)
        assert slow.begun.wait(60.0)
        kept.close()
        assert asked.exception(60.0) is None or ask is one_for_an_errand
    assert slow.made
    assert all(one.dead for one in slow.made)


@pytest.mark.parametrize("ask", ASKING)
def test_closed_pool_starts_no_worker(slow: type[Slow], ask: Callable[[Pool], Any]) -> None:
    slow.pool.close()
    with pytest.raises(PoolClosed, match="the session has ended"):
        ask(slow.pool)
    assert not slow.made


def test_a_second_interrupt_while_it_closes_leaves_no_worker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(self: Launch) -> None:
        monkeypatch.setattr(Launch, "kill", kill)
        raise KeyboardInterrupt

    kill = Launch.kill
    with fake_framework(monkeypatch) as kept:
        launches = list(kept.launches(*WHERE, 3))
        for one in launches:
            one.ready()
        monkeypatch.setattr(Launch, "kill", interrupted)
        with pytest.raises(KeyboardInterrupt):
            kept.close()
        kept.close()  # as at the interpreter's end
        dead = [one.dead for one in launches]
        for one in launches:
            one.kill()
    assert dead == [True] * 3
    with pytest.raises(PoolClosed):
        kept.launches(*WHERE, 1)
