"""Measure canaries: before any cell is timed, the harness must measure known programs correctly.

A canary is a program whose right answer is known: work done twice, a call that is not waited for, a
sleep, a wrong gradient. Canaries are measured in every launch of every framework that is timed, by
the same clock, guard and gate as the cells. A canary has ``passed``: true, false, or null where the
machine was too noisy to tell, which does not count as a pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

import numpy as np

from benchmarks.harness.launches import signal_safe_wait
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.launches.pool import Pool, pool_of_this_thread
from benchmarks.harness.measurement.job import CanaryJob, CanaryResult, CanaryVerdict
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.protocol.messages import CanaryAnswers
from benchmarks.harness.worker.canaries import SLEEP_SECONDS, UNWAITED_TIMES, WRONG
from results.statistics.estimators import LAUNCHES_FOR_INTERVAL, Array, lower_quartiles
from results.statistics.moderation import NO_PRIOR, moderated_interval

WORKER_KEYS = ("framework", "device", "dtype")  # of a job, which name the kind of worker
NAMES = ("twice", "unsynchronised", "sleep", "wrong_gradient")
SAMPLES = 12  # of each program in each launch
# A 95 % interval would miss a true 2.0 in one session of twenty. At 99.9 % it is one in a thousand.
CONFIDENCE = 0.999
MARGIN = 0.03
NEAREST, FURTHEST = 2**0.5, 2**1.5  # halfway, on a log scale, from 2 to 1 and from 2 to 4
SCATTERED = 1.5  # upper over lower quartile of a launch's samples
# how much longer a sleep may read, for Python's share, and how much shorter, for a slewed clock
SLEEP_LATE, SLEEP_EARLY = 0.02, 0.002
QUICK = 0.5  # share of the work's time; only a call that reads less was not waited for

Verdict = dict[str, Any]  # of one canary; see `job.CanaryVerdict` for its keys
Judge = Callable[[Sequence[CanaryAnswers]], Verdict]


def take(
    submit: Callable[[CanaryJob], Future[CanaryResult]],
    cells: Iterable[Cell],
    settings: Mapping[str, Any],
) -> Iterator[CanaryResult]:
    """Yield the canaries' results for each framework, device and dtype of these cells.

    Args:
        submit: begins to measure, see `Measurer.measure_canaries`.
        cells: those that will be timed afterwards.
        settings: the other keys of `CanaryJob`: ``launches``, ``limit`` and ``seed``.
    """
    kinds = (tuple(getattr(cell, name) for name in WORKER_KEYS) for cell in cells)
    for kind in dict.fromkeys(kinds):
        job = cast("CanaryJob", dict(zip(WORKER_KEYS, kind, strict=True)) | dict(settings))
        try:
            result = signal_safe_wait.result(submit(job))
        except Exception as error:  # a bug of the harness must not cost the cells
            reason = f"the harness failed: {type(error).__name__}: {error}"
            result = {
                "verdicts": _add_worker(job, _not_taken(reason)),
                "product_seconds": {},
                "spent": {},
                "worker_seconds": 0.0,
            }
        yield result


def measure_canaries_anywhere(job: CanaryJob) -> CanaryResult:
    """Measure the canaries with the workers of this thread, whichever process it runs in."""
    return measure_canaries(job, pool_of_this_thread())


def measure_canaries(job: CanaryJob, pool: Pool) -> CanaryResult:
    """Measure and judge the canaries of one framework in all its launches.

    Returns:
        The verdicts in the order of `NAMES`, and the time spent. If a worker failed, ``passed`` is
        None in every verdict, and ``said`` is the reason.
    """
    start = ready = time.perf_counter()
    reference_seconds: dict[str, list[float]] = {}
    try:
        workers = pool.launches(job["framework"], job["device"], job["dtype"], job["launches"])
        for launch in workers:
            launch.wait_until_ready()
        ready = time.perf_counter()
        verdicts, answers = judge_twice(lambda attempt: _answers(workers, job, attempt))
        key = " ".join((job["framework"], job["device"], job["dtype"]))
        reference_seconds = {key: product_seconds(answers)}
    except WorkerError as error:
        verdicts = _not_taken(str(error))
    except OSError as error:
        pool.end_workers()  # one of them may still owe an answer
        verdicts = _not_taken(disk.message(error) if disk.is_of_storage(error) else str(error))
    return {
        "verdicts": _add_worker(job, verdicts),
        "product_seconds": reference_seconds,
        "spent": {"starting": ready - start, "canaries": time.perf_counter() - ready},
        "worker_seconds": pool.worker_seconds(),
    }


def judge_twice(
    measure: Callable[[int], list[CanaryAnswers]],
) -> tuple[list[Verdict], list[CanaryAnswers]]:
    """Judge the canaries, and if one fails measure and judge all of them once more.

    A canary that passes at the second attempt has passed: a short disturbance by another process
    is over by then, a fault is not.

    Args:
        measure: takes the number of the attempt, 0 or 1, and returns the answers of all launches.

    Returns:
        The verdict of each canary, and the answers of the first attempt.
    """
    answers = measure(0)
    first = judge(answers)
    if all(verdict["passed"] is not False for verdict in first):
        return first, answers
    second = judge(measure(1))
    verdicts = [
        one if one["passed"] is not False else (two if two["passed"] else one) | {"tries": 2}
        for one, two in zip(first, second, strict=True)
    ]
    return verdicts, answers


def product_seconds(answers: Sequence[CanaryAnswers]) -> list[float]:
    """Return the seconds of one matrix product in each launch.

    Runs of many months are compared by this machine reference (`results.regression.history`). The
    list is empty where a time is not positive; a verdict then says so.
    """
    try:
        once, _ = _work(answers)
    except ValueError:
        return []
    return [float(t) / one["products"] for t, one in zip(once, answers, strict=True)]


def _work(launches: Sequence[CanaryAnswers]) -> tuple[Array, Array]:
    """Return the seconds of the work and of twice the work, each [launches].

    What a call costs beside its work, in JAX some 55 µs to wake a thread, is not done twice, so the
    time of a call with little work is subtracted from both.

    Raises:
        ValueError: a time is not positive, or more work took no longer.
    """
    call, once, twice = (
        lower_quartiles([one["samples"][name] for one in launches])
        for name in ("call", "once", "twice")
    )
    if not ((once > call) & (twice > call)).all():
        raise ValueError("more work took no more time than a call with next to none")
    return once - call, twice - call


def _answers(workers: Sequence[Launch], job: CanaryJob, attempt: int) -> list[CanaryAnswers]:
    """Run the canaries in every launch, and return what each measured.

    The launches run one after the other: the machine belongs to one worker at a time.
    """
    return [
        launch.ask(
            "canaries",
            job["limit"],
            dtype=job["dtype"],
            least=SAMPLES,
            seed=[job["seed"], index, attempt],
        )
        for index, launch in enumerate(workers)
    ]


def judge(launches: Sequence[CanaryAnswers]) -> list[Verdict]:
    """Return the verdict of each canary in `NAMES`, from the answers of all launches."""
    judges = (_twice, _unsynchronised, _sleep, _wrong_gradient)
    return [
        {"canary": name, "ratio": None, "tries": 1, **_judged(by, launches)}
        for name, by in zip(NAMES, judges, strict=True)
    ]


def _judged(by: Judge, launches: Sequence[CanaryAnswers]) -> Verdict:
    """Return one canary's verdict; it fails with the reason where a time makes no sense.

    Args:
        by: the function that judges this canary.
        launches: the answers of all launches.
    """
    try:
        return by(launches)
    except ValueError as error:  # a time that is 0, negative, or not finite
        return {"passed": False, "said": str(error)}


def _twice(launches: Sequence[CanaryAnswers]) -> Verdict:
    """Judge whether work done twice reads twice as long; the verdict holds the ratio."""
    once, twice = _work(launches)
    ratio = moderated_interval(np.log(twice / once), NO_PRIOR, CONFIDENCE)
    passed, message = _two(ratio) if ratio["low"] is not None else _about_two(ratio, launches)
    beside = 1e6 * float(np.median(_call_overhead(launches)))
    message = (
        f"work done twice reads {ratio['estimate']:.3g} times as long, without the {beside:.0f} µs "
        f"that a call costs beside it; {message}"
    )
    return {"passed": passed, "said": message, "ratio": ratio}


def _two(ratio: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Return whether 2 lies within the interval of a ratio, or close to it, and the rule in words.

    The first is None where the interval is too wide to prove anything.

    Args:
        ratio: ``low`` and ``high``, the ends of the interval.
    """
    low, high = ratio["low"], ratio["high"]
    message = (
        f"2 must lie within {MARGIN:.0%} of its {CONFIDENCE:.1%} interval [{low:.3g}, {high:.3g}]"
    )
    if not low / (1 + MARGIN) <= 2 <= high * (1 + MARGIN):
        return False, message
    if low < NEAREST or high > FURTHEST:
        return None, f"{message}, so wide that it proves nothing: the machine is not quiet"
    return True, message


