"""Whether the figures can be believed: what was checked, what the noise hides, in a few lines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results.estimates.cross_framework import SESSION_SPREAD
from results.formatting import significant
from results.records import canary_status
from results.records.record import Record, Run
from results.report.collection import Machine
from results.report.model import Paragraph, Points, Section, Strong, problem
from results.report.sections.gradients import EPS, Error, errors

# of more than rounding leaves; see benchmarks/harness/protocol/equivalence.py
KINK_EPS = 1000.0
KINKED = (
    " More than rounding: single activations on the other side of a kink in float32, allowed up to "
    "1 % where the scenario says that it happens."
)


def section(machine: Machine) -> Section:
    """Gradients, clock, noise, warm-up, machine: a line each."""
    lines = [
        _gradients(machine.records),
        _canaries(machine),
        _noise(machine.records),
        _steady(machine.records),
        _machine(machine),
    ]
    points = Points([line for line in lines if line])
    return Section("belief", "Can these figures be believed?", [points])


def _gradients(records: Sequence[Record]) -> Paragraph:
    checked = [record for record in records if record["equivalence"] == "pass"]
    found = errors(checked)
    said = (
        f"Gradients: in {len(checked)} cells the program that was timed was first held to the "
        "scenario's float64 gradients, tensor by tensor; one that fails has no time."
    )
    if not found:
        return [said]
    worst, middle = found[0], found[len(found) // 2]
    told = (
        f"{said} Half of the tensors are within {significant(middle.eps, 2)} epsilons "
        f"({_percent(middle)}); the worst is {worst.parameter} of {problem(worst.record)}, "
        f"{worst.record['size']}, {significant(worst.eps)} epsilons off ({_percent(worst)} of "
        "its norm)."
    )
    return [told + (KINKED if worst.eps > KINK_EPS else "")]


def _percent(error: Error) -> str:
    return f"{100 * error.eps * EPS[error.record['dtype']]:.2g} %"


def _canaries(machine: Machine) -> Paragraph:
    told = [canary_status.summary(run.settings) for run in machine.runs]
    failed = sum(bool(canary_status.failed(run.settings)) for run in machine.runs)
    have = sum(text is not None for text in told)
    said = (
        "Clock: each session first measures what is known, work done twice, a call not waited "
        f"for, a sleep. {have} of {len(told)} runs here did"
    )
    twice = _twice(machine.runs)
    if failed:
        return [said, "; ", Strong(f"{failed} failed"), ": see the warning at the top."]
    each = [one for run in machine.runs for one in _each(run)]
    untold = sum(passed is None for passed in each)
    return [
        f"{said}, and none failed; {untold} of {len(each)} canaries could not be told, as where "
        f"the machine was not quiet just then, or a call cannot return before its work is done. "
        f"{twice}Each run's own stand under how it was measured."
    ]


def _twice(runs: Iterable[Run]) -> str:
    """What work done twice read, the least and the most of each framework's sessions."""
    read: dict[str, list[float]] = {}
    for run in runs:
        for one in _canaries_of(run):
            ratio = one.get("ratio")
            if isinstance(ratio, Mapping) and isinstance(ratio.get("estimate"), int | float):
                read.setdefault(str(one.get("framework")), []).append(ratio["estimate"])
    if not read:
        return ""
    told = [
        f"{significant(min(ones))} to {significant(max(ones))} times as long in {framework}"
        if len(ones) > 1 else f"{significant(ones[0])} times as long in {framework}"
        for framework, ones in read.items()
    ]  # fmt: skip
    return (
        f"Work done twice read {', '.join(told)}; what a call costs beside its work is not done "
        "twice. "
    )


def _each(run: Run) -> list[Any]:
    """Whether each canary passed: true, false or null."""
    return [one.get("passed") for one in _canaries_of(run)]


def _canaries_of(run: Run) -> list[Mapping[str, Any]]:
    found = run.settings.get("canaries")
    ones = found if isinstance(found, list) else []
    return [one for one in ones if isinstance(one, Mapping)]


def half_widths(records: Iterable[Record]) -> list[float]:
    """Half of each ratio's interval, relative: 0.01 is ±1 %."""
    ratios = [record["ratio"] for record in records if record["ratio"]]
    ends = [(r["low"], r["high"]) for r in ratios if r["low"] and r["high"]]
    return [float(np.expm1(np.log(high / low) / 2)) for low, high in ends]


def _noise(records: Sequence[Record]) -> Paragraph:
    halves = half_widths(records)
    if not halves:
        return ["Noise: no ratio has an interval; verdicts need 6 launches or more."]
    middle, most = (f"±{significant(100 * q, 2)} %" for q in np.quantile(halves, [0.5, 0.9]))
    return [
        f"Noise: half of the {len(halves)} ratios of ways to their baseline are known to {middle} "
        f"or better, nine of ten to {most}. A smaller difference cannot be seen here, and is "
        "called inconclusive, not equal. Torch against JAX is coarser: beside what launches show, "
        f"±{significant(100 * float(np.expm1(1.96 * SESSION_SPREAD)), 2)} % are added for what "
        "changes from session to session."
    ]


def _steady(records: Sequence[Record]) -> Paragraph | None:
    timed = [record["steady"] for record in records if record["seconds"]]
    told = [steady for steady in timed if steady is not None]
    if not told:
        return None
    still, left = told.count(False), len(timed) - len(told)
    said = (
        f"Warm-up: {still} of {len(told)} times still had a trend when they were taken, and are "
        "marked." if still else f"Warm-up: all {len(told)} times had settled before they counted."
    )  # fmt: skip
    few = f" Of {left} more it is not known: too few samples, of calls that take long."
    return [said + (few if left else "")]


def _machine(machine: Machine) -> Paragraph:
    about = machine.newest.machine
    said = ["Machine: "]
    said.append("a virtual one" if about.get("virtual") else "not known to be a virtual one")
    load = about.get("load")
    if isinstance(load, list) and load and isinstance(load[0], int | float):
        said.append(f", load {load[0]:g} before the newest run")
    said.append(
        ". Figures hold for this machine and these versions; ratios of ways carry over to others "
        "better than times do, and torch against JAX least of all."
    )
    return ["".join(said)]
