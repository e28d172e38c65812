"""Cause faults in workers: each gets its typed outcome, and the other cells keep their times."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.measurement.cell_results import CellResults
from benchmarks.harness.protocol import memory_limit
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Optimizer
from tests.helpers.fake_framework import FAKES


def assert_others_timed(outcomes: dict[str, Any], launches: int = 2) -> None:
    assert outcomes["summed"]["outcome"] == "ok", outcomes["summed"]
    assert len(outcomes["summed"]["samples"]) == launches
    for samples in outcomes["summed"]["samples"]:
        assert len(samples) >= 4
        assert all(isinstance(sample, float) for sample in samples)


@pytest.mark.parametrize(
    ("strategy", "outcome", "why"),
    [
        ("crash", "crashed", "signal 9"),
        ("crash_later", "crashed", "signal 9"),
        ("crash_timed", "crashed", "the system may be out of memory"),
        ("abort", "out_of_memory", "signal 6 (SIGABRT); last words: what():  std::bad_alloc"),
        ("greedy", "out_of_memory", "no room for 1 TiB"),
        ("garbage", "crashed", "no answer"),
        ("nan", "wrong_gradients", "net1.linear.bias: not finite"),
        ("unwaited", "crashed", "Unfinished: the clock stopped at"),
        ("scaled", "wrong_gradients", "net2.linear.weight: relative difference 0.001"),
        ("sparing", "wrong_gradients", "the timed call returned no gradient for net1.linear.bias"),
        ("recompiled", "crashed", "compiled anew while it was timed: 1 graphs before, 2 after"),
        ("untraceable", "unsupported", "no one graph can be made of it"),
    ],
)
def test_fault_is_typed_and_the_group_goes_on(
    shared: Any, strategy: str, outcome: str, why: str
) -> None:
    outcomes = shared(strategy, "summed")
    assert outcomes[strategy]["outcome"] == outcome
    assert why in outcomes[strategy]["why"]
    assert outcomes[strategy]["samples"] == []
    assert_others_timed(outcomes)


def test_garbage_while_timing_costs_its_group_alone(measured: Any) -> None:
    """The note of which cell is timed may have moved on since the line was written."""
    for outcome in measured("summed", "garbage_timed", launches=1).values():
        assert outcome["outcome"] == "crashed"
        assert "no answer" in outcome["why"]
        assert outcome["samples"] == []
    assert_others_timed(measured("summed", launches=1), launches=1)


@pytest.mark.slow
@pytest.mark.serial
@pytest.mark.parametrize("strategy", ["hang", "hang_timed"])
def test_hanging_worker_is_killed_at_its_limit(measured: Any, strategy: str) -> None:
    outcomes = measured(strategy, "summed", limit=5.0, launches=1)
    assert outcomes[strategy]["outcome"] == "timeout"
    assert "no answer within 5 s" in outcomes[strategy]["why"]
    assert_others_timed(outcomes, launches=1)


@pytest.mark.serial
def test_limit_is_for_each_cell_and_not_for_all_of_the_timing(measured: Any) -> None:
    start = time.monotonic()
    outcomes = measured("hang_timed", limit=1.0, launches=1, seconds=60.0)
    assert outcomes["hang_timed"]["outcome"] == "timeout"
    assert time.monotonic() - start < 30.0


@pytest.mark.slow
def test_memory_limit_set_on_the_process_is_out_of_memory(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(memory_limit.VARIABLE, "384MiB")
    outcomes = measured("summed", "hungry")
    assert outcomes["hungry"]["outcome"] == "out_of_memory"
    assert "MemoryError" in outcomes["hungry"]["why"]
    assert_others_timed(outcomes)


def test_workers_die_with_the_process_that_started_them_whatever_they_do(tmp_path: Path) -> None:
    """Start one worker that waits, and one that hangs and would never read the end of requests."""
    script = (
        "from benchmarks.harness.launches.launch import Launch\n"
        "from benchmarks.harness.launches.problems import ProblemFiles\n"
        "import time\n"
        "files, waits, hangs = ProblemFiles('linear_cascade', '-', 'seed'), Launch('fake'),"
        " Launch('fake')\n"
        "waits.wait_until_ready(), files.open_in(hangs)\n"
        "hangs.send('gradients', kind='backward', name='hang', phase='gradient', out='-')\n"
        "print(waits.pid, hangs.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    path = os.pathsep.join(p for p in (str(FAKES), os.environ.get("PYTHONPATH")) if p)
    parent = subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        cwd=FAKES.parents[1],
        env=os.environ | {"PYTHONPATH": path, "TMPDIR": str(tmp_path)},
    )
    assert parent.stdout
    with parent.stdout as output:
        pids = [int(pid) for pid in output.readline().split()]
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60.0
    while any(running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(pids) == 2
    assert not any(running(pid) for pid in pids)


def running(pid: int) -> bool:
    """Return whether a process lives; a zombie, which no parent has waited for, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.serial
