"""Canaries: before any cell is measured, the harness must read right what is known.

In every launch of every framework that is timed, through the clock, the guard and the gate that the
cells go through: work done twice, a call that nobody waits for, a sleep, a wrong gradient. A canary
has ``passed``: true, false, or null where it could not be told, which is no pass.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np

from benchmarks.harness.launches import pool, signal_safe_wait
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.worker.canaries import SLEEP_SECONDS, UNWAITED_TIMES, WRONG
from results.statistics.estimators import LAUNCHES_FOR_INTERVAL, Array, lower_quartiles
from results.statistics.moderation import NO_PRIOR, moderated_interval

WHOSE = ("framework", "device", "dtype")
NAMES = ("twice", "unsynchronised", "sleep", "wrong_gradient")
SAMPLES = 12  # of each program in each launch
# A 95 % interval would miss a true 2.0 in one session of twenty. At 99.9 % it is one in a thousand.
CONFIDENCE = 0.999
MARGIN = 0.03
NEAREST, FURTHEST = 2**0.5, 2**1.5  # half-way, in log, from 2 to 1 and to 4
SCATTERED = 1.5  # upper over lower quartile of a launch's samples
SLEEP_LATE, SLEEP_EARLY = 0.02, 0.002  # Python around a sleep; how far the system's clock is slewed
QUICK = 0.5  # an unwaited call that reads less than this of its work's time shows what it must

Verdict = dict[str, Any]
Answer = Mapping[str, Any]  # a launch's


def take(
    executor: Executor, cells: Iterable[Cell], job: Mapping[str, Any]
) -> Iterator[dict[str, Any]]:
    """What `measure_canaries` returns, for each framework, device and dtype of these cells."""
    for what in dict.fromkeys(tuple(getattr(cell, name) for name in WHOSE) for cell in cells):
        mine = dict(zip(WHOSE, what, strict=True)) | dict(job)
        try:
            found = signal_safe_wait.result(executor.submit(measure_canaries, mine))
        except Exception as error:  # a fault of the harness itself must not cost the cells
            why = f"the harness failed: {type(error).__name__}: {error}"
            verdicts = _named(mine, _not_taken(why))
            found = {"verdicts": verdicts, "frozen": {}, "spent": {}, "worker_seconds": 0.0}
        yield found


def measure_canaries(job: Mapping[str, Any]) -> dict[str, Any]:
    """Take the canaries of one framework in all its launches.

    ``job`` holds ``framework``, ``device``, ``dtype``, ``launches``, ``limit`` (seconds a launch
    may take to answer) and ``seed``. Returns plain data: ``verdicts`` in the order of `NAMES`, each
    with ``passed``, ``said``, ``ratio`` (of ``twice``) and ``tries``; the seconds ``spent``; and
    ``worker_seconds``, for how long of them workers worked (`effort`).
    """
    start = time.perf_counter()
    ready, frozen = start, {}
    try:
        workers = pool.POOL.launches(job["framework"], job["device"], job["dtype"], job["launches"])
        for launch in workers:
            launch.ready()
        ready = time.perf_counter()
        verdicts, answers = _settled(workers, job)
        frozen = {" ".join(job[name] for name in WHOSE): _frozen(answers)}
    except WorkerError as error:
        verdicts = _not_taken(str(error))
    spent = {"starting": ready - start, "canaries": time.perf_counter() - ready}
    worked = pool.POOL.worker_seconds()
    return {
        "verdicts": _named(job, verdicts),
        "frozen": frozen,
        "spent": spent,
        "worker_seconds": worked,
    }


def _settled(
    workers: Sequence[Launch], job: Mapping[str, Any]
) -> tuple[list[Verdict], list[dict[str, Any]]]:
    """The verdicts, and the answers they were first taken from.

    What fails is taken once more: a neighbour's burst passes, a fault stays.
    """
    answers = _taken(workers, job, 0)
    first = judge(answers)
    if all(verdict["passed"] is not False for verdict in first):
        return first, answers
    again = judge(_taken(workers, job, 1))
    verdicts = [
        one if one["passed"] is not False else (two if two["passed"] else one) | {"tries": 2}
        for one, two in zip(first, again, strict=True)
    ]
    return verdicts, answers


def _frozen(answers: Sequence[Answer]) -> list[float]:
    """Seconds of one product in each launch: what runs are held to over months (`history`).

    Empty where a time is none, which the verdicts say.
    """
    try:
        once, _ = _work(answers)
    except ValueError:
        return []
    return [float(t) / one["products"] for t, one in zip(once, answers, strict=True)]


def _work(launches: Sequence[Answer]) -> tuple[Array, Array]:
    """Seconds that a launch took for the work, and for twice as much, without those of a call.

    What a call costs beside its work, in JAX some 55 µs to wake a thread, is not done twice, so the
    time of a call with little work is taken from both.

    Raises:
        ValueError: a time is none, or more work took no longer.
    """
    call, once, twice = (
        lower_quartiles([one["samples"][name] for one in launches])
        for name in ("call", "once", "twice")
    )
    if not ((once > call) & (twice > call)).all():
        raise ValueError("more work took no more time than a call with next to none")
    return once - call, twice - call


def _taken(workers: Sequence[Launch], job: Mapping[str, Any], attempt: int) -> list[dict[str, Any]]:
    """What each launch answers, one after the other: the machine is one worker's at a time."""
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


