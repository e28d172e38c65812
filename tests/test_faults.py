"""Faults survived: each is caused, gets its typed outcome, and costs the other cells nothing."""

from __future__ import annotations

import concurrent.futures
import os
import signal
from typing import Any

import numpy as np
import pytest

from benchmarks.harness import pool


def assert_others_timed(found: dict[str, Any], launches: int = 2) -> None:
    assert found["summed"]["outcome"] == "ok", found["summed"]
    assert len(found["summed"]["samples"]) == launches
    assert all(len(launch) >= 4 for launch in found["summed"]["samples"])


@pytest.mark.parametrize(
    ("strategy", "outcome", "why"),
    [
        ("crash", "crashed", "signal 9"),
        ("crash_later", "crashed", "signal 9"),
        ("greedy", "out_of_memory", "no room for 1 TiB"),
        ("garbage", "crashed", "no answer"),
        ("nan", "wrong_gradients", "net1.linear.bias: not finite"),
        ("scaled", "wrong_gradients", "net2.linear.weight: relative difference 0.001"),
        ("recompiled", "crashed", "compiled anew while it was timed: 1 graphs before, 2 after"),
        ("untraceable", "unsupported", "no one graph can be made of it"),
    ],
)
def test_fault_is_typed_and_the_group_goes_on(
    measured: Any, strategy: str, outcome: str, why: str
) -> None:
    found = measured("summed", strategy)
    assert found[strategy]["outcome"] == outcome
    assert why in found[strategy]["why"]
    assert found[strategy]["samples"] == []
    assert_others_timed(found)


def test_hanging_worker_is_killed_at_its_limit(measured: Any) -> None:
    found = measured("summed", "hang", limit=1.5)
    assert found["hang"]["outcome"] == "timeout"
    assert "no answer within 2 s" in found["hang"]["why"]
    assert_others_timed(found)


def test_what_a_library_prints_is_no_answer_and_does_no_harm(measured: Any) -> None:
    found = measured("summed", "chatty")
    assert found["chatty"]["outcome"] == "ok"
    assert_others_timed(found)


def test_where_nothing_can_be_compiled_a_cell_says_so_in_one_line(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/no/compiler")
    where = {"framework": "torch", "references": ["torch"], "launches": 1, "seconds": 0.0}
    found = measured("summed", mode="compile", limit=120.0, **where)
    assert found["summed"]["outcome"] == "unsupported", found["summed"]
    assert "it needs a C++ compiler: install g++" in found["summed"]["why"]
    assert "\n" not in found["summed"]["why"]


def test_framework_that_is_not_there_fails_every_cell_and_no_more(measured: Any) -> None:
    found = measured("summed", framework="absent", references=["fake", "absent"])
    assert found["summed"]["outcome"] == "crashed"
    assert "impl_absent" in found["summed"]["why"]


def test_work_done_twice_reads_twice_the_time(measured: Any) -> None:
    found = measured("slow", "twice", launches=1, seconds=0.3)
    slow, twice = (np.quantile(found[name]["samples"][0], 0.25) for name in ("slow", "twice"))
    assert slow == pytest.approx(0.02, rel=0.25)
    assert twice / slow == pytest.approx(2.0, rel=0.15)


def test_group_can_be_measured_by_any_executor(measured: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        found = executor.submit(measured, "summed").result()
    assert_others_timed(found)


def test_device_that_the_framework_lacks_is_unsupported_with_its_reason(measured: Any) -> None:
    for _ in range(2):  # the second group must hear the same, not that the worker is gone
        found = measured("summed", device="moon")
        assert found["summed"]["outcome"] == "unsupported"
        assert "no device 'moon'" in found["summed"]["why"]


def test_worker_killed_between_two_groups_is_replaced(measured: Any) -> None:
    assert_others_timed(measured("summed"))
    for dtype in ("float64", "float32"):  # the reference's worker, and one that is timed
        pool.POOL.launches("fake", "cpu", dtype, 1)[0].kill()
        assert_others_timed(measured("summed", variant="-", size="small"))
        assert_others_timed(measured("summed"))


def test_worker_that_dies_unseen_is_replaced_and_the_reference_taken_again(measured: Any) -> None:
    assert_others_timed(measured("summed"))
    os.kill(pool.POOL.launches("fake", "cpu", "float64", 1)[0].pid, signal.SIGKILL)
    assert_others_timed(measured("summed", size="small"))


def test_timing_longer_than_the_limit_of_an_answer_is_no_hang(measured: Any) -> None:
    found = measured("summed", "chatty", launches=1, seconds=1.0, limit=1.5)
    assert found["chatty"]["outcome"] == "ok"
    assert_others_timed(found, launches=1)