def _call_overhead(launches: Sequence[CanaryAnswers]) -> Array:
    """Return the seconds that a call costs beside its one matrix product, for each launch.

    The seconds of a product are those of the canaries' work divided by its number of products. The
    message of canary ``twice`` names the median over launches.
    """
    call = lower_quartiles([one["samples"]["call"] for one in launches])
    return call - _work(launches)[0] / [one["products"] for one in launches]


def _about_two(ratio: Mapping[str, Any], launches: Sequence[CanaryAnswers]) -> tuple[Any, str]:
    """Judge a ratio that has no interval, as there are too few launches; return the rule in words.

    A ratio far from 2 is a fault if the samples are close together, and proves nothing (None) if
    they scatter.

    Args:
        ratio: ``estimate``, the ratio itself.
        launches: the answers of all launches.
    """
    message = f"{NEAREST:.2f} to {FURTHEST:.2f} is let pass under {LAUNCHES_FOR_INTERVAL} launches"
    if NEAREST < ratio["estimate"] < FURTHEST:
        return True, message
    call = lower_quartiles([one["samples"]["call"] for one in launches])
    over = [
        np.percentile(one["samples"][name], (25, 75)) - least
        for one, least in zip(launches, call, strict=True)
        for name in ("once", "twice")
    ]
    if max(upper / lower for lower, upper in over) > SCATTERED:
        return None, f"{message}, but the samples scatter so widely that this proves nothing"
    return False, message


