"""Test that each canary fails when what it guards is broken, and passes only if measured."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import pool
from benchmarks.harness.measurement import canaries, canary_verdicts
from benchmarks.harness.measurement.job import CanaryJob
from benchmarks.harness.measurement.measurer import Measurer
from benchmarks.paths import ROOT
from results.records import canary_status
from tests.helpers.canary_answers import answer, passed
from tests.helpers.fake_framework import fake_framework

Take = Callable[..., dict[str, Any]]


def job_of(framework: str) -> CanaryJob:
    return {
        "framework": framework,
        "device": "cpu",
        "dtype": "float32",
        "launches": 1,
        "limit": 20.0,
        "seed": 0,
    }


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Take]:
    """Measure the fake framework's canaries with a fault in it; return the verdicts by name."""
    with fake_framework(monkeypatch) as workers:

        def take(fault: str | None = None, framework: str = "fake") -> dict[str, Any]:
            monkeypatch.setenv("FAKE_FAULT", fault or "")
            result = canaries.measure_canaries(job_of(framework), workers)
            return {verdict["canary"]: dict(verdict) for verdict in result["verdicts"]}

        yield take


@pytest.mark.serial
def test_canaries_of_a_sound_framework_pass(taken: Take) -> None:
    verdicts = taken()
    assert tuple(verdicts) == canary_verdicts.NAMES
    passed = {name: verdict["passed"] for name, verdict in verdicts.items()}
    assert passed == dict.fromkeys(verdicts, True)


@pytest.mark.serial
def test_canaries_tell_how_long_the_workers_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_framework(monkeypatch) as workers:
        start = time.monotonic()
        result = canaries.measure_canaries(job_of("fake"), workers)
    assert 0.0 < result["worker_seconds"] < time.monotonic() - start


@pytest.mark.serial
@pytest.mark.parametrize(
    ("fault", "failing", "message"),
    [
        ("done_once", "twice", "work done twice reads 1"),
        ("blind_guard", "unsynchronised", "the guard let 5 of them pass"),
        (
            "hasty_clock",
            "twice unsynchronised",
            "of a call that is waited for: the clock",
        ),
        ("fast_clock", "sleep", "by the kernel's raw clock reads +10."),
        ("lenient_gate", "wrong_gradient", "scaled by 1.001 pass in 1 of the launches"),
        ("strict_gate", "wrong_gradient", "the gate refused a right gradient: w: relative"),
    ],
)
def test_canary_fails_when_what_it_guards_is_broken(
    taken: Take, fault: str, failing: str, message: str
) -> None:
    verdicts = taken(fault)
    failed = {name: one for name, one in verdicts.items() if one["passed"] is False}
    assert " ".join(failed) == failing
    last = failed[failing.split()[-1]]
    assert message in last["said"]
    assert last["tries"] == 2


@pytest.mark.serial
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("synchronous", "the fake waits"),
        ("never_early", "no call returned before its work was done"),
    ],
)
def test_where_nothing_can_be_unsynchronised_that_is_null_and_no_pass(
    taken: Take, fault: str, message: str
) -> None:
    verdict = taken(fault)["unsynchronised"]
    assert verdict["passed"] is None
    assert verdict["said"] == message


@pytest.mark.parametrize(
    ("fault", "framework", "message"),
    [("crash", "fake", "signal 9"), (None, "absent", "impl_absent")],
)
def test_canaries_that_cannot_be_taken_are_null_with_the_reason(
    taken: Take, fault: str | None, framework: str, message: str
) -> None:
    for verdict in taken(fault, framework).values():
        assert verdict["passed"] is None
        assert message in verdict["said"]


@pytest.mark.serial
def test_worker_lost_to_a_canary_is_replaced(taken: Take) -> None:
    taken("crash")
    assert taken()["twice"]["passed"] is True


def test_fault_of_the_harness_itself_is_null_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.Pool, "launches", lambda *_: 1 / 0)

    class Cell:
        framework, device, dtype = "torch", "cpu", "float32"

    job = {"launches": 1, "limit": 1.0, "seed": 0}
    measurer = Measurer()
    cells: Any = [Cell(), Cell()]
    (result,) = canaries.take(measurer.measure_canaries, cells, job)
    measurer.close()
    verdicts = result["verdicts"]
    assert (result["worker_seconds"], result["product_seconds"]) == (0.0, {})
    assert [verdict["passed"] for verdict in verdicts] == [None] * 4
    assert "ZeroDivisionError" in verdicts[0]["said"]


# Verdicts on made-up answers


def twice_passes(ratios: list[float]) -> Any:
    """Return whether work done twice passes with these ratios, one of each launch."""
    return passed("twice", [answer(ratio=ratio) for ratio in ratios])


def test_two_must_lie_in_the_interval_widened_by_the_margin() -> None:
    assert twice_passes([2.0 * f for f in (0.99, 1.0, 1.01, 1.0, 1.02, 0.98)]) is True
    assert twice_passes([1.95] * 6) is True  # within the margin
    assert twice_passes([1.9] * 6) is False
    assert twice_passes([2.1] * 6) is False
    assert twice_passes([1.9 * f for f in (0.9, 1.1, 1.0, 0.95, 1.05, 1.0)]) is True


@pytest.mark.parametrize("call", [1e-6, 2e-4, 1e-3, 1e-2])
def test_what_a_call_costs_beside_its_work_is_not_done_twice(call: float) -> None:
    right, wrong = ([answer(ratio=ratio, call=call)] * 6 for ratio in (2.0, 1.9))
    assert passed("twice", right) is True
    assert passed("twice", wrong) is False
    assert passed("unsynchronised", right) is True
    assert canary_verdicts.product_seconds(right) == pytest.approx([1e-3 / 3] * 6)


