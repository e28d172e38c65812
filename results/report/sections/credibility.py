"""Build the section on how far the figures can be believed: checks, noise, machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results.estimates.cross_framework import SESSION_SPREAD
from results.formatting import significant
from results.grouping import group_by
from results.records import canary_status
from results.records.record import AnyRecord, Run
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark
from results.report.gradient_errors import GradientError, epsilon_of, gradient_errors
from results.report.model import Cell, Chart, Row, Section, Table
from results.report.record_cells import filter_values, framework_and_mode, network_name
from results.statistics.verdict import INCONCLUSIVE
from results.ways import way_title

# An error of more epsilons is no rounding; see benchmarks/harness/protocol/equivalence.py.
KINK_EPSILONS = 1000.0
KINKED = " More than rounding: activations on the other side of a kink in float32, up to 1 %."


def section(machine: Machine) -> Section:
    """Return the section on how far the figures can be believed: each check, and the noise.

    The checks are on gradients, clock, comparisons, warm-up and machine.
    """
    rows = [
        _gradients(machine.records),
        _canaries(machine.runs),
        _noise(machine.records),
        _warm_up(machine.records),
        _machine(machine),
        _notes(machine.records),
    ]
    checks = Table("What was checked", ["", "result", "in words"], [row for row in rows if row])
    blocks: list[Any] = [checks, *_noise_chart(machine.records), *_noise_table(machine.records)]
    return Section("belief", title(machine), blocks, "Can it be believed?")


def title(machine: Machine) -> str:
    """Return the finding: what is wrong, else the difference that can be seen."""
    if any(canary_status.failed(run.settings) for run in machine.runs):
        return "No: the clock misread work of known length"
    wrong = sum(record["outcome"] == "wrong_gradients" for record in machine.records)
    if wrong:
        return f"Not all of it: gradients are wrong in {wrong} cells"
    halves = half_widths(machine.records)
    if not halves:
        return "Gradients are right; no ratio has an interval"
    median = significant(100 * float(np.median(halves)), 2)
    return f"Gradients are right, and half of all ratios are known to ±{median} % or better"


def _gradients(records: Sequence[AnyRecord]) -> Row:
    """Return the row on how far the gradients of all timed programs are from float64 ones."""
    checked = [record for record in records if record["equivalence"] == "pass"]
    wrong = sum(record["equivalence"] not in (None, "pass") for record in records)
    errors = gradient_errors(checked)
    text = (
        f"in {len(checked)} cells the program that was timed was first held to float64 gradients, "
        "tensor by tensor; one that fails has no time."
    )
    if errors:
        worst = errors[0]
        text += (
            f" The worst is {worst.parameter} of {network_name(worst.record)}, "
            f"{worst.record['size']}, {significant(worst.epsilons)} epsilons off "
            f"({_percent(worst)} of its norm)." + (KINKED if worst.epsilons > KINK_EPSILONS else "")
        )
    return _check("gradients", [("good", len(checked)), ("bad", wrong)], "right, wrong", text)


def _check(name: str, bar: Sequence[tuple[str, int]], words: str, text: str) -> Row:
    """Return the row of a check: its name, its result as a bar of counts, and what that means.

    Args:
        words: what the segments of the bar count, with commas between.
    """
    counts = zip(bar, words.split(", "), strict=True)
    counts_text = ", ".join(f"{count} {word}" for (_, count), word in counts if count) or "none"
    return Row([Cell(name), Cell(counts_text, bar=bar), Cell(text)])


def _percent(error: GradientError) -> str:
    """Return a gradient error relative to its tensor's norm, as a percentage: ``0.0001 %``."""
    return f"{100 * error.epsilons * epsilon_of(error.record):.2g} %"


def _canaries(runs: Sequence[Run]) -> Row:
    """Return the row on the canaries: how many runs took them, and how many failed.

    A canary is a program whose right answer is known; it checks the clock of the session.
    """
    failed = sum(bool(canary_status.failed(run.settings)) for run in runs)
    took = sum(canary_status.summary(run.settings) is not None for run in runs)
    text = (
        "each session first measures what is known: work done twice, a call not waited for, a "
        f"sleep. {took} of {len(runs)} runs here did"
    )
    bar = [("good", took - failed), ("bad", failed), ("inconclusive", len(runs) - took)]
    words = "runs read it right, misread it, did not look"
    if failed:
        return _check("clock", bar, words, f"{text}; {failed} failed: see the warning at the top.")
    passed = [canary.get("passed") for run in runs for canary in _canaries_of(run)]
    undecided = sum(state is None for state in passed)
    text += (
        f", and none failed; {undecided} of {len(passed)} canaries gave no answer for noise. "
        f"{_double_work(runs)}"
    )
    return _check("clock", bar, words, text.rstrip())


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
        f"Work done twice read {', '.join(ranges)}; what a call costs beside it is not done twice. "
    )


def _range(values: Sequence[float]) -> str:
    """Return the lowest and the highest value in words, ``1.98 to 2.03``, or the only value."""
    if len(values) == 1:
        return significant(values[0])
    return f"{significant(min(values))} to {significant(max(values))}"


