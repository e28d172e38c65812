"""Canaries: each turns red when what it guards is broken, and none passes that was not taken."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import pool
from benchmarks.harness.measurement import canaries
from benchmarks.paths import ROOT
from results.records import canary_status
from results.report.build import build
from results.report.markdown import markdown
from tests.conftest import fake_framework
from tests.helpers.factories.records import run

Take = Callable[..., dict[str, Any]]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Take]:
    """The verdicts of the fake framework's canaries by name, with a fault in it."""
    with fake_framework(monkeypatch):

        def take(fault: str | None = None, framework: str = "fake") -> dict[str, Any]:
            monkeypatch.setenv("FAKE_FAULT", fault or "")
            job = {"framework": framework, "device": "cpu", "dtype": "float32"}
            found = canaries.measure_canaries(job | {"launches": 1, "limit": 20.0, "seed": 0})
            return {verdict["canary"]: verdict for verdict in found["verdicts"]}

        yield take


@pytest.mark.serial
def test_canaries_of_a_sound_framework_pass(taken: Take) -> None:
    found = taken()
    assert tuple(found) == canaries.NAMES
    assert {name: one["passed"] for name, one in found.items()} == dict.fromkeys(found, True)


@pytest.mark.serial
def test_canaries_tell_how_long_the_workers_worked(taken: Take) -> None:
    start = time.monotonic()
    job = {"framework": "fake", "device": "cpu", "dtype": "float32", "launches": 1}
    found = canaries.measure_canaries(job | {"limit": 20.0, "seed": 0})
    assert 0.0 < found["worker_seconds"] < time.monotonic() - start


@pytest.mark.serial
@pytest.mark.parametrize(
    ("fault", "failing", "said"),
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
    taken: Take, fault: str, failing: str, said: str
) -> None:
    failed = {name: one for name, one in taken(fault).items() if one["passed"] is False}
    assert " ".join(failed) == failing
    last = failed[failing.split()[-1]]
    assert said in last["said"]
    assert last["tries"] == 2


@pytest.mark.serial
@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("synchronous", "the fake waits"),
        ("never_early", "no call returned before its work was done"),
    ],
)
def test_where_nothing_can_be_unsynchronised_that_is_null_and_no_pass(
    taken: Take, fault: str, said: str
) -> None:
    one = taken(fault)["unsynchronised"]
    assert one["passed"] is None
    assert one["said"] == said


@pytest.mark.parametrize(
    ("fault", "framework", "said"),
    [("crash", "fake", "signal 9"), (None, "absent", "impl_absent")],
)
def test_canaries_that_cannot_be_taken_are_null_with_the_reason(
    taken: Take, fault: str | None, framework: str, said: str
) -> None:
    for one in taken(fault, framework).values():
        assert one["passed"] is None
        assert said in one["said"]


@pytest.mark.serial
def test_worker_lost_to_a_canary_is_replaced(taken: Take) -> None:
    taken("crash")
    assert taken()["twice"]["passed"] is True


def test_fault_of_the_harness_itself_is_null_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool.Pool, "launches", lambda *_: 1 / 0)

    class Cell:
        framework, device, dtype = "torch", "cpu", "float32"

    job = {"launches": 1, "limit": 1.0, "seed": 0}
    with ThreadPoolExecutor(1) as executor:
        (found,) = canaries.take(executor, [Cell(), Cell()], job)  # type: ignore[list-item]
    verdicts = found["verdicts"]
    assert (found["worker_seconds"], found["frozen"]) == (0.0, {})
    assert [one["passed"] for one in verdicts] == [None] * 4
    assert "ZeroDivisionError" in verdicts[0]["said"]


# The verdicts, over answers that are made up


def answer(
    once: float = 1e-3, ratio: float = 2.0, late: float = 1.005, call: float = 2e-4
) -> dict[str, Any]:
    """Of a launch in which the work took ``once``, beside what each ``call`` takes."""
    unwaited = [{"seconds": 1e-4, "caught": True}, {"seconds": 4e-3, "caught": False}]
    return {
        "samples": {
            "call": [call] * 12,
            "once": [call + once] * 12,
            "twice": [call + once * ratio] * 12,
            "sleep": [late * 2.06e-3],
        },
        "products": 3,
        "slept": [2.06e-3],
        "early": [],
        "synchronous": None,
        "unwaited": unwaited,
        "gate": {"right": "pass", "wrong": "w: relative difference 0.001"},
    }


def verdict(canary: str, launches: list[dict[str, Any]]) -> Any:
    (one,) = [one for one in canaries.judge(launches) if one["canary"] == canary]
    return one["passed"]


def twice(ratios: list[float]) -> Any:
    return verdict("twice", [answer(ratio=ratio) for ratio in ratios])


def test_two_must_lie_in_the_interval_widened_by_the_margin() -> None:
    assert twice([2.0 * f for f in (0.99, 1.0, 1.01, 1.0, 1.02, 0.98)]) is True
    assert twice([1.95] * 6) is True  # within the margin
    assert twice([1.9] * 6) is False
    assert twice([2.1] * 6) is False
    assert twice([1.9 * f for f in (0.9, 1.1, 1.0, 0.95, 1.05, 1.0)]) is True


@pytest.mark.parametrize("call", [1e-6, 2e-4, 1e-3, 1e-2])
def test_what_a_call_costs_beside_its_work_is_not_done_twice(call: float) -> None:
    right, wrong = ([answer(ratio=ratio, call=call)] * 6 for ratio in (2.0, 1.9))
    assert verdict("twice", right) is True
    assert verdict("twice", wrong) is False
    assert verdict("unsynchronised", right) is True
    assert canaries._frozen(right) == pytest.approx([1e-3 / 3] * 6)


