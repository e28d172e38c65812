"""Judge canaries: whether the harness measured programs correctly whose right answers are known.

A canary has ``passed``: true, false, or null. It is false only where noise cannot explain what was
measured (`canary_noise`): every launch deviates, by more than its own samples scatter. Where only
some launches do, or the samples scatter as widely, it is null with the reason: no pass, no fault.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.harness.measurement import canary_noise
from benchmarks.harness.protocol.messages import CanaryAnswers
from benchmarks.harness.worker.canaries import SLEEP_SECONDS, UNWAITED_TIMES, WRONG
from results.statistics.estimators import LAUNCHES_FOR_INTERVAL, Array, lower_quartiles
from results.statistics.moderation import NO_PRIOR, moderated_interval

NAMES = ("twice", "unsynchronised", "sleep", "wrong_gradient")
# A 95 % interval would miss a true 2.0 in one session of twenty. At 99.9 % it is one in a thousand.
CONFIDENCE = 0.999
MARGIN = 0.03
NEAREST, FURTHEST = 2**0.5, 2**1.5  # halfway, on a log scale, from 2 to 1 and from 2 to 4
# how much longer a sleep may read, for Python's share, and how much shorter, for a slewed clock
SLEEP_LATE, SLEEP_EARLY = 0.02, 0.002
QUICK = 0.5  # share of the work's time; only a call that reads less was not waited for

Verdict = dict[str, Any]  # of one canary; see `job.CanaryVerdict` for its keys
Judge = Callable[[Sequence[CanaryAnswers]], Verdict]


class NoLonger(ValueError):
    """More work took no more time."""


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
        ValueError: a time is not positive.
        NoLonger: more work took no longer.
    """
    call, once, twice = (
        lower_quartiles([one["samples"][name] for one in launches])
        for name in ("call", "once", "twice")
    )
    if not ((once > call) & (twice > call)).all():
        raise NoLonger("more work took no more time than a call with next to none")
    return once - call, twice - call


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
    try:
        once, twice = _work(launches)
    except NoLonger as error:
        why = _explained(launches)
        message = f"{error}; {canary_noise.undecided_message(why, launches)}" if why else str(error)
        return {"passed": None if why else False, "said": message}
    ratio = moderated_interval(np.log(twice / once), NO_PRIOR, CONFIDENCE)
    passed, message = (_two if ratio["low"] is not None else _about_two)(ratio)
    if passed is False and (why := _explained(launches)):
        passed, message = None, f"{message}; {canary_noise.undecided_message(why, launches)}"
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
        message = f"{message}, so wide that it proves nothing: the machine is not quiet"
        return None, f"{message}; {canary_noise.WHAT_TO_DO}"
    return True, message


def _about_two(ratio: Mapping[str, Any]) -> tuple[bool | None, str]:
    """Judge a ratio that has no interval, as there are too few launches; return the rule in words.

    Args:
        ratio: ``estimate``, the ratio itself.
    """
    message = f"{NEAREST:.2f} to {FURTHEST:.2f} is let pass under {LAUNCHES_FOR_INTERVAL} launches"
    return NEAREST < ratio["estimate"] < FURTHEST, message


def _explained(launches: Sequence[CanaryAnswers]) -> str:
    """Return in words how noise can explain that the ratio is not 2; empty where it cannot.

    A fault of the harness is in every launch, on the same side of 2, and beyond what the samples of
    that launch scatter.

    Args:
        launches: the answers of all launches.
    """
    off = np.array([_log_off(one) for one in launches])
    far = np.abs(off) > np.log1p(MARGIN)
    deviating = max(int((far & (off < 0)).sum()), int((far & (off > 0)).sum()))
    if deviating < len(launches):
        return f"only {deviating} of {len(launches)} launches deviate to the same side"
    spreads = np.array([canary_noise.spread_of_ratio(one) for one in launches])
    if (np.abs(off) <= np.log1p(MARGIN) + spreads).any():
        return "the samples scatter as widely as the ratio is off"
    return ""


def _log_off(launch: CanaryAnswers) -> float:
    """Return the log ratio of a launch less that of 2; -inf where more work took no longer."""
    try:
        once, twice = _work([launch])
    except NoLonger:
        return -math.inf
    return math.log(twice[0] / once[0] / 2)


def _call_overhead(launches: Sequence[CanaryAnswers]) -> Array:
    """Return the seconds that a call costs beside its one matrix product, for each launch.

    The seconds of a product are those of the canaries' work divided by its number of products. The
    message of canary ``twice`` names the median over launches.
    """
    call = lower_quartiles([one["samples"]["call"] for one in launches])
    return call - _work(launches)[0] / [one["products"] for one in launches]


def _unsynchronised(launches: Sequence[CanaryAnswers]) -> Verdict:
    """Judge whether the guard sees each call that is not waited for, and no call that is."""
    early = [why for one in launches for why in one["early"]]
    if early:
        return {"passed": False, "said": f"of a call that is waited for: {early[0]}"}
    reasons = [one["synchronous"] for one in launches if one["synchronous"]]
    if reasons:
        return {"passed": None, "said": reasons[0]}
    try:
        due = UNWAITED_TIMES * _work(launches)[0]
    except NoLonger as error:
        return {"passed": None, "said": f"{error}: what a call is waited for cannot be told"}
    quick = [
        (call, canary_noise.least_work(one))
        for one, work in zip(launches, due, strict=True)
        for call in one["unwaited"]
        if call["seconds"] < QUICK * work
    ]
    if not quick:
        return {"passed": None, "said": "no call returned before its work was done"}
    missed = [(call, least) for call, least in quick if not call["caught"]]
    message = (
        f"{len(quick)} calls that nobody waited for read "
        f"{1e3 * np.median([call['seconds'] for call, _ in quick]):.3g} ms, work of "
        f"{1e3 * np.median(due):.3g} ms; the guard let {len(missed) or 'none'} of them pass"
    )
    # the guard may have come to its question late, when the work was done after all
    if missed and not any(call["asked"] < QUICK * least for call, least in missed):
        why = f"{message}, but may have asked only when the work was done"
        return {"passed": None, "said": canary_noise.undecided_message(why, launches)}
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
    off = (late < -SLEEP_EARLY) | (late > SLEEP_LATE)
    if off.any() and (why := _sleep_explained(late, off, launches)):
        return {
            "passed": None,
            "said": f"{message}; {canary_noise.undecided_message(why, launches)}",
        }
    return {"passed": not off.any(), "said": message}


def _sleep_explained(late: Array, off: Any, launches: Sequence[CanaryAnswers]) -> str:
    """Return in words how noise can explain that a sleep reads wrong; empty where it cannot.

    A sleep that reads short is a fault in any launch: nothing but a pause of the machine makes a
    time shorter.

    Args:
        late: how much longer the sleep reads in each launch, relative.
        off: whether that is more than is let pass, [launches].
        launches: the answers of all launches.
    """
    wrong = [(one, by) for one, by, is_off in zip(launches, late, off, strict=True) if is_off]
    explained = [canary_noise.sleep_explained(one, by, SLEEP_LATE) for one, by in wrong]
    if any(by < 0 and not noise for (_, by), noise in zip(wrong, explained, strict=True)):
        return ""
    if len(wrong) < len(launches):
        return f"only {len(wrong)} of {len(launches)} launches deviate"
    return "the samples scatter as widely as they are off" if any(explained) else ""


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
