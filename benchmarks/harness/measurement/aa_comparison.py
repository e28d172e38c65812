"""The unchanged comparison: one strategy, built several times, timed against itself.

Nothing differs, so what comes out is noise. It is measured as everything else is, by
`measure_group`: gated, warmed up, in interleaved blocks, launch by launch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness.measurement import group
from benchmarks.harness.protocol.cells import MODES

# four, as most groups hold about so many: their order in a block and the time between them count
COPIES = ("summed", "summed@2", "summed@3", "summed@4")
SCENARIO, PHASE = "linear_cascade", "backward"
# a call of microseconds, which is dispatch, and one of milliseconds, which is matrix products
SIZES = ("seed", "medium")
RUN_SECONDS = 0.05  # what a run measures of a cell in each launch, by default
LAUNCHES = (6, 10, 16)  # how many a run may have, to say what each is good for


def compare(
    frameworks: Sequence[str],
    *,
    device: str,
    seconds: float,
    launches: int,
    at: Callable[[str], None] = lambda _: None,
) -> Iterator[dict[str, Any]]:
    """One dict for each framework and size, as it is measured: see `_told`.

    ``seconds`` of timing are spent on them in all; starting and warming up come on top. ``at`` is
    told what is measured next.
    """
    each = seconds / (len(frameworks) * len(SIZES) * launches * len(COPIES))
    for framework in frameworks:
        for size in SIZES:
            at(f"{framework} {size}")
            job = _job(framework, size, device, launches, each)
            yield _told(job, group.measure_group(job))


def _job(framework: str, size: str, device: str, launches: int, seconds: float) -> dict[str, Any]:
    return {
        "kind": "backward",
        "scenario": SCENARIO,
        "variant": "-",
        "size": size,
        "framework": framework,
        "mode": MODES.get(framework, ("eager",))[0],
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


def _told(job: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """What a group came to.

    ``seconds`` of one call, ``sd`` of a launch's log ratio with ``sd_low`` and ``sd_high`` (95 %),
    ``within_launch`` and ``across_processes`` (SDs of logs), ``level``; by number of launches the
    ``half_width`` of a 95 % interval; and the ``smallest_change`` that 6 can find. All null, and
    ``why`` says why, where a copy could not be timed.
    """
    from results.statistics import (  # here, as they load SciPy, and `list` need not wait
        estimators,
        noise,
    )

    about = {name: job[name] for name in ("framework", "size", "phase", "device", "mode")}
    about |= {"scenario": SCENARIO, "strategy": COPIES[0], "launches": job["launches"]}
    nothing = dict.fromkeys((*FIGURES, "why"))
    bad = next((found[name] for name in COPIES if found[name]["outcome"] != "ok"), None)
    if bad:
        return about | nothing | {"outcome": bad["outcome"], "why": bad["why"]}
    samples = [found[name]["samples"] for name in COPIES]
    result = noise.unchanged(samples, _stretches(samples, job["seconds"]))
    sd = result.ratio.sd
    low, high = noise.sd_interval(result.ratio)
    return about | nothing | {
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
    }  # fmt: skip


FIGURES = (
    "seconds", "sd", "sd_low", "sd_high", "within_launch", "across_processes", "half_width",
    "smallest_change", "level",
)  # fmt: skip


def _stretches(samples: Sequence[Sequence[Sequence[float]]], seconds: float) -> int:
    """How many times over a launch was measured as long as a run would have.

    Never so many that one holds fewer blocks than a run's least.
    """
    fewest = min(len(launch) for copy in samples for launch in copy)
    return max(1, min(int(seconds / RUN_SECONDS), fewest // group.LEAST_BLOCKS))
