"""Build the document of a comparison of two versions, and draw the conclusions from it.

The document, one JSON file, has everything that was measured as plain data (`schema.Document`).
Verdicts are not in it: they are computed from it whenever it is shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from results.records.record import RecordError, lower_precision
from results.regression import counts
from results.regression.counts import CountChange
from results.regression.decision import WALL, Rows, decide_rows, rows_of
from results.regression.schema import ComparedCell, Document
from results.statistics import launch_pairs
from results.statistics.verdict import ALPHA, EQUAL, FASTER, INCONCLUSIVE, SLOWER, half_widths

SCHEMA, KIND = 1, "regression"
# Verdicts of cells that were not compared, beside those of `results.statistics.verdict`.
WRONG, FAILED = "wrong gradients", "failed"
NEW, GONE, FIXED = "not in base", "not in head", "base was wrong"
# All verdicts, the most important for a reader first.
ORDER = (WRONG, SLOWER, FAILED, INCONCLUSIVE, FIXED, GONE, NEW, FASTER, EQUAL)
VERDICT_OF_STATE = {
    "wrong_in_head": WRONG,
    "wrong_in_base": FIXED,
    "only_in_head": NEW,
    "failed_in_head": FAILED,
    "failed": FAILED,
}
# Exit codes of a session; see docs/regress.md.
NOTHING_SLOWER, REGRESSION, ERROR, UNDECIDED, STOPPED = 0, 1, 2, 3, 130
INTERRUPTED = "it was interrupted"  # the document's ``stopped`` after Ctrl-C
# The packages whose versions may make two versions of the code differ in speed.
PACKAGES = ("python", "torch", "jax", "jaxlib", "flax", "optax", "numpy")
TIMES = {WALL: "wall time", "cpu": "CPU time"}  # metric → its name
TOO_FEW = "too few launch pairs for a first look"
DISTURBED = "base against base differs: something disturbed this cell"


@dataclass(frozen=True)
class Ratio:
    """Head's time over base's, with its 95 % interval, not adjusted for the number of ratios."""

    estimate: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Finding:
    """The conclusion on one cell.

    Attributes:
        cell: the fields of the cell.
        verdict: one of `ORDER`.
        why: the reason of the verdict, or an empty string.
        ratios: by metric, ``wall`` and ``cpu``.
        base: the median over launches, in seconds per call; None where it was not measured.
        head: the same of head.
        counts: what it does and holds that is not the same on both sides.
    """

    cell: Mapping[str, str]
    verdict: str
    why: str
    ratios: Mapping[str, Ratio]
    base: float | None
    head: float | None
    counts: Sequence[CountChange] = ()

    @property
    def name(self) -> str:
        """Return the cell's name without the fields that are the same for nearly all cells."""
        parts = ("framework", "scenario", "variant", "size", "mode", "phase", "strategy")
        named = [self.cell[part] for part in parts if self.cell[part] != "-"]
        return " ".join([*named, *lower_precision(self.cell)])


@dataclass(frozen=True)
class FrameworkShift:
    """The change that all cells of a framework share: "everything shifted by x %".

    Attributes:
        framework: "torch" or "jax".
        cells: how many cells share it.
        ratios: by metric.
    """

    framework: str
    cells: int
    ratios: Mapping[str, Ratio]

    @property
    def verdict(self) -> str:
        """Return the joint verdict of all metrics."""
        return joint_verdict({name: ratio.verdict for name, ratio in self.ratios.items()})


