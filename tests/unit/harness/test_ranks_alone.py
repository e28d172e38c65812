"""What ranks compute and exchange alone: each is timed once, and the sums are those of a call."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.ranks import alone
from benchmarks.harness.ranks.alone import Work, seconds_alone
from benchmarks.harness.ranks.processes import RankFailed

# seconds of a call in two ranks, by the program
TOOK = {"computing": (0.2, 0.3), "reduce 8": (0.01, 0.01), "reduce 32": (0.03, 0.02)}
TOOK |= {"gather 8": (0.005, 0.005)}


class Ranks:
    """Two ranks that take so long for a call of each program, and note what they are asked."""

    def __init__(self, refused: str = "") -> None:
        self.built: dict[str, Any] = {}
        self.asked: list[str] = []
        self._refused = refused

    def __call__(self, op: str, **arguments: Any) -> list[Any]:
        self.asked.append(op)
        key = arguments.get("key", "")
        if op == "build_exchange" and key == self._refused:
            raise RankFailed("rank 1 of 2: no room", "out_of_memory")
        if op.startswith("build_"):
            self.built[key] = arguments
        if op == "drop":
            for one in arguments["keys"]:
                self.built.pop(one, None)
        if op == "calls":
            return [[seconds] * arguments["count"] for seconds in TOOK[key]]
        return [{"flops": 50.0}] * 2


CELLS = {
    "summed": Work(100.0, {"reduce": [8, 32]}),
    "reforward": Work(140.0, {"reduce": [8, 32, 8], "gather": [8, 8]}),
}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alone, "SECONDS", 0.0)


def test_computing_goes_by_flops_and_exchanging_is_the_sum_over_sizes() -> None:
    ranks = Ranks()
    told = seconds_alone(ranks, 2, "fsdp_each", CELLS)
    # the slowest rank's time counts; two ranks of 50 FLOPs compute 100
    assert told["summed"] == pytest.approx(
        {"compute_seconds": 0.3, "exchange_seconds": 0.01 + 0.03}
    )
    assert told["reforward"] == pytest.approx(
        {"compute_seconds": 0.3 * 1.4, "exchange_seconds": 0.01 + 0.03 + 0.01 + 2 * 0.005}
    )


def test_every_size_is_built_once_and_dropped_again() -> None:
    ranks = Ranks()
    seconds_alone(ranks, 2, "fsdp_each", CELLS)
    assert ranks.asked.count("build_exchange") == 3
    assert ranks.asked.count("build_computing") == 1
    assert ranks.built == {}


def test_what_was_built_is_dropped_where_a_rank_fails() -> None:
    ranks = Ranks(refused="reduce 8")
    with pytest.raises(RankFailed):
        seconds_alone(ranks, 2, "ddp_one", CELLS)
    assert ranks.asked[-1] == "drop"
    assert ranks.built == {}
