"""Tell whether noise can explain what a canary measured in a launch.

A busy machine makes some samples longer, so that times which are read correctly may still be far
from what is known. The spread of a launch's own samples says how far. A launch in which the worker
had to wait for a processor, or the machine stood still, is given a factor of √2 beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from benchmarks.harness.protocol.messages import CanaryAnswers
from benchmarks.harness.worker.canaries import UNWAITED_TIMES
from results.statistics.estimators import lower_quartiles

WAITED = 0.05  # share of its time at which a worker that had to wait for a processor is disturbed
DISTURBED = math.log(2) / 2  # allowed there beside the spread: a factor of √2, as a logarithm
SCATTERED = 1.5  # upper over lower quartile at which samples do not show that more work took longer
CHAINS = ("call", "once", "twice")  # the programs whose times make up the ratio of work done twice
WHAT_TO_DO = (
    "measure again on a quiet machine; cascade-bench doctor names the processes that disturb it"
)


def disturbance(launch: CanaryAnswers) -> float:
    """Return by how much a launch may be off for what disturbed its worker, as a log ratio."""
    return DISTURBED if _disturbances(launch) else 0.0


def spread_of_ratio(launch: CanaryAnswers) -> float:
    """Return how far noise may shift the ratio of work done twice in a launch, as a log ratio.

    It is the distance between the quartiles of both times over the call, each taken at its worst;
    infinite where the quartiles overlap and the samples scatter by a factor of `SCATTERED`.
    """
    quartiles = {name: _quartiles(launch["samples"][name]) for name in CHAINS}
    least, most = quartiles["call"]
    scatter = disturbance(launch)
    for name in ("once", "twice"):
        lower, upper = quartiles[name]
        if lower <= most:  # it cannot be told whether more work took longer
            widest = max(high / low for low, high in quartiles.values())
            return math.inf if widest > SCATTERED else scatter
        scatter += math.log((upper - least) / (lower - most))
    return scatter


def least_work(launch: CanaryAnswers) -> float:
    """Return the seconds that the work of a call which is not waited for takes at the very least.

    It is by the quickest sample, as a neighbour makes the others longer; 0 where the samples do not
    show that work took any time.
    """
    samples = launch["samples"]
    return UNWAITED_TIMES * max(0.0, min(samples["once"]) - _quartiles(samples["call"])[1])


def sleep_explained(launch: CanaryAnswers, late: float, allowed: float) -> bool:
    """Return whether noise can explain that a sleep reads late in a launch.

    Between the raw clock and the one under test the worker may be interrupted; that makes a sample
    longer, never all of them, and never shorter. So noise explains it if any one sleep reads right.
    Only where the machine stood still may the samples of the two clocks not be the same ones; then
    the shortest sample is held to the longer ones of the raw clock.

    Args:
        launch: its answers.
        late: how much longer the sleep reads, relative.
        allowed: how much longer it may read.
    """
    read, slept = np.array(launch["samples"]["sleep"]), np.array(launch["slept"])
    if not launch["paused"]:
        return late > 0.0 and float((read / slept).min()) <= 1.0 + allowed
    if abs(math.log1p(late)) <= DISTURBED:
        return True
    return late > 0.0 and float(read.min() / np.percentile(slept, 75)) <= 1.0 + allowed


def undecided_message(why: str, launches: Sequence[CanaryAnswers]) -> str:
    """Return in words why a deviation is no proof of a fault, and what to do.

    Args:
        why: what is in doubt.
        launches: the answers of all launches; what disturbed them is named.
    """
    seen = [text for one in launches if (text := _disturbances(one))]
    disturbed = f"; in {len(seen)} of {len(launches)} launches {seen[0]}" if seen else ""
    return f"{why}{disturbed}; {WHAT_TO_DO}"


def _disturbances(launch: CanaryAnswers) -> str:
    """Return in words what disturbed a launch's canaries; empty where nothing did."""
    waited, paused = launch["waited"], launch["paused"]
    texts = []
    if waited is not None and waited > WAITED:
        texts.append(f"the worker waited for a processor {waited:.0%} of the time")
    if paused:
        texts.append(f"the machine stood still for {sum(paused):.2g} s")
    return " and ".join(texts)


def _quartiles(samples: Sequence[float]) -> tuple[float, float]:
    """Return the lower and the upper quartile of samples.

    Raises:
        ValueError: there are none, or a time that is not finite and above 0.
    """
    lower = float(lower_quartiles([samples])[0])  # refuses what is no time
    return lower, float(np.percentile(samples, 75))