def judge(launches: Sequence[Answer]) -> list[Verdict]:
    """The verdict of each canary over what the launches answered; see `worker_canaries`."""
    judges = (_twice, _unsynchronised, _sleep, _wrong_gradient)
    return [
        {"canary": name, "ratio": None, "tries": 1, **_judged(by, launches)}
        for name, by in zip(NAMES, judges, strict=True)
    ]


def _judged(by: Callable[[Sequence[Answer]], Verdict], launches: Sequence[Answer]) -> Verdict:
    try:
        return by(launches)
    except ValueError as error:  # times that are none: 0, or not finite
        return {"passed": False, "said": str(error)}


def _twice(launches: Sequence[Answer]) -> Verdict:
    once, twice = _work(launches)
    ratio = moderated_interval(np.log(twice / once), NO_PRIOR, CONFIDENCE)
    passed, said = _two(ratio) if ratio["low"] is not None else _about_two(ratio, launches)
    beside = 1e6 * float(np.median(_beside(launches)))
    said = (
        f"work done twice reads {ratio['estimate']:.3g} times as long, without the {beside:.0f} µs "
        f"that a call costs beside it; {said}"
    )
    return {"passed": passed, "said": said, "ratio": ratio}


def _two(ratio: Mapping[str, Any]) -> tuple[bool | None, str]:
    low, high = ratio["low"], ratio["high"]
    said = (
        f"2 must lie within {MARGIN:.0%} of its {CONFIDENCE:.1%} interval [{low:.3g}, {high:.3g}]"
    )
    if not low / (1 + MARGIN) <= 2 <= high * (1 + MARGIN):
        return False, said
    if low < NEAREST or high > FURTHEST:
        return None, f"{said}, so wide that it proves nothing: the machine is not quiet"
    return True, said


def _beside(launches: Sequence[Answer]) -> Array:
    """Seconds of a call with one product that the product does not take."""
    call = lower_quartiles([one["samples"]["call"] for one in launches])
    return call - _work(launches)[0] / [one["products"] for one in launches]


def _about_two(ratio: Mapping[str, Any], launches: Sequence[Answer]) -> tuple[Any, str]:
    """Without an interval: what is far off is a fault only where the samples keep together."""
    said = f"{NEAREST:.2f} to {FURTHEST:.2f} is let pass under {LAUNCHES_FOR_INTERVAL} launches"
    if NEAREST < ratio["estimate"] < FURTHEST:
        return True, said
    call = lower_quartiles([one["samples"]["call"] for one in launches])
    over = [
        np.percentile(one["samples"][name], (25, 75)) - least
        for one, least in zip(launches, call, strict=True)
        for name in ("once", "twice")
    ]
    if max(upper / lower for lower, upper in over) > SCATTERED:
        return None, f"{said}, but the samples scatter so widely that this proves nothing"
    return False, said


def _unsynchronised(launches: Sequence[Answer]) -> Verdict:
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
    said = (
        f"{len(quick)} calls that nobody waited for read "
        f"{1e3 * np.median([call['seconds'] for call in quick]):.3g} ms, work of "
        f"{1e3 * np.median(due):.3g} ms; the guard let {missed or 'none'} of them pass"
    )
    return {"passed": not missed, "said": said}


def _sleep(launches: Sequence[Answer]) -> Verdict:
    read = lower_quartiles([one["samples"]["sleep"] for one in launches])
    true = lower_quartiles([one["slept"] for one in launches])
    if true.min() < SLEEP_SECONDS * (1 - SLEEP_EARLY):
        said = f"a sleep of {1e3 * SLEEP_SECONDS:g} ms took {1e3 * true.min():.4g} by the raw clock"
        return {"passed": False, "said": said}
    late = read / true - 1
    worst = float(late[np.argmax(np.abs(late))])
    said = (
        f"a sleep of {1e3 * np.median(true):.4g} ms by the kernel's raw clock reads {worst:+.2%} "
        f"in the worst launch; {-SLEEP_EARLY:+.1%} to {SLEEP_LATE:+.1%} is let pass"
    )
    return {"passed": bool(((late >= -SLEEP_EARLY) & (late <= SLEEP_LATE)).all()), "said": said}


def _wrong_gradient(launches: Sequence[Answer]) -> Verdict:
    refused = [one["gate"]["right"] for one in launches if one["gate"]["right"] != "pass"]
    if refused:
        return {"passed": False, "said": f"the gate refused a right gradient: {refused[0]}"}
    let = sum(one["gate"]["wrong"] == "pass" for one in launches)
    said = f"the gate let a gradient scaled by {WRONG} pass in {let or 'none'} of the launches"
    return {"passed": not let, "said": said}


def _not_taken(why: str) -> list[Verdict]:
    return [
        {"canary": name, "passed": None, "said": why, "ratio": None, "tries": 0} for name in NAMES
    ]


def _named(job: Mapping[str, Any], verdicts: Iterable[Verdict]) -> list[Verdict]:
    whose = {name: job[name] for name in WHOSE}
    return [{**whose, **verdict} for verdict in verdicts]