def _notes(records: Iterable[AnyRecord]) -> Row | None:
    """Return what users' own files have switched in their processes, each switch once, or None."""
    notes = dict.fromkeys(note for record in records for note in record.get("notes", ()))
    if not notes:
        return None
    return _check("switches", [("inconclusive", len(notes))], "set by a file", "; ".join(notes))


def _canaries_of(run: Run) -> list[Mapping[str, Any]]:
    """Return the results of a run's canaries; empty where it took none."""
    return run.settings.get("canaries") or []


def half_widths(records: Iterable[AnyRecord]) -> list[float]:
    """Return half the width of the interval of each ratio, relative: 0.01 is ±1 %."""
    ratios = [record["ratio"] for record in records if record["ratio"]]
    ends = [(r["low"], r["high"]) for r in ratios if r["low"] and r["high"]]
    return [float(np.expm1(np.log(high / low) / 2)) for low, high in ends]


def _noise(records: Sequence[AnyRecord]) -> Row:
    """Return the row on comparisons: how many are decided, and how precise the ratios are."""
    counts = Counter(record["verdict"] for record in records if record["verdict"])
    undecided = counts[INCONCLUSIVE]
    bar = [("good", sum(counts.values()) - undecided), ("inconclusive", undecided)]
    halves = half_widths(records)
    if not halves:
        text = "no ratio has an interval; verdicts need 6 launches or more."
        return _check("comparisons", bar, "decided, inconclusive", text)
    median, most = (f"±{significant(100 * q, 2)} %" for q in np.quantile(halves, [0.5, 0.9]))
    between_sessions = 100 * float(np.expm1(1.96 * SESSION_SPREAD))
    text = (
        f"half of the {len(halves)} ratios are known to {median} or better, nine of ten to {most}. "
        "A smaller difference is called inconclusive, not equal. Torch against JAX is coarser: "
        f"±{significant(between_sessions, 2)} % are added for what changes between sessions."
    )
    return _check("comparisons", bar, "decided, inconclusive", text)


def _noise_chart(records: Sequence[AnyRecord]) -> list[Chart]:
    """Return the chart of half the width of every ratio's interval; none without intervals."""
    marks: list[Mark] = [
        filter_values(record)
        | {
            "problem": network_name(record),
            "named": way_title(record["strategy"]),
            "line": f"{framework_and_mode(record)} {record['size']}",
            "half": half,
            "half_text": f"±{significant(100 * half, 2)} %",
        }
        for record in _rated(records)
        for half in half_widths([record])
        if half > 0
    ]
    marks.sort(key=lambda mark: (mark["framework"] != "torch", mark["line"]))
    about = (
        "A tick a ratio: half its 95 % interval. Left is known better; less than it is not seen."
    )
    title = "How well each ratio is known"
    return [charts.half_widths("noise", title, about, marks)] if marks else []


def _noise_table(records: Sequence[AnyRecord]) -> list[Table]:
    """Return the table of typical half widths of the ratios' intervals; none without intervals.

    It has a row for each framework, mode and size. A smaller difference cannot be seen there.
    """
    rows = []
    groups = group_by(_rated(records), lambda r: (r["framework"], r["mode"], r["size"]))
    for names, members in groups.items():
        quantiles = np.quantile(half_widths(members), [0.5, 0.9])
        cells = [*map(Cell, names), Cell(str(len(members)))]
        cells += [Cell(f"±{significant(100 * float(half), 2)} %") for half in quantiles]
        rows.append(Row(cells, {"framework": names[0], "size": names[2]}))
    columns = ["framework", "mode", "size", "ratios", "half the interval: median", "worst tenth"]
    return [Table("How noisy it was", columns, rows, (3, 4, 5), folded=True)] if rows else []


def _rated(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Return the records whose ratio has an interval."""
    return [r for r in records if r["ratio"] and r["ratio"]["low"] and r["ratio"]["high"]]


def _warm_up(records: Sequence[AnyRecord]) -> Row | None:
    """Return the row on how many times still had a trend; None where none was tested."""
    timed = [record["steady"] for record in records if record["seconds"]]
    tested = [steady for steady in timed if steady is not None]
    if not tested:
        return None
    trends, untested = tested.count(False), len(timed) - len(tested)
    if trends:
        text = (
            f"{trends} of {len(tested)} times still had a trend when they were taken, and are "
            "marked."
        )
    else:
        text = f"all {len(tested)} times had settled before they counted."
    few = f" Of {untested} more it is not known: too few samples, of calls that take long."
    bar = [("good", len(tested) - trends), ("bad", trends), ("inconclusive", untested)]
    words = "settled, with a trend, not known"
    return _check("warm-up", bar, words, text + (few if untested else ""))


def _machine(machine: Machine) -> Row:
    """Return the row on the machine: whether it is virtual, and its load before measuring."""
    about = machine.newest.machine
    text = "a virtual one" if about.get("virtual") else "not known to be a virtual one"
    load = about.get("load")
    if load:
        text += f", load {load[0]:g} before the newest run"
    words = (
        "figures hold for this machine and these versions; ratios of ways carry over to others "
        "better than times do, and torch against JAX least of all."
    )
    return Row([Cell("machine"), Cell(text), Cell(words)])
