"""What a worker times: each block from the same start, in an order of its own, within memory."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.worker import clock
from benchmarks.harness.worker.server import Worker
from tests.helpers.fake_clock import Told

RUN = 2.0**-12  # seconds: a quarter of a millisecond, and exact when it is added up


class Logged(Told):
    """A cell that writes its name into a log that it shares, and has one matrix product."""

    graphs = 0

    def __init__(self, name: str, order: list[str], told: Told) -> None:
        super().__init__(run=RUN)
        self.name, self.order, self.told = name, order, told

    def _does(self, what: str) -> None:
        super()._does(what)
        self.told.now += self.parts[what]
        if what == "reset":
            self.order.append(self.name)

    def products(self) -> list[Any]:
        return [Product(self.told)]


class Product:
    """A product that takes 3, 2, 1, 3, 2, 1, … seconds."""

    flops, count = 10, 1

    def __init__(self, told: Told) -> None:
        self.told, self.runs = told, 0

    def run(self) -> None:
        self.told.now += 3.0 - self.runs % 3
        self.runs += 1


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    one = Told()
    monkeypatch.setattr(clock, "time", one)
    return one


def timed(told: Told, *names: str, **changes: Any) -> tuple[dict[str, list[float]], Worker]:
    """Samples of these cells, and the worker that took them."""
    order: list[str] = []
    worker = Worker("fake", None, Heartbeat(), lambda message: None)
    worker.programs = {name: Logged(name, order, told) for name in names}
    asked: dict[str, Any] = {"seconds": 0.0, "least": 8, "seed": [0, 0], "products": None}
    found = worker.do_time(**(asked | {"calls": dict.fromkeys(names)} | changes))
    return found["samples"], worker


def test_every_block_begins_at_the_same_start(told: Told) -> None:
    _, worker = timed(told, "a", least=3)
    block = ["reset", *["prepare"] * 5, *["run", "wait"] * 5]  # five last a millisecond
    assert worker.programs["a"].log[-len(block) * 3 :] == block * 3


def test_order_differs_from_launch_to_launch_and_is_the_same_again(told: Told) -> None:
    orders = []
    for seed in ([0, 0], [0, 1], [0, 0]):
        _, worker = timed(told, "a", "b", seed=seed)
        orders.append(worker.programs["a"].order[2:])  # two that are warming up
    assert len(orders[0]) == 16
    assert orders[0] == orders[2] != orders[1]


def test_batch_holds_no_more_graphs_than_memory_is_set_aside_for(told: Told) -> None:
    _, worker = timed(told, "a", calls={"a": 2**27}, least=1)
    assert worker.programs["a"].log[-7:] == ["reset", *["prepare"] * 2, *["run", "wait"] * 2]


def test_peak_is_the_best_of_three_runs_of_each_product(told: Told) -> None:
    found, _ = timed(told, "a", products="a", least=2)
    assert found["product/0"] == [1.0, 1.0]
    assert found["a"] == [RUN, RUN]
