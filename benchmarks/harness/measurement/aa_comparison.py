"""Measure noise by an A/A comparison: one strategy, built several times, timed against itself.

Nothing differs between the copies, so what comes out is noise. They are measured as every other
group is, by `measure_group`: checked, warmed up, in interleaved blocks, launch by launch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import group
from benchmarks.harness.measurement.job import CellOutcome, GroupJob
from benchmarks.harness.protocol.cells import DEFAULT_MODES
from benchmarks.harness.worker import clock

# four, as most groups hold about so many: their order in a block and the time between them count
COPIES = ("summed", "summed@2", "summed@3", "summed@4")
SCENARIO, PHASE = "linear_cascade", "backward"
# a call of microseconds, which is dispatch, and one of milliseconds, which is matrix products
SIZES = ("seed", "medium")
RUN_SECONDS = clock.CELL_SECONDS  # what a run measures of a cell in each launch, by default
LAUNCHES = (6, 10, 16)  # how many a run may have, to say what each is good for
FIGURES = (
    "seconds",
    "sd",
    "sd_low",
    "sd_high",
    "within_launch",
    "across_processes",
    "half_width",
    "smallest_change",
    "level",
)


def compare(
    frameworks: Sequence[str],
    pool: Pool,
    *,
    device: str,
    seconds: float,
    launches: int,
    at: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """Measure the noise of each framework and size, and yield its `FIGURES` once it is measured.

    Args:
        frameworks: names of frameworks that are installed.
        pool: the workers to measure with.
        device: ``cpu`` or ``cuda``.
        seconds: of sampling in all; starting and warming up come on top.
        launches: worker processes for each framework.
        at: called with framework and size before these are measured.

    Yields:
        The cell and its figures, see `_figures`.
    """
    each = seconds / (len(frameworks) * len(SIZES) * launches * len(COPIES))
    for framework in frameworks:
        for size in SIZES:
            at(f"{framework} {size}")
            job = _job(framework, size, device, launches, each)
            yield _figures(job, group.measure_group(job, pool)["cells"])


def _job(framework: str, size: str, device: str, launches: int, seconds: float) -> GroupJob:
    """Return the job that measures all copies of the strategy in one framework and size."""
    return {
        "kind": "backward",
        "scenario": SCENARIO,
        "variant": "-",
        "size": size,
        "framework": framework,
        "mode": DEFAULT_MODES.get(framework, "eager"),
        "phase": PHASE,
        "device": device,
        "dtype": "float32",
        "strategies": list(COPIES),
        "references": [framework],
        "launches": launches,
        "seconds": seconds,
        "limit": 120.0,
        "seed": 0,
        "memory": False,
    }


def _figures(job: GroupJob, cells: dict[str, CellOutcome]) -> dict[str, Any]:
    """Return the noise of one framework and size, from the outcomes of all copies.

    ``seconds`` of one call, ``sd`` of a launch's log ratio with its 95 % interval ``sd_low`` to
    ``sd_high``, ``within_launch`` and ``across_processes`` (SDs of logs), ``level``; by number of
    launches the ``half_width`` of a 95 % interval; and the ``smallest_change`` that 6 launches can
    find. Where a copy could not be timed they are all null, and ``why`` says why.

    Args:
        job: what was measured.
        cells: copy → its outcome with all samples.
    """
    from results.statistics import estimators, noise  # they load SciPy, and `list` need not wait

    about: dict[str, Any] = {
        "framework": job["framework"],
        "size": job["size"],
        "phase": job["phase"],
        "device": job["device"],
        "mode": job["mode"],
        "scenario": SCENARIO,
        "strategy": COPIES[0],
        "launches": job["launches"],
        **dict.fromkeys((*FIGURES, "why")),
    }
    failed = next((cells[name] for name in COPIES if cells[name]["outcome"] != "ok"), None)
    if failed:
        return about | {"outcome": failed["outcome"], "why": failed["why"]}
    samples = [cells[name]["samples"] for name in COPIES]
    result = noise.unchanged(samples, _stretches(samples, job["seconds"]))
    sd = result.ratio.sd
    low, high = noise.sd_interval(result.ratio)
    return about | {
        "outcome": "ok",
        "seconds": estimators.time_estimate(samples[0])["estimate"],
        "sd": sd,
        "sd_low": low,
        "sd_high": high,
        "within_launch": result.within_launch,
        "across_processes": result.across_processes,
        "half_width": {str(count): noise.half_width(sd, count) for count in LAUNCHES},
        "smallest_change": noise.smallest_change(
            sd, noise.DEFAULT_LAUNCHES, margin=noise.margin([sd])
        ),
        "level": noise.level(sd),
    }


def _stretches(samples: Sequence[Sequence[Sequence[float]]], seconds: float) -> int:
    """Return the number of parts, each as long as a run's launch, that a launch is divided into.

    No part may hold fewer blocks than a run's least.

    Args:
        samples: seconds per call [copies, launches, samples].
        seconds: of sampling in each launch.
    """
    fewest = min(len(launch) for copy in samples for launch in copy)
    return max(1, min(int(seconds / RUN_SECONDS), fewest // group.LEAST_BLOCKS))
