"""Base against head: what a comparison took, as plain data, and what is to be said of it.

The document of a comparison, one JSON file:

| key | what |
|---|---|
| ``schema``, ``kind`` | 1, ``regression`` |
| ``id``, ``started``, ``finished`` | as a run's; ``finished`` is null where it was interrupted |
| ``machine``, ``arguments``, ``seed``, ``budget_seconds`` | where, how asked |
| ``sides`` | ``base`` and ``head``: label, commit, files changed, versions, interpreter |
| ``design`` | margin, alpha, quantile, ``looks`` planned and ``taken``, in launch pairs |
| ``pairs`` | launch pairs taken |
| ``stopped`` | why no more were |
| ``broke_off`` | in a document that an error ended after some launch pairs: what |
| ``unsaved`` | true in one that could not be saved where it should be |
| ``cells`` | each with ``cell`` (its fields), ``state``, ``why``, and its ``seconds`` |

``seconds`` holds for each metric (``wall``, ``cpu``) a row a launch pair, of the quantile of base,
of head, and of base again, in seconds per call.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.records.record import RecordError
from results.statistics import launch_pairs
from results.statistics.launch_pairs import Design
from results.statistics.verdict import ALPHA, EQUAL, FASTER, INCONCLUSIVE, SLOWER, half_widths

SCHEMA, KIND = 1, "regression"
WRONG, FAILED = "wrong gradients", "failed"
NEW, GONE, FIXED = "not in base", "not in head", "base was wrong"
# in the order in which a reader must know them
ORDER = (WRONG, SLOWER, FAILED, INCONCLUSIVE, FIXED, GONE, NEW, FASTER, EQUAL)
OF_STATE = {
    "wrong_in_head": WRONG,
    "wrong_in_base": FIXED,
    "only_in_head": NEW,
    "failed_in_head": FAILED,
    "failed": FAILED,
}
NOTHING_SLOWER, REGRESSION, ERROR, UNDECIDED, STOPPED = 0, 1, 2, 3, 130
INTERRUPTED = "it was interrupted"  # why a comparison `stopped`
WALL = "wall"
# what a side is run by
PACKAGES = ("python", "torch", "jax", "jaxlib", "flax", "optax", "numpy")
TOO_FEW = "too few launch pairs for a first look"


@dataclass(frozen=True)
class Ratio:
    """Head's time over base's, with its 95 % interval, not adjusted for how many there are."""

    estimate: float
    low: float
    high: float
    verdict: str


@dataclass(frozen=True)
class Finding:
    """What is said of a cell.

    ``ratios`` are by metric; ``base`` and ``head`` the medians over launches, seconds per call.
    """

    cell: Mapping[str, str]
    verdict: str
    why: str
    ratios: Mapping[str, Ratio]
    base: float | None
    head: float | None

    @property
    def name(self) -> str:
        """Without what is the same nearly everywhere."""
        parts = ("framework", "scenario", "variant", "size", "mode", "phase", "strategy")
        return " ".join(self.cell[part] for part in parts if self.cell[part] != "-")


@dataclass(frozen=True)
class FrameworkShift:
    """What all cells of a framework have in common: "everything shifted by x %"."""

    framework: str
    cells: int
    ratios: Mapping[str, Ratio]

    @property
    def verdict(self) -> str:
        """Of all its metrics."""
        return joined({name: ratio.verdict for name, ratio in self.ratios.items()})


@dataclass(frozen=True)
class Analysis:
    """``pairs`` are those that count; ``findings`` and ``shifts``, the worst first."""

    findings: Sequence[Finding]
    shifts: Sequence[FrameworkShift]
    pairs: int

    @property
    def exit_code(self) -> int:
        """1 a regression, 2 a failed cell, 3 inconclusive, 0 nothing got slower.

        A cell that base does not have, or had wrong, is compared with nothing and changes nothing;
        where there is no other, nothing was told.
        """
        verdicts = {one.verdict for one in self.findings} | {s.verdict for s in self.shifts}
        if verdicts & {WRONG, SLOWER}:
            return REGRESSION
        if FAILED in verdicts:
            return ERROR
        told = verdicts & {EQUAL, FASTER} and INCONCLUSIVE not in verdicts
        return NOTHING_SLOWER if told else UNDECIDED


def ending(document: Mapping[str, Any], found: Analysis) -> int:
    """The exit code of the session that came to this; see docs/regress.md.

    One that did not come to its end, or was not saved, is an error whatever it found, but for a
    regression, which stays one.
    """
    if document.get("stopped") == INTERRUPTED:
        return STOPPED
    whole = not (document.get("broke_off") or document.get("unsaved"))
    return found.exit_code if whole or found.exit_code == REGRESSION else ERROR


def new_document(cells: Sequence[Mapping[str, str]], **about: Any) -> dict[str, Any]:
    """An empty one for these cells; ``about`` are the keys above that are known from the start."""
    return {
        "schema": SCHEMA,
        "kind": KIND,
        **about,
        "finished": None,
        "pairs": 0,
        "stopped": None,
        "cells": [{"cell": dict(c), "state": "ok", "why": None, "seconds": {}} for c in cells],
    }


def launch_quantile(turns: Sequence[Sequence[float]], quantile: float, dropped: int) -> float:
    """A launch's time of a cell, seconds per call: a low quantile of its turns' samples.

    Of each turn the first ``dropped`` samples are left out, as caches are another's then; its last
    is always kept.

    Raises:
        ValueError: there is no sample, or one that is no time.
    """
    kept = [sample for turn in turns for sample in turn[min(dropped, len(turn) - 1) :]]
    values = np.asarray(kept, dtype=np.float64)
    if not values.size or not np.isfinite(values).all() or values.min() <= 0:
        raise ValueError("a turn without samples, or a time that is not above 0 s; measure again")
    return float(np.percentile(values, quantile))


def most_pairs(document: Mapping[str, Any]) -> int:
    """How many launch pairs the session may take."""
    looks: Sequence[int] = document["design"]["looks"] or launch_pairs.LOOKS
    return looks[-1]


def analysis(document: Mapping[str, Any]) -> Analysis:
    """What is to be said of every cell, the worst first.

    Raises:
        RecordError: the document is none of ours.
    """
    try:
        return _analysis(document)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise RecordError(f"this is no comparison of this suite: {error!r}") from error


def undecided(document: Mapping[str, Any]) -> bool:
    """Whether anything is left to be decided by more launch pairs."""
    found = _analysis(document)
    verdicts = [one.verdict for one in found.findings] + [s.verdict for s in found.shifts]
    return INCONCLUSIVE in verdicts


def _analysis(document: Mapping[str, Any]) -> Analysis:
    entries = [one for one in document["cells"] if one["state"] == "ok" and one["seconds"]]
    others = [one for one in document["cells"] if one not in entries]
    taken = document["design"]["taken"]
    found, shifts = _judged(document, entries) if entries and taken else (_untold(entries), [])
    found += [_stated(one) for one in others]
    return ordered(found, shifts, taken[-1] if taken else 0)


def ordered(findings: Iterable[Finding], shifts: Iterable[FrameworkShift], pairs: int) -> Analysis:
    """The worst first, of the same verdict the slowest."""
    by_verdict = sorted(shifts, key=lambda shift: ORDER.index(shift.verdict))
    return Analysis(sorted(findings, key=_place), by_verdict, pairs)


def _place(found: Finding) -> tuple[int, float]:
    ratio = found.ratios.get(WALL)
    return ORDER.index(found.verdict), -(ratio.estimate if ratio else 0.0)


def _stated(entry: Mapping[str, Any]) -> Finding:
    state = entry["state"]
    if state == "ok":
        return Finding(entry["cell"], INCONCLUSIVE, "not measured", {}, None, None)
    return Finding(entry["cell"], OF_STATE[state], str(entry["why"]), {}, None, None)


def _untold(entries: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Before the first look: times, and no verdict."""
    return [_finding(one, {}, INCONCLUSIVE, TOO_FEW) for one in entries]