def test_more_work_that_takes_no_longer_fails() -> None:
    assert passed("twice", [answer(ratio=0.0)] * 6) is False


def test_interval_in_which_anything_lies_proves_nothing() -> None:
    assert twice_passes([0.5, 1.0, 2.0, 4.0, 8.0, 3.0]) is None
    assert twice_passes([1.0, 1.01, 0.99, 1.0, 1.0, 1.0]) is False


def test_without_an_interval_only_what_is_far_off_fails() -> None:
    assert [twice_passes([ratio] * 5) for ratio in (1.0, 1.4, 1.5, 2.0, 2.8, 2.9)] == [
        False, False, True, True, True, False,
    ]  # fmt: skip


SCATTERED = [3.2e-3] * 8 + [9e-3] * 4


def test_samples_that_scatter_are_no_proof_of_a_fault() -> None:
    disturbed = answer(ratio=3.0)
    disturbed["samples"]["twice"] = SCATTERED
    assert passed("twice", [disturbed]) is None


def test_one_launch_whose_clock_is_off_fails_the_sleep() -> None:
    right = answer()
    assert passed("sleep", [right] * 6) is True
    assert passed("sleep", [right] * 5 + [answer(late=0.99)]) is False
    # no sleep ends early, whatever two clocks agree on
    early = {"slept": [1e-3], "samples": right["samples"] | {"sleep": [1.005e-3]}}
    assert passed("sleep", [right | early]) is False


def test_only_a_quick_call_that_is_not_caught_is_a_fault() -> None:
    slow, quick = ({"seconds": s, "caught": False, "asked": s} for s in (3e-3, 1e-3))
    assert passed("unsynchronised", [answer()]) is True
    assert passed("unsynchronised", [answer() | {"unwaited": [slow]}]) is None
    assert passed("unsynchronised", [answer() | {"unwaited": [slow, quick]}]) is False
    # one that is caught does not make up for one that is not
    caught = quick | {"caught": True}
    assert passed("unsynchronised", [answer() | {"unwaited": [caught, quick]}]) is False


@pytest.mark.parametrize(
    ("again", "passed"), [([2.2e-3] * 12, True), (SCATTERED, False), ([3.2e-3] * 12, False)]
)
def test_what_failed_is_right_only_if_the_second_try_says_so(
    again: list[float], passed: bool
) -> None:
    first, second = answer(ratio=3.0), answer()
    second["samples"]["twice"] = again
    verdicts, answers = canaries.judge_twice(lambda attempt: [(first, second)[attempt]])
    twice = verdicts[0]
    assert (twice["canary"], twice["passed"], twice["tries"]) == ("twice", passed, 2)
    assert answers == [first]


def test_the_frozen_reference_is_the_time_of_one_product() -> None:
    assert canary_verdicts.product_seconds([answer(once=6e-4), answer(once=9e-4)]) == pytest.approx(
        [2e-4, 3e-4]
    )
    assert canary_verdicts.product_seconds([answer(once=0.0)]) == []


def test_times_that_are_none_fail() -> None:
    assert passed("twice", [answer(once=0.0)]) is False
    assert passed("sleep", [answer(late=float("nan"))]) is False


# The lines that are printed


def canary(framework: str, passed: bool | None, message: str, **more: str) -> dict[str, Any]:
    """Return a verdict as a run holds it."""
    of = {"framework": framework, "device": "cpu", "dtype": "float32", "canary": "twice"}
    return of | {"passed": passed, "said": message} | more


RIGHT, WRONG = canary("torch", True, "reads 2.01"), canary("jax", False, "reads 1.02 <b>")
UNTOLD = canary("torch", None, "no such call", canary="unsynchronised")


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        ([RIGHT, canary("jax", True, "")], "torch ok, jax ok"),
        ([RIGHT, UNTOLD], "torch ok (unsynchronised not told: no such call)"),
        ([UNTOLD, UNTOLD], "torch NOT TAKEN (no such call)"),
        ([RIGHT, WRONG], "torch ok, jax FAILED"),
        ([RIGHT, canary("torch", True, "", dtype="float64")], "torch float32 ok, torch float64 ok"),
        ([], None),
    ],
)
def test_canaries_are_told_in_a_line(verdicts: Any, line: str | None) -> None:
    assert canary_status.summary({"canaries": verdicts}) == line


def test_untold_canary_is_no_failure() -> None:
    assert canary_status.failed({"canaries": [RIGHT, UNTOLD]}) == []
    assert canary_status.failed({"canaries": [UNTOLD, WRONG]}) == ["jax: twice: reads 1.02 <b>"]


# A whole session

LYING = """
import sys, time
honest = time.perf_counter
if "benchmarks.harness.worker" in " ".join(sys.orig_argv):
    time.perf_counter = lambda: 1.5 * honest()  # far beyond what a busy machine does to a sleep
"""


@pytest.mark.slow
def test_session_with_a_lying_clock_measures_on_says_so_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sitecustomize.py").write_text(LYING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]
    command += ["--benchmark-only", "--launches=1", "--framework=torch", "--size=seed"]
    command += ["--scenario=linear_cascade", "-k=boundary", f"--results={tmp_path / 'runs'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "1 passed" in done.stdout
    assert "canaries: torch FAILED" in done.stdout
    assert "CANARY FAILED: torch: sleep: a sleep of" in done.stdout
    assert canary_status.DISTRUST in done.stdout
    assert "run saved:" in done.stdout
