"""Cause faults in one of several ranks: its cell fails with one line, and the others are timed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.fake_framework import Measure, fake_framework

# the wrapper of the mode is what the other rank of the fake does meanwhile
OVER_RANKS = {"kind": "distributed", "mode": "hang_x2", "launches": 1}


@pytest.fixture(scope="module")
def measured() -> Iterator[Any]:
    """Return a function that measures cells of two ranks of the fake framework."""
    with pytest.MonkeyPatch.context() as monkeypatch, fake_framework(monkeypatch) as pool:
        measure = Measure(pool)
        yield lambda *strategies, **changes: measure(*strategies, **(OVER_RANKS | changes))


FAULTS = {
    "greedy_in_rank_1": ("out_of_memory", "rank 1 of 2: MemoryError: no room for 1 TiB"),
    "scaled_in_rank_1": ("wrong_gradients", "rank 1: net2.linear.weight: relative difference"),
    "nudged_in_rank_1": ("wrong_gradients", "rank 1 does not hold the gradients of rank 0 bit"),
    "unreduced": ("wrong_gradients", "reduced 48 bytes of gradients in each rank, should be 96"),
}


def assert_summed_timed(outcomes: dict[str, Any]) -> None:
    assert outcomes["summed"]["outcome"] == "ok", outcomes["summed"]
    (samples,) = outcomes["summed"]["samples"]
    assert len(samples) >= 4
    counts = {"ranks": 2, "reductions": 1, "reduced_bytes": 96, "predicted_bytes": 96}
    assert outcomes["summed"]["figures"]["communication"] == counts
    parts = outcomes["summed"]["figures"]["alone"]
    assert parts["compute_seconds"] > 0
    assert parts["exchange_seconds"] > 0


def test_fault_in_one_rank_is_typed_and_the_other_cells_are_timed(measured: Any) -> None:
    outcomes = measured(*FAULTS, "summed", mode="right_x2")
    for strategy, (outcome, why) in FAULTS.items():
        assert outcomes[strategy]["outcome"] == outcome, outcomes[strategy]
        assert why in outcomes[strategy]["why"]
        assert outcomes[strategy]["samples"] == []
    assert_summed_timed(outcomes)


def test_rank_that_dies_costs_its_cell_alone_and_is_named_in_one_line(measured: Any) -> None:
    outcomes = measured("crash_in_rank_1", "summed", mode="right_x2")
    assert outcomes["crash_in_rank_1"]["outcome"] == "crashed"
    assert "rank 1 of 2: the worker ended by signal 9" in outcomes["crash_in_rank_1"]["why"]
    assert "\n" not in outcomes["crash_in_rank_1"]["why"]
    assert_summed_timed(outcomes)


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("fails", "rank 0 of 2: RuntimeError: no rank can exchange alone"),
        ("dies", "of 2: the worker ended by signal 9"),
    ],
)
def test_cells_are_timed_where_their_ranks_cannot_be_timed_alone(
    measured: Any, fault: str, why: str
) -> None:
    outcomes = measured("summed", mode=f"alone_{fault}_x2")
    assert outcomes["summed"]["outcome"] == "ok"
    assert len(outcomes["summed"]["samples"][0]) >= 4
    assert "alone" not in outcomes["summed"]["figures"]
    assert why in outcomes["summed"]["figures"]["alone_why"]


@pytest.mark.slow
def test_rank_that_others_wait_for_in_vain_is_named(measured: Any) -> None:
    outcomes = measured("greedy_in_rank_0", "summed", limit=20.0)
    assert outcomes["greedy_in_rank_0"]["outcome"] == "crashed"
    assert "rank 0 of 2: MemoryError: no room for 1 TiB" in outcomes["greedy_in_rank_0"]["why"]
    assert_summed_timed(outcomes)


@pytest.mark.slow
@pytest.mark.serial
def test_rank_that_hangs_costs_its_cell_alone_at_the_limit(measured: Any) -> None:
    outcomes = measured("hang_in_rank_1", "summed", mode="right_x2", limit=15.0)
    assert outcomes["hang_in_rank_1"]["outcome"] == "timeout"
    assert "no answer within 15 s" in outcomes["hang_in_rank_1"]["why"]
    assert_summed_timed(outcomes)