def _judged(
    document: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]
) -> tuple[list[Finding], list[FrameworkShift]]:
    metrics = list(entries[0]["seconds"])
    frameworks = list(dict.fromkeys(one["cell"]["framework"] for one in entries))
    owners = [(one["cell"]["framework"], metric) for metric in metrics for one in entries]
    names = list(dict.fromkeys(owners))
    design = design_of(document, [names.index(owner) for owner in owners])
    logs = np.log([one["seconds"][metric] for metric in metrics for one in entries])
    d, control = logs[..., 1] - logs[..., 0], logs[..., 2] - logs[..., 0]
    session = launch_pairs.decide(d, control, design, document["design"]["taken"])
    ratios = _ratios(session)
    found = []
    for place, entry in enumerate(entries):
        mine = {m: ratios[place + i * len(entries)] for i, m in enumerate(metrics)}
        held = [session.control_held[place + i * len(entries)] for i in range(len(metrics))]
        why = "" if all(held) else "base against base differs: something disturbed this cell"
        found.append(_finding(entry, mine, joined({m: r.verdict for m, r in mine.items()}), why))
    shared = ratios[len(owners) :]
    shifts = [
        FrameworkShift(
            framework,
            sum(one["cell"]["framework"] == framework for one in entries),
            {metric: shared[names.index((framework, metric))] for metric in metrics},
        )
        for framework in frameworks
    ]
    return found, [shift for shift in shifts if shift.cells >= launch_pairs.CELLS_FOR_COMMON]


def design_of(document: Mapping[str, Any], groups: Sequence[int]) -> Design:
    """How the document's rows are decided: what a framework's cells share is one group a metric."""
    told = document["design"]
    return Design(
        tuple(groups),
        tuple(told["looks"]),
        margin=told["margin"],
        alpha=told["alpha"],
        control="row",
    )


def _ratios(session: launch_pairs.Session) -> list[Ratio]:
    halves = half_widths(session.rows)
    return [
        Ratio(math.exp(log), math.exp(log - half), math.exp(log + half), str(verdict))
        for log, half, verdict in zip(session.rows.log_ratio, halves, session.verdicts, strict=True)
    ]


def joined(verdicts: Mapping[str, str]) -> str:
    """One verdict of several metrics': slower in any is slower, else what wall time says.

    Less CPU time alone is no "faster": who waits longer for a result may use less of it.
    """
    if SLOWER in verdicts.values():
        return SLOWER
    return verdicts.get(WALL, INCONCLUSIVE)


def _finding(
    entry: Mapping[str, Any], ratios: Mapping[str, Ratio], verdict: str, why: str
) -> Finding:
    wall = np.asarray(entry["seconds"][WALL], dtype=np.float64)
    base, head = (float(np.median(wall[:, side])) for side in (0, 1))
    return Finding(entry["cell"], verdict, why, ratios, base, head)


def new_design(**more: Any) -> dict[str, Any]:
    """How a new comparison decides; its looks are chosen once it is known how long a pair takes."""
    return {"margin": launch_pairs.MARGIN, "alpha": ALPHA, "looks": [], "taken": [], **more}