@dataclass(frozen=True)
class Analysis:
    """All conclusions of a comparison.

    Attributes:
        findings: one for each cell, the worst first.
        shifts: one for each framework with enough cells, the worst first.
        pairs: how many launch pairs they rest on.
        uncounted: of a comparison of counts alone, how many cells could not be counted; None
            where cells were timed.
    """

    findings: Sequence[Finding]
    shifts: Sequence[FrameworkShift]
    pairs: int
    uncounted: int | None = None

    @property
    def exit_code(self) -> int:
        """Return 1 for a regression, 2 a failed cell, 3 inconclusive, 0 if nothing got worse.

        Cells that base lacks, or had wrong, are compared with nothing and do not count; where there
        are no others, the comparison is inconclusive.
        """
        if any(one.decides for finding in self.findings for one in finding.counts):
            return REGRESSION
        verdicts = {one.verdict for one in self.findings} | {s.verdict for s in self.shifts}
        if verdicts & {WRONG, SLOWER}:
            return REGRESSION
        if FAILED in verdicts:
            return ERROR
        if self.uncounted is not None:
            counted = sum(one.verdict == INCONCLUSIVE for one in self.findings) - self.uncounted
            return NOTHING_SLOWER if counted and not self.uncounted else UNDECIDED
        decided = verdicts & {EQUAL, FASTER} and INCONCLUSIVE not in verdicts
        return NOTHING_SLOWER if decided else UNDECIDED

    @property
    def worse_metrics(self) -> list[str]:
        """Return what a regression is one of: gradients, times, and counts, each once."""
        timed: list[Finding | FrameworkShift] = [*self.findings, *self.shifts]
        slower = {m for one in timed for m, r in one.ratios.items() if r.verdict == SLOWER}
        wrong = [WRONG] if any(one.verdict == WRONG for one in self.findings) else []
        decisive_labels = {
            one.label for finding in self.findings for one in finding.counts if one.decides
        }
        labels = [one.label for one in counts.METRICS.values() if one.label in decisive_labels]
        return [*wrong, *(text for metric, text in TIMES.items() if metric in slower), *labels]


def session_exit_code(document: Mapping[str, Any], result: Analysis) -> int:
    """Return the exit code of the session that made this document; see docs/regress.md.

    A session that broke off or was not saved ends with an error, whatever was concluded, except for
    a regression, which stays one.
    """
    if document.get("stopped") == INTERRUPTED:
        return STOPPED
    whole = not (document.get("broke_off") or document.get("unsaved"))
    return result.exit_code if whole or result.exit_code == REGRESSION else ERROR


def new_document(cells: Sequence[Mapping[str, str]], **known: Any) -> dict[str, Any]:
    """Return the `Document` of a comparison of these cells that has measured nothing yet.

    Args:
        known: the keys of `Document` that are known from the start.
    """
    return {
        "schema": SCHEMA,
        "kind": KIND,
        **known,
        "finished": None,
        "pairs": 0,
        "stopped": None,
        "cells": [{"cell": dict(c), "state": "ok", "why": None, "seconds": {}} for c in cells],
    }


def new_design(**more: Any) -> dict[str, Any]:
    """Return the `DesignSettings` of a new comparison: how it measures and decides.

    A look is added to ``taken`` when it was made, with its share of the session's time.

    Args:
        more: settings beside the margin, alpha and looks.
    """
    return {
        "margin": launch_pairs.MARGIN,
        "alpha": ALPHA,
        "looks": [],
        "taken": [],
        "shares": [],
        **more,
    }


def launch_quantile(turns: Sequence[Sequence[float]], quantile: float, dropped: int) -> float:
    """Return a cell's time in one launch, in seconds per call: a low quantile of its samples.

    Args:
        turns: the samples of each turn, in seconds per call.
        quantile: in percent.
        dropped: how many samples at the start of each turn are left out, since the caches then
            belong to another process. The last sample of a turn always counts.

    Raises:
        ValueError: there is no sample, or one that is not finite and above 0.
    """
    samples = [sample for turn in turns for sample in turn[min(dropped, len(turn) - 1) :]]
    values = np.asarray(samples, dtype=np.float64)
    if not values.size or not np.isfinite(values).all() or values.min() <= 0:
        raise ValueError("a turn without samples, or a time that is not above 0 s; measure again")
    return float(np.percentile(values, quantile))


def analysis(document: Mapping[str, Any]) -> Analysis:
    """Return the conclusions that a comparison's document allows, the worst first.

    Raises:
        RecordError: the document is no `Document`.
    """
    try:
        return _analysis(cast(Document, document))
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise RecordError(f"this is no comparison of this suite: {error!r}") from error


def undecided(document: Mapping[str, Any]) -> bool:
    """Return whether any conclusion is inconclusive, so that more launch pairs could decide it."""
    conclusions = _analysis(cast(Document, document))
    verdicts = {one.verdict for one in conclusions.findings}
    return INCONCLUSIVE in verdicts | {shift.verdict for shift in conclusions.shifts}


def _analysis(document: Document) -> Analysis:
    """Return the conclusions of `analysis`, without a check of the document."""
    rows = rows_of(document)
    measured = [] if rows is None else rows.entries
    others = [one for one in document["cells"] if one not in measured]
    looks = document["design"]["taken"]
    findings, shifts = (
        _decided(rows, decide_rows(document, rows))
        if rows is not None and looks
        else (_before_first_look(measured), [])
    )
    all_findings = _with_counts([*findings, *map(_not_compared, others)], document)
    uncounted = _uncounted(document) if document.get("counts_only") else None
    pairs = looks[-1] if looks else 0
    return replace(worst_first(all_findings, shifts, pairs), uncounted=uncounted)


