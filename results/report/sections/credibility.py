"""Build the list that says how far the figures can be believed: checks, noise, machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results.estimates.cross_framework import SESSION_SPREAD
from results.formatting import significant
from results.records import canary_status
from results.records.record import AnyRecord, Run
from results.report.collection import Machine
from results.report.gradient_errors import EPSILON, GradientError, gradient_errors
from results.report.model import Paragraph, Points, Section, Strong
from results.report.record_cells import network_name

# An error of more epsilons is no rounding; see benchmarks/harness/protocol/equivalence.py.
KINK_EPSILONS = 1000.0
KINKED = (
    " More than rounding: single activations on the other side of a kink in float32, allowed up to "
    "1 % where the scenario says that it happens."
)


def section(machine: Machine) -> Section:
    """Return the section on how far the figures can be believed: a list of short paragraphs.

    They are on gradients, clock, noise, warm-up and machine.
    """
    lines = [
        _gradients(machine.records),
        _canaries(machine.runs),
        _noise(machine.records),
        _warm_up(machine.records),
        _machine(machine),
        _notes(machine.records),
    ]
    points = Points([line for line in lines if line])
    return Section("belief", "Can these figures be believed?", [points])


def _gradients(records: Sequence[AnyRecord]) -> Paragraph:
    """Return a paragraph on how far the gradients of all timed programs are from float64 ones."""
    checked = [record for record in records if record["equivalence"] == "pass"]
    errors = gradient_errors(checked)
    text = (
        f"Gradients: in {len(checked)} cells the program that was timed was first held to the "
        "scenario's float64 gradients, tensor by tensor; one that fails has no time."
    )
    if not errors:
        return [text]
    worst, median = errors[0], errors[len(errors) // 2]
    text += (
        f" Half of the tensors are within {significant(median.epsilons, 2)} epsilons "
        f"({_percent(median)}); the worst is {worst.parameter} of {network_name(worst.record)}, "
        f"{worst.record['size']}, {significant(worst.epsilons)} epsilons off ({_percent(worst)} of "
        "its norm)."
    )
    return [text + (KINKED if worst.epsilons > KINK_EPSILONS else "")]


def _percent(error: GradientError) -> str:
    """Return a gradient error relative to its tensor's norm, as a percentage: ``0.0001 %``."""
    epsilon = EPSILON.get(error.record["dtype"], EPSILON["float32"])  # as they were computed
    return f"{100 * error.epsilons * epsilon:.2g} %"


def _canaries(runs: Sequence[Run]) -> Paragraph:
    """Return a paragraph on the canaries: how many runs took them, and how many failed.

    A canary is a program whose right answer is known; it checks the clock of the session.
    """
    failed = sum(bool(canary_status.failed(run.settings)) for run in runs)
    with_canaries = sum(canary_status.summary(run.settings) is not None for run in runs)
    text = (
        "Clock: each session first measures what is known, work done twice, a call not waited "
        f"for, a sleep. {with_canaries} of {len(runs)} runs here did"
    )
    if failed:
        return [text, "; ", Strong(f"{failed} failed"), ": see the warning at the top."]
    passed = [canary.get("passed") for run in runs for canary in _canaries_of(run)]
    undecided = sum(state is None for state in passed)
    return [
        f"{text}, and none failed; {undecided} of {len(passed)} canaries could not be told, as "
        "where the machine was not quiet just then, or a call cannot return before its work is "
        f"done. {_double_work(runs)}Each run's own stand under how it was measured."
    ]


def _double_work(runs: Iterable[Run]) -> str:
    """Return in words how much longer the canary that does its work twice took, by framework.

    The text is empty where no run took that canary.
    """
    ratios: dict[str, list[float]] = {}
    for run in runs:
        for canary in _canaries_of(run):
            ratio = canary.get("ratio")
            if ratio and ratio["estimate"] is not None:
                ratios.setdefault(str(canary.get("framework")), []).append(ratio["estimate"])
    if not ratios:
        return ""
    ranges = [
        f"{_range(values)} times as long in {framework}" for framework, values in ratios.items()
    ]
    return (
        f"Work done twice read {', '.join(ranges)}; what a call costs beside its work is not done "
        "twice. "
    )


def _range(values: Sequence[float]) -> str:
    """Return the lowest and the highest value in words, ``1.98 to 2.03``, or the only value."""
    if len(values) == 1:
        return significant(values[0])
    return f"{significant(min(values))} to {significant(max(values))}"


def _notes(records: Iterable[AnyRecord]) -> Paragraph:
    """Return a paragraph on what users' own files have switched in their processes, each once."""
    notes = dict.fromkeys(note for record in records for note in record.get("notes", ()))
    if not notes:
        return []
    return [Strong("Switched by the files measured: "), f"{'; '.join(notes)}."]


def _canaries_of(run: Run) -> list[Mapping[str, Any]]:
    """Return the results of a run's canaries; empty where it took none."""
    return run.settings.get("canaries") or []


def half_widths(records: Iterable[AnyRecord]) -> list[float]:
    """Return half the width of the interval of each ratio, relative: 0.01 is ±1 %."""
    ratios = [record["ratio"] for record in records if record["ratio"]]
    ends = [(r["low"], r["high"]) for r in ratios if r["low"] and r["high"]]
    return [float(np.expm1(np.log(high / low) / 2)) for low, high in ends]


def _noise(records: Sequence[AnyRecord]) -> Paragraph:
    """Return a paragraph on how precise the ratios are: the median and the 90th percentile."""
    halves = half_widths(records)
    if not halves:
        return ["Noise: no ratio has an interval; verdicts need 6 launches or more."]
    median, most = (f"±{significant(100 * q, 2)} %" for q in np.quantile(halves, [0.5, 0.9]))
    between_sessions = 100 * float(np.expm1(1.96 * SESSION_SPREAD))
    return [
        f"Noise: half of the {len(halves)} ratios of ways to their baseline are known to {median} "
        f"or better, nine of ten to {most}. A smaller difference cannot be seen here, and is "
        "called inconclusive, not equal. Torch against JAX is coarser: beside what launches show, "
        f"±{significant(between_sessions, 2)} % are added for what "
        "changes from session to session."
    ]


def _warm_up(records: Sequence[AnyRecord]) -> Paragraph | None:
    """Return a paragraph on how many times still had a trend; None where none was tested."""
    timed = [record["steady"] for record in records if record["seconds"]]
    tested = [steady for steady in timed if steady is not None]
    if not tested:
        return None
    trends, untested = tested.count(False), len(timed) - len(tested)
    if trends:
        text = (
            f"Warm-up: {trends} of {len(tested)} times still had a trend when they were taken, and "
            "are marked."
        )
    else:
        text = f"Warm-up: all {len(tested)} times had settled before they counted."
    few = f" Of {untested} more it is not known: too few samples, of calls that take long."
    return [text + (few if untested else "")]


def _machine(machine: Machine) -> Paragraph:
    """Return a paragraph on the machine: whether it is virtual, and its load before measuring."""
    about = machine.newest.machine
    text = "a virtual one" if about.get("virtual") else "not known to be a virtual one"
    load = about.get("load")
    if load:
        text += f", load {load[0]:g} before the newest run"
    return [
        f"Machine: {text}. Figures hold for this machine and these versions; ratios of ways carry "
        "over to others better than times do, and torch against JAX least of all."
    ]
