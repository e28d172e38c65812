"""One program of several ranks: whose time counts, and what they have returned and counted."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.ranks.rank_program import RankProgram
from benchmarks.harness.worker import clock


def program(**answers: list[Any]) -> RankProgram:
    """Return a program whose processes give these answers, by operation."""
    return RankProgram(lambda op, **_: answers[op], "key", 2)


def test_slowest_rank_s_time_counts_call_by_call() -> None:
    slow = program(calls=[[0.1, 0.4], [0.3, 0.2]])
    assert clock.batch(slow, 2) == (0.3 + 0.4) / 2


def test_a_gradient_that_one_rank_did_not_return_was_not_returned() -> None:
    answers = [{"returned": ["a", "b"], "finished": True}, {"returned": ["b"], "finished": False}]
    ran = program(call=answers)
    assert ran.returned(ran.run(None)) == ["b"]
    assert not ran.finished()


def test_counts_of_all_ranks_are_added_up_and_one_that_is_unknown_stays_so() -> None:
    counts = [
        {"flops": 3, "residual_bytes": None, "operations": []},
        {"flops": 4, "residual_bytes": 5, "operations": []},
    ]
    counted = program(counts=counts).count()
    communication = {"ranks": 2}
    assert counted == {
        "flops": 7, "residual_bytes": None, "operations": None, "communication": communication,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("predicted", "said"),
    [
        ({"reduced_bytes": 8, "gathered_bytes": 16}, "pass"),
        ({"reduced_bytes": 9, "gathered_bytes": 16}, "a call reduced 8 bytes of gradients in each"),
        ({"reduced_bytes": 8, "gathered_bytes": 24}, "a call gathered 16 bytes of parameters in"),
    ],
)
def test_bytes_that_are_not_those_predicted_fail(predicted: dict[str, int], said: str) -> None:
    verdict = {"equivalence": "pass", "gradient_error": None, "digest": "alike"}
    counts = {"reductions": 1, "reduced_bytes": 8, "gatherings": 1, "gathered_bytes": 16}
    times = {"trace_seconds": None, "compile_seconds": None}
    ran = program(
        judge=[[verdict]] * 2,
        communication=[dict(counts)] * 2,
        times=[times] * 2,
        counts=[{"operations": []}] * 2,
    )
    rules: Any = predicted
    assert ran.judge("reference", rules)["equivalence"].startswith(said)
    shown = {
        "predicted_bytes": predicted["reduced_bytes"],
        "predicted_gathered_bytes": predicted["gathered_bytes"],
    }
    assert ran.count()["communication"] == {"ranks": 2, **counts, **shown}
