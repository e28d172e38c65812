"""A canary is a fault of the harness only where noise cannot explain what it measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.measurement import canary_noise, canary_verdicts
from benchmarks.harness.worker import process_time
from benchmarks.harness.worker.process_time import Spent
from results.records import canary_status
from tests.helpers.canary_answers import answer, passed, verdict

pytestmark = pytest.mark.smoke
QUIET, NOISY = (1.0, 1.01, 1.02), (1.0, 1.1, 1.2, 1.25, 1.3)


def launch(ratio: float = 2.0, scatter: tuple[float, ...] = QUIET, **more: Any) -> Any:
    """Return a launch in which work done twice reads ``ratio``, its samples scattered."""
    made = answer(ratio=ratio)
    for name in ("once", "twice"):
        made["samples"][name] = [made["samples"][name][0] * factor for factor in scatter]
    return made | more


@pytest.mark.parametrize(
    ("launches", "expected", "why"),
    [
        ([launch()] * 6, True, "2 must lie within"),
        ([launch(1.8)] * 6, False, "2 must lie within"),  # quiet and wrong
        ([launch(2.0, NOISY)] * 6, True, "2 must lie within"),  # noisy and right
        ([launch(1.8, NOISY)] * 6, None, "the samples scatter as widely as the ratio is off"),
        ([launch(1.0, NOISY)] * 6, False, "2 must lie within"),  # noisy and wrong by far
        ([launch(1.8)] * 9 + [launch(2.0)], None, "only 9 of 10 launches deviate"),
        ([launch(1.8, waited=0.3)] * 6, None, "in 6 of 6 launches the worker waited for a proc"),
        ([launch(1.8, waited=0.02)] * 6, False, "2 must lie within"),  # as on any machine
        ([launch(1.8, waited=None)] * 6, False, "2 must lie within"),
        ([launch(1.0, waited=0.3)] * 6, False, "2 must lie within"),  # a factor of 2 is no load
        ([launch(1.8, paused=[2.0, 0.5])] * 6, None, "the machine stood still for 2.5 s"),
        ([launch(1.0)], False, "is let pass under 6 launches"),
        ([launch(1.0, (1.0, 1.5, 3.0))], None, "the samples scatter as widely"),
        ([launch(1.0), launch(1.0), launch(2.0)], None, "only 2 of 3 launches deviate"),
    ],
)
def test_work_done_twice_is_misread_only_where_noise_cannot_explain_it(
    launches: list[Any], expected: bool | None, why: str
) -> None:
    found = verdict("twice", launches)
    assert (found["passed"], why in found["said"]) == (expected, True), found["said"]
    assert (canary_noise.WHAT_TO_DO in found["said"]) == (expected is None)


def test_one_launch_of_six_that_deviates_is_no_fault() -> None:
    # two launches far off widen the interval so that it proves nothing; one leaves it with 2 in it
    assert passed("twice", [launch()] * 5 + [launch(1.5)]) is not False
    late = [answer()] * 5 + [answer(late=1.03)]
    found = verdict("sleep", late)
    assert found["passed"] is None
    assert "only 1 of 6 launches deviate" in found["said"]
    assert passed("sleep", [answer(late=1.03)] * 6) is False


def test_launches_that_deviate_to_both_sides_are_no_fault() -> None:
    assert passed("twice", [launch(1.9)] * 5 + [launch(2.12)]) is not False


def test_more_work_that_takes_no_longer_is_explained_by_scatter_alone() -> None:
    same = answer(ratio=0.0)
    assert passed("twice", [same] * 6) is False
    assert passed("twice", [same | {"waited": 0.5}] * 6) is False
    scattered = same["samples"] | {"twice": [2e-4, 2e-4, 6e-4]}
    found = verdict("twice", [same | {"samples": scattered}] * 6)
    assert found["passed"] is None
    assert "more work took no more time" in found["said"]
    assert passed("twice", [same] * 5 + [launch()]) is None


@pytest.mark.parametrize(
    ("samples", "slept", "more", "expected"),
    [
        ([2.2e-3] * 4, [2.0e-3] * 4, {}, False),
        ([2.03e-3, 2.2e-3, 2.3e-3], [2.0e-3, 2.05e-3, 2.1e-3], {}, None),  # the quickest is right
        ([2.2e-3, 2.42e-3, 2.75e-3], [2.0e-3, 2.2e-3, 2.5e-3], {}, False),  # none is right
        ([2.2e-3] * 4, [2.0e-3] * 4, {"waited": 0.5}, False),  # no load lengthens every sample
        ([2.2e-3] * 4, [2.0e-3] * 4, {"paused": [1.0]}, None),
        ([1.99e-3] * 4, [2.02e-3] * 4, {}, False),  # no noise makes a time shorter
        ([1.99e-3] * 4, [2.02e-3] * 4, {"paused": [1.0]}, None),
        ([4.0e-3] * 4, [2.0e-3] * 4, {"paused": [1.0]}, False),
        ([1.0e-3] * 4, [2.0e-3] * 4, {"paused": [1.0]}, False),
    ],
)
def test_sleep_is_misread_only_where_noise_cannot_explain_it(
    samples: list[float], slept: list[float], more: dict[str, Any], expected: bool | None
) -> None:
    one = answer() | {"slept": slept} | more
    one["samples"]["sleep"] = samples
    assert passed("sleep", [one] * 6) is expected


def test_sleep_that_reads_short_in_one_launch_is_a_fault_also_under_load() -> None:
    found = verdict("sleep", [answer()] * 5 + [answer(late=0.99) | {"waited": 0.9}])
    assert found["passed"] is False
    other = [answer()] * 4 + [answer(late=1.03), answer(late=0.99)]
    assert passed("sleep", other) is False


@pytest.mark.parametrize(
    ("quickest", "asked", "expected"),
    [
        (1.2e-3, 1e-4, False),
        (1.2e-3, 3e-3, None),  # the guard was interrupted, and asked when all was done
        (2.5e-4, 1e-4, None),  # by its quickest sample the work may have been done at once
    ],
)
def test_guard_that_asked_too_late_missed_nothing(
    quickest: float, asked: float, expected: bool | None
) -> None:
    one = answer() | {"unwaited": [{"seconds": 1e-4, "caught": False, "asked": asked}]}
    one["samples"]["once"] = [quickest, *one["samples"]["once"]]
    found = verdict("unsynchronised", [one])
    assert found["passed"] is expected
    assert ("may have asked only when" in found["said"]) == (expected is None)


def test_guard_is_not_judged_by_work_that_took_no_time() -> None:
    found = verdict("unsynchronised", [answer(once=0.0)])
    assert found["passed"] is None


def test_what_is_not_told_is_one_line_and_costs_a_run_nothing() -> None:
    verdicts = canary_verdicts.judge([launch(1.8, NOISY)] * 6)
    taken = [one | {"framework": "torch"} for one in verdicts]
    line = canary_status.summary({"canaries": taken})
    assert line is not None
    assert line.startswith("torch ok (twice not told: work done twice reads 1.79")
    assert line.endswith(f"{canary_noise.WHAT_TO_DO})")
    assert canary_status.failed({"canaries": taken}) == []


# How long a worker waited for a processor


def test_time_is_summed_over_the_threads_of_the_process(tmp_path: Path) -> None:
    for thread, text in (("1", "100 20 3\n"), ("2", "50 5 1\n")):
        (tmp_path / thread).mkdir()
        (tmp_path / thread / "schedstat").write_text(text)
    assert process_time.read(tmp_path) == Spent(150, 25)
    (tmp_path / "2" / "schedstat").write_text("not counted\n")
    assert process_time.read(tmp_path) is None
    assert process_time.read(tmp_path / "absent") is None


@pytest.mark.parametrize(
    ("before", "after", "share"),
    [
        (Spent(100, 20), Spent(190, 30), 0.1),
        (Spent(100, 20), Spent(100, 20), 0.0),
        (Spent(100, 20), Spent(90, 30), None),  # a thread has ended
        (None, Spent(1, 1), None),
        (Spent(1, 1), None, None),
    ],
)
def test_share_is_of_the_time_in_which_the_process_could_run(
    before: Spent | None, after: Spent | None, share: float | None
) -> None:
    assert process_time.share_waited(before, after) == share