def test_more_work_that_takes_no_longer_fails() -> None:
    assert verdict("twice", [answer(ratio=0.0)] * 6) is False


def test_interval_in_which_anything_lies_proves_nothing() -> None:
    assert twice([0.5, 1.0, 2.0, 4.0, 8.0, 3.0]) is None
    assert twice([1.0, 1.01, 0.99, 1.0, 1.0, 1.0]) is False


def test_without_an_interval_only_what_is_far_off_fails() -> None:
    assert [twice([ratio] * 5) for ratio in (1.0, 1.4, 1.5, 2.0, 2.8, 2.9)] == [
        False, False, True, True, True, False,
    ]  # fmt: skip


SCATTERED = [3.2e-3] * 8 + [9e-3] * 4


def test_samples_that_scatter_are_no_proof_of_a_fault() -> None:
    disturbed = answer(ratio=3.0)
    disturbed["samples"]["twice"] = SCATTERED
    assert verdict("twice", [disturbed]) is None


def test_one_launch_whose_clock_is_off_fails_the_sleep() -> None:
    right = answer()
    assert verdict("sleep", [right] * 6) is True
    assert verdict("sleep", [right] * 5 + [answer(late=1.03)]) is False
    assert verdict("sleep", [right] * 5 + [answer(late=0.99)]) is False
    # no sleep ends early, whatever two clocks agree on
    early = {"slept": [1e-3], "samples": right["samples"] | {"sleep": [1.005e-3]}}
    assert verdict("sleep", [right | early]) is False


def test_only_a_quick_call_that_is_not_caught_is_a_fault() -> None:
    slow, quick = ({"seconds": s, "caught": False} for s in (3e-3, 1e-3))
    assert verdict("unsynchronised", [answer()]) is True
    assert verdict("unsynchronised", [answer() | {"unwaited": [slow]}]) is None
    assert verdict("unsynchronised", [answer() | {"unwaited": [slow, quick]}]) is False
    # one that is caught does not make up for one that is not
    caught = quick | {"caught": True}
    assert verdict("unsynchronised", [answer() | {"unwaited": [caught, quick]}]) is False


@pytest.mark.parametrize(
    ("again", "passed"), [([2.2e-3] * 12, True), (SCATTERED, False), ([3.2e-3] * 12, False)]
)
def test_what_failed_is_right_only_if_the_second_try_says_so(
    monkeypatch: pytest.MonkeyPatch, again: list[float], passed: bool
) -> None:
    first, second = answer(ratio=3.0), answer()
    second["samples"]["twice"] = again
    answers = iter([[first], [second]])
    monkeypatch.setattr(canaries, "_taken", lambda *_: next(answers))
    found = canaries._settled([], {})[0][0]
    assert (found["canary"], found["passed"], found["tries"]) == ("twice", passed, 2)


def test_the_frozen_reference_is_the_time_of_one_product() -> None:
    assert canaries._frozen([answer(once=6e-4), answer(once=9e-4)]) == pytest.approx([2e-4, 3e-4])
    assert canaries._frozen([answer(once=0.0)]) == []


def test_times_that_are_none_fail() -> None:
    assert verdict("twice", [answer(once=0.0)]) is False
    assert verdict("sleep", [answer(late=float("nan"))]) is False


# What is said of them


def canary(framework: str, passed: bool | None, said: str, **more: str) -> dict[str, Any]:
    whose = {"framework": framework, "device": "cpu", "dtype": "float32", "canary": "twice"}
    return whose | {"passed": passed, "said": said} | more


RIGHT, WRONG = canary("torch", True, "reads 2.01"), canary("jax", False, "reads 1.02 <b>")
UNTOLD = canary("torch", None, "no such call", canary="unsynchronised")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ([RIGHT, canary("jax", True, "")], "torch ok, jax ok"),
        ([RIGHT, UNTOLD], "torch ok (unsynchronised not told: no such call)"),
        ([UNTOLD, UNTOLD], "torch NOT TAKEN (no such call)"),
        ([RIGHT, WRONG], "torch ok, jax FAILED"),
        ([RIGHT, canary("torch", True, "", dtype="float64")], "torch float32 ok, torch float64 ok"),
        ([], None),
        ("nonsense", None),
        ([1, {"framework": []}], "[] NOT TAKEN (None)"),
    ],
)
def test_canaries_are_told_in_a_line(found: Any, said: str | None) -> None:
    assert canary_status.summary({"canaries": found}) == said


def test_untold_canary_is_no_failure() -> None:
    assert canary_status.failed({"canaries": [RIGHT, UNTOLD]}) == []
    assert canary_status.failed({"canaries": [UNTOLD, WRONG]}) == ["jax: twice: reads 1.02 <b>"]


def test_report_says_loudly_what_the_harness_misread() -> None:
    page = markdown(build([run(settings={"launches": 6, "canaries": [RIGHT, WRONG]})]))
    assert "torch ok, jax FAILED" in page
    assert f": {canary_status.DISTRUST}** jax: twice: reads 1.02 &lt;b&gt;" in page


def test_report_has_one_line_where_all_is_well_and_none_of_an_old_run() -> None:
    page = markdown(build([run(settings={"launches": 6, "canaries": [RIGHT]})]))
    assert "| torch ok |" in page
    assert canary_status.DISTRUST not in page
    row = next(
        line for line in markdown(build([run(settings={"launches": 6})])).splitlines()
        if line.startswith("| 20261121T010203-ab12cd |")
    )  # fmt: skip
    assert row.endswith("| \N{EN DASH} |")


# A whole session

LYING = """
import sys, time
honest = time.perf_counter
if "benchmarks.harness.worker" in " ".join(sys.orig_argv):
    time.perf_counter = lambda: 1.1 * honest()
"""


@pytest.mark.slow
@pytest.mark.serial
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
