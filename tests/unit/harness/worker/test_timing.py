"""How a worker samples cells: from the same start, in random order, within memory."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.worker.server import Worker
from tests.helpers.fake_clock import FakeClock

RUN = 2.0**-12  # seconds: a quarter of a millisecond, and exact when it is added up


class Logged(FakeClock):
    """A cell that moves a shared clock on, logs its resets by name, and has one matrix product."""

    graphs = 0

    def __init__(self, name: str, order: list[str], fake: FakeClock) -> None:
        super().__init__(run=RUN)
        self.name, self.order, self.fake = name, order, fake

    def _advance(self, part: str) -> None:
        super()._advance(part)
        self.fake.now += self.parts[part]
        if part == "reset":
            self.order.append(self.name)

    def products(self) -> list[Any]:
        return [Product(self.fake)]


class Product:
    """A product that takes 3, 2, 1, 3, 2, 1, … seconds."""

    flops, count = 10, 1

    def __init__(self, fake: FakeClock) -> None:
        self.fake, self.runs = fake, 0

    def run(self) -> None:
        self.fake.now += 3.0 - self.runs % 3
        self.runs += 1


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    fake = FakeClock()
    fake.replace_clock(monkeypatch)
    return fake


def timed(fake: FakeClock, *names: str, **changes: Any) -> tuple[dict[str, list[float]], Worker]:
    """Return samples of these cells, and the worker that took them."""
    order: list[str] = []
    worker = Worker("fake", None, Heartbeat(), lambda message: None)
    worker.programs = {name: Logged(name, order, fake) for name in names}
    arguments: dict[str, Any] = {"seconds": 0.0, "least": 8, "seed": [0, 0], "products": None}
    timed = worker.do_time(**(arguments | {"calls": dict.fromkeys(names)} | changes))
    return dict(timed["samples"]), worker


def test_every_block_begins_at_the_same_start(fake: FakeClock) -> None:
    _, worker = timed(fake, "a", least=3)
    block = ["reset", *["prepare"] * 5, *["run", "wait"] * 5]  # five last a millisecond
    assert worker.programs["a"].log[-len(block) * 3 :] == block * 3


def test_order_differs_from_launch_to_launch_and_is_the_same_again(fake: FakeClock) -> None:
    orders = []
    for seed in ([0, 0], [0, 1], [0, 0]):
        _, worker = timed(fake, "a", "b", seed=seed)
        orders.append(worker.programs["a"].order[2:])  # two that are warming up
    assert len(orders[0]) == 16
    assert orders[0] == orders[2] != orders[1]


def test_batch_holds_no_more_graphs_than_memory_is_set_aside_for(fake: FakeClock) -> None:
    _, worker = timed(fake, "a", calls={"a": 2**27}, least=1)
    assert worker.programs["a"].log[-7:] == ["reset", *["prepare"] * 2, *["run", "wait"] * 2]


def test_peak_is_the_best_of_three_runs_of_each_product(fake: FakeClock) -> None:
    samples, _ = timed(fake, "a", products="a", least=2)
    assert samples["product/0"] == [1.0, 1.0]
    assert samples["a"] == [RUN, RUN]
