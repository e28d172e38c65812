"""Measure canaries: before any cell is timed, the harness must measure known programs correctly.

A canary is a program whose right answer is known: work done twice, a call that is not waited for, a
sleep, a wrong gradient. Canaries are measured in every launch of every framework that is timed, by
the same clock, guard and gate as the cells. `canary_verdicts` judges what they measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, cast

from benchmarks.harness.launches import signal_safe_wait
from benchmarks.harness.launches.launch import Launch, WorkerError
from benchmarks.harness.launches.pool import Pool, pool_of_this_thread
from benchmarks.harness.measurement.canary_verdicts import (
    NAMES,
    Verdict,
    judge,
    product_seconds,
)
from benchmarks.harness.measurement.job import CanaryJob, CanaryResult, CanaryVerdict
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.protocol.messages import CanaryAnswers

WORKER_KEYS = ("framework", "device", "dtype")  # of a job, which name the kind of worker
SAMPLES = 12  # of each program in each launch


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


def _not_taken(why: str) -> list[Verdict]:
    """Return verdicts that say why no canary could be measured."""
    return [
        {"canary": name, "passed": None, "said": why, "ratio": None, "tries": 0} for name in NAMES
    ]


def _add_worker(job: CanaryJob, verdicts: Iterable[Verdict]) -> list[CanaryVerdict]:
    """Return verdicts with the framework, device and dtype of the workers that they are about."""
    worker = {"framework": job["framework"], "device": job["device"], "dtype": job["dtype"]}
    return [cast("CanaryVerdict", {**worker, **verdict}) for verdict in verdicts]