def _unsynchronised(launches: Sequence[CanaryAnswers]) -> Verdict:
    """Judge whether the guard sees each call that is not waited for, and no call that is."""
    early = [why for one in launches for why in one["early"]]
    if early:
        return {"passed": False, "said": f"of a call that is waited for: {early[0]}"}
    reasons = [one["synchronous"] for one in launches if one["synchronous"]]
    if reasons:
        return {"passed": None, "said": reasons[0]}
    due = UNWAITED_TIMES * _work(launches)[0]
    quick = [
        call
        for one, work in zip(launches, due, strict=True)
        for call in one["unwaited"]
        if call["seconds"] < QUICK * work
    ]
    if not quick:
        return {"passed": None, "said": "no call returned before its work was done"}
    missed = sum(not call["caught"] for call in quick)
    message = (
        f"{len(quick)} calls that nobody waited for read "
        f"{1e3 * np.median([call['seconds'] for call in quick]):.3g} ms, work of "
        f"{1e3 * np.median(due):.3g} ms; the guard let {missed or 'none'} of them pass"
    )
    return {"passed": not missed, "said": message}


def _sleep(launches: Sequence[CanaryAnswers]) -> Verdict:
    """Judge whether a sleep reads as long as the kernel's raw clock says, in every launch."""
    read = lower_quartiles([one["samples"]["sleep"] for one in launches])
    true = lower_quartiles([one["slept"] for one in launches])
    if true.min() < SLEEP_SECONDS * (1 - SLEEP_EARLY):
        message = (
            f"a sleep of {1e3 * SLEEP_SECONDS:g} ms took {1e3 * true.min():.4g} by the raw clock"
        )
        return {"passed": False, "said": message}
    late = read / true - 1
    worst = float(late[np.argmax(np.abs(late))])
    message = (
        f"a sleep of {1e3 * np.median(true):.4g} ms by the kernel's raw clock reads {worst:+.2%} "
        f"in the worst launch; {-SLEEP_EARLY:+.1%} to {SLEEP_LATE:+.1%} is let pass"
    )
    return {"passed": bool(((late >= -SLEEP_EARLY) & (late <= SLEEP_LATE)).all()), "said": message}


def _wrong_gradient(launches: Sequence[CanaryAnswers]) -> Verdict:
    """Judge whether the gate lets a right gradient pass and refuses a wrong one."""
    refused = [one["gate"]["right"] for one in launches if one["gate"]["right"] != "pass"]
    if refused:
        return {"passed": False, "said": f"the gate refused a right gradient: {refused[0]}"}
    passed = sum(one["gate"]["wrong"] == "pass" for one in launches)
    message = (
        f"the gate let a gradient scaled by {WRONG} pass in {passed or 'none'} of the launches"
    )
    return {"passed": not passed, "said": message}


def _not_taken(why: str) -> list[Verdict]:
    """Return verdicts that say why no canary could be measured."""
    return [
        {"canary": name, "passed": None, "said": why, "ratio": None, "tries": 0} for name in NAMES
    ]


def _add_worker(job: CanaryJob, verdicts: Iterable[Verdict]) -> list[CanaryVerdict]:
    """Return verdicts with the framework, device and dtype of the workers that they are about."""
    worker = {"framework": job["framework"], "device": job["device"], "dtype": job["dtype"]}
    return [cast("CanaryVerdict", {**worker, **verdict}) for verdict in verdicts]