def _with_counts(findings: Sequence[Finding], document: Document) -> list[Finding]:
    """Return the findings with the counts that changed, of cells that both sides compute right."""
    of_cell = {
        tuple(entry["cell"].values()): counts.changes_of(entry, document["sides"])
        for entry in document["cells"]
        if entry["state"] == "ok"
    }
    return [replace(one, counts=of_cell.get(tuple(one.cell.values()), ())) for one in findings]


def _uncounted(document: Document) -> int:
    """Return how many cells that both sides compute right have no count of both."""
    return sum(not one.get("counts") for one in document["cells"] if one["state"] == "ok")


def worst_first(
    findings: Iterable[Finding], shifts: Iterable[FrameworkShift], pairs: int
) -> Analysis:
    """Return the conclusions sorted by verdict, and cells of the same verdict by ratio."""
    sorted_shifts = sorted(shifts, key=lambda shift: ORDER.index(shift.verdict))
    return Analysis(sorted(findings, key=_rank), sorted_shifts, pairs)


def _rank(finding: Finding) -> tuple[int, float]:
    """Return the sort key of a conclusion: by verdict, then the slowest by wall time first."""
    ratio = finding.ratios.get(WALL)
    return ORDER.index(finding.verdict), -(ratio.estimate if ratio else 0.0)


def _not_compared(entry: ComparedCell) -> Finding:
    """Return the finding on a cell without times, with the reason why it was not compared."""
    if entry["state"] == "ok":
        return Finding(entry["cell"], INCONCLUSIVE, "not measured", {}, None, None)
    verdict = VERDICT_OF_STATE[entry["state"]]
    return Finding(entry["cell"], verdict, str(entry["why"]), {}, None, None)


def _before_first_look(entries: Sequence[ComparedCell]) -> list[Finding]:
    """Return inconclusive findings with the times of these cells: it is too early for a verdict."""
    return [_finding(one, {}, INCONCLUSIVE, TOO_FEW) for one in entries]


def _decided(
    rows: Rows, session: launch_pairs.Decision
) -> tuple[list[Finding], list[FrameworkShift]]:
    """Return the conclusions on the measured cells, and on what a framework's cells share."""
    ratios, findings = _ratios(session), []
    for place, entry in enumerate(rows.entries):
        of_metric = rows.of_cell(place)
        undisturbed = all(session.control_passed[row] for row in of_metric.values())
        own = {metric: ratios[row] for metric, row in of_metric.items()}
        verdict = joint_verdict({metric: ratio.verdict for metric, ratio in own.items()})
        findings.append(_finding(entry, own, verdict, "" if undisturbed else DISTURBED))
    names = [one["cell"]["framework"] for one in rows.entries]
    shifts = [
        FrameworkShift(
            name,
            names.count(name),
            {metric: ratios[row] for metric, row in rows.of_framework(name).items()},
        )
        for name in rows.shared_frameworks()
    ]
    return findings, shifts


def _ratios(session: launch_pairs.Decision) -> list[Ratio]:
    """Return the ratio of each row of a decision: head over base, with interval and verdict."""
    halves = half_widths(session.rows)
    return [
        Ratio(math.exp(log), math.exp(log - half), math.exp(log + half), str(verdict))
        for log, half, verdict in zip(session.rows.log_ratio, halves, session.verdicts, strict=True)
    ]


def joint_verdict(verdicts: Mapping[str, str]) -> str:
    """Return one verdict for several metrics: slower if any is slower, else that of wall time.

    Less CPU time alone is not "faster": code that waits longer for a result may use less of it.
    """
    if SLOWER in verdicts.values():
        return SLOWER
    return verdicts.get(WALL, INCONCLUSIVE)


def _finding(entry: ComparedCell, ratios: Mapping[str, Ratio], verdict: str, why: str) -> Finding:
    """Return the conclusion on a cell, with the median times of base and head."""
    wall = np.asarray(entry["seconds"][WALL], dtype=np.float64)
    base, head = (float(np.median(wall[:, side])) for side in (0, 1))
    return Finding(entry["cell"], verdict, why, ratios, base, head)