def test_timed_worker_that_dies_unseen_between_two_groups_costs_nothing(measured: Any) -> None:
    assert_others_timed(measured("summed"))
    for worker in measured.pool.launches("fake", "cpu", "float32", 2):
        os.kill(worker.pid, signal.SIGKILL)
    assert_others_timed(measured("summed", size="small"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("dtype", "deaths", "outcome"),
    [("float32", 1, "ok"), ("float32", 2, "crashed"), ("float64", 1, "ok")],  # 64: the reference's
)
def test_worker_killed_at_no_cell_is_replaced_once(
    measured: Any, monkeypatch: pytest.MonkeyPatch, dtype: str, deaths: int, outcome: str
) -> None:
    left, open_in = [True] * deaths, ProblemFiles.open_in

    def open_after_death(files: ProblemFiles, worker: Launch, timeout: float = 300.0) -> None:
        if worker.hello and worker in measured.pool.launches("fake", "cpu", dtype, 1) and left:
            left.pop()
            os.kill(worker.pid, signal.SIGKILL)
        open_in(files, worker, timeout)

    monkeypatch.setattr(ProblemFiles, "open_in", open_after_death)
    assert measured("summed", launches=1)["summed"]["outcome"] == outcome
    assert left == []


@pytest.mark.slow
def test_fault_of_the_harness_leaves_no_answer_for_the_next_group(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Raise at the second launch, when the third has its request too and has yet to answer."""
    launches = iter(["first", "second"])
    add_prepared = CellResults.add_prepared

    def broken(results: CellResults, prepared: Any) -> None:
        if next(launches) == "second":
            raise ZeroDivisionError
        add_prepared(results, prepared)

    with monkeypatch.context() as breaking:
        breaking.setattr(CellResults, "add_prepared", broken)
        with pytest.raises(ZeroDivisionError):
            measured("summed", mode="jit", launches=3)
    assert_others_timed(measured("summed", launches=3), launches=3)


def test_what_a_library_prints_is_no_answer_and_does_no_harm(shared: Any) -> None:
    outcomes = shared("summed", "chatty")
    assert outcomes["chatty"]["outcome"] == "ok"
    assert_others_timed(outcomes)


@pytest.mark.slow
def test_where_nothing_can_be_compiled_a_cell_says_so_in_one_line(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CXX", "/no/compiler")
    where = {"framework": "torch", "references": ["torch"], "launches": 1, "seconds": 0.0}
    outcomes = measured("summed", mode="compile", limit=120.0, **where)
    assert outcomes["summed"]["outcome"] == "unsupported", outcomes["summed"]
    assert "it needs a C++ compiler: install g++" in outcomes["summed"]["why"]
    assert "\n" not in outcomes["summed"]["why"]


def test_framework_that_is_not_there_fails_every_cell_and_no_more(shared: Any) -> None:
    outcomes = shared("summed", framework="absent", references=["fake", "absent"])
    assert outcomes["summed"]["outcome"] == "crashed"
    assert "impl_absent" in outcomes["summed"]["why"]


@pytest.mark.serial
def test_work_done_twice_reads_twice_the_time(measured: Any) -> None:
    outcomes = measured("slow", "twice", launches=1, seconds=0.3)
    slow, twice = (np.quantile(outcomes[name]["samples"][0], 0.25) for name in ("slow", "twice"))
    assert slow == pytest.approx(0.02, rel=0.25)
    assert twice / slow == pytest.approx(2.0, rel=0.15)


def test_group_can_be_measured_by_any_executor(shared: Any) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        outcomes = executor.submit(shared, "summed").result()
    assert_others_timed(outcomes)


def test_device_that_the_framework_lacks_is_unsupported_with_its_reason(shared: Any) -> None:
    for _ in range(2):  # the second group must hear the same, not that the worker is gone
        outcomes = shared("summed", device="moon")
        assert outcomes["summed"]["outcome"] == "unsupported"
        assert "no device 'moon'" in outcomes["summed"]["why"]


@pytest.mark.slow
def test_worker_killed_between_two_groups_is_replaced(measured: Any) -> None:
    assert_others_timed(measured("summed"))
    for dtype in ("float64", "float32"):  # the reference's worker, and one that is timed
        measured.pool.launches("fake", "cpu", dtype, 1)[0].kill()
        assert_others_timed(measured("summed", variant="-", size="small"))
        assert_others_timed(measured("summed"))


def test_worker_that_dies_unseen_is_replaced_and_the_reference_taken_again(shared: Any) -> None:
    assert_others_timed(shared("summed"))
    os.kill(shared.pool.launches("fake", "cpu", "float64", 1)[0].pid, signal.SIGKILL)
    assert_others_timed(shared("summed", size="small"))


@pytest.mark.slow
@pytest.mark.serial
def test_timing_longer_than_the_limit_of_an_answer_is_no_hang(measured: Any) -> None:
    outcomes = measured("summed", "chatty", launches=1, seconds=3.0, limit=4.0)
    assert outcomes["chatty"]["outcome"] == "ok"
    assert_others_timed(outcomes, launches=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("strategy", "outcome"),
    [
        ("scaled_in_a_later_launch", "wrong_gradients"),
        ("crash_in_a_later_launch", "crashed"),
    ],
)
def test_fault_of_one_launch_takes_the_samples_of_all(
    measured: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, strategy: str, outcome: str
) -> None:
    """The first launch is right, and is timed before the second one crashes."""
    monkeypatch.setenv("FIRST_LAUNCH", str(tmp_path / "first"))
    outcomes = measured("summed", strategy)
    assert outcomes[strategy]["outcome"] == outcome, outcomes[strategy]["why"]
    assert outcomes[strategy]["samples"] == []
    assert_others_timed(outcomes)


def test_each_launch_is_a_process_of_its_own_with_an_order_of_its_own(
    shared: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[tuple[int, list[int]]] = []
    ask = Launch.ask

    def watch(launch: Launch, op: str, *rest: Any, **arguments: Any) -> Any:
        if op == "time":
            requests.append((launch.pid, arguments["seed"]))
        return ask(launch, op, *rest, **arguments)

    monkeypatch.setattr(Launch, "ask", watch)
    assert_others_timed(shared("summed", launches=3, seed=7), launches=3)
    assert len({pid for pid, _ in requests}) == 3
    assert [seed for _, seed in requests] == [[7, 0], [7, 1], [7, 2]]


def test_freeze_is_gated_by_what_the_recipe_may_compute_and_nothing_may_move(
    measured: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fake computes every gradient and moves every parameter: wrong for most recipes."""
    spec = CATALOGUE["linear_cascade"]
    frozen = {"-": replace(spec.variants["-"], frozen=("net1",))}
    sgd = Optimizer("sgd", {"lr": 0.1})
    monkeypatch.setitem(CATALOGUE, spec.name, replace(spec, variants=frozen, optimizer=sgd))
    recipes = ("unfrozen", "optimizer_only", "detach")
    reasons = {
        phase: {
            name: outcome["why"]
            for name, outcome in measured(*recipes, kind="freeze", phase=phase, launches=1).items()
        }
        for phase in ("gradient", "step")
    }
    too_many = "a gradient for net1.linear.bias, net1.linear.weight, which should have none"
    moved = "net1.linear.weight is frozen and moved"
    assert reasons["gradient"] == {"unfrozen": None, "optimizer_only": None, "detach": too_many}
    assert reasons["step"] == {"unfrozen": None, "optimizer_only": moved, "detach": too_many}
