"""Compare two stored runs of one machine: the weak way to find whether anything got slower.

Each run is one session. A session's own effects on a cell's time (where memory lies, what else the
machine does that day) do not show in its launches. Their standard deviation is known from sessions
of unchanged code and is part of every interval. So a change must be large to be seen here, and
"inconclusive" is the usual verdict. What all cells of a framework share is subtracted from them and
reported separately: it is the machine's drift or the framework's, and two runs cannot show which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.records.record import CELL_FIELDS, Record, RecordError, Run, cell_fields, sample_key
from results.regression.decision import WALL
from results.regression.document import (
    FAILED,
    GONE,
    NEW,
    WRONG,
    Analysis,
    Finding,
    FrameworkShift,
    Ratio,
    worst_first,
)
from results.statistics.estimators import CONFIDENCE, lower_quartiles
from results.statistics.verdict import ALPHA, FASTER, INCONCLUSIVE, NOISY_MARGIN, SLOWER, holm

# Standard deviation of a cell's log time from session to session, and of what all cells of a
# framework share: measured on unchanged code on a 2-core virtual machine, see docs/history.md.
CELL_SPREAD, COMMON_SPREAD = 0.12, 0.12
LEAST = 3  # launches on each side, and cells of a framework that can share anything
POWER = 0.8  # how often the smallest visible change is found
OF_A_MEDIAN = math.sqrt(math.pi / 2)  # its standard error over a mean's, of normal values


@dataclass(frozen=True)
class Change:
    """A cell's change between two runs.

    Attributes:
        record: the record of the head run.
        log: the log ratio, head over base.
        within: the standard error of ``log`` over launches, without the spread between sessions.
        base: the median over launches, in seconds per call.
        head: the same of head.
    """

    record: Record
    log: float
    within: float
    base: float
    head: float


def compare(base: Run, head: Run) -> Analysis:
    """Compare every cell that either run timed, head against base, and return the conclusions.

    Raises:
        RecordError: the runs are of different machines, or share no cell.
    """
    _demand_same_machine(base, head)
    old = {sample_key(record): record for record in base.records}
    new = {sample_key(record): record for record in head.records}
    shared = [key for key in new if _timed(old.get(key), base, key) and _timed(new[key], head, key)]
    if not shared:
        raise RecordError(
            f"runs {base.id} and {head.id} have no timed cell in common; name two that measured "
            "the same, with their samples beside them"
        )
    changes = {key: _change(new[key], base.samples[key], head.samples[key]) for key in shared}
    known = {key: change for key, change in changes.items() if change is not None}
    findings, shifts = _decided(list(known.values()))
    findings += [
        _untimed(old.get(key), new.get(key))
        for key in {**old, **new}
        if key not in known and _worth_naming(old.get(key), new.get(key))
    ]
    return worst_first(findings, shifts, 0)


def _demand_same_machine(base: Run, head: Run) -> None:
    """Raise `RecordError` unless both runs are of the same machine; name what differs."""
    one, other = base.machine, head.machine
    if one["id"] == other["id"]:
        return
    names = [name for name in other.get("stable", []) if one.get(name) != other.get(name)]
    differ = "; ".join(f"{n}: {one.get(n)} and {other.get(n)}" for n in names) or "not told"
    raise RecordError(
        f"run {base.id} is of machine {one['id']} and run {head.id} of {other['id']} ({differ}): "
        "times of different machines are not compared. For another version of a framework measure "
        "both in one session: cascade-bench regress --base-python PATH"
    )


def _timed(record: Record | None, run: Run, key: str) -> bool:
    """Return whether a run has enough launches of a cell to compare it.

    Args:
        record: the record of the cell; None where the run lacks it.
        key: its `sample_key`.
    """
    return (
        record is not None and record["outcome"] == "ok" and len(run.samples.get(key, ())) >= LEAST
    )


def _change(record: Record, base: Sequence[ArrayLike], head: Sequence[ArrayLike]) -> Change | None:
    """Return a cell's change between two runs; None where a time is impossible.

    Args:
        record: the record of the head run.
        base: the samples of the base run, one row a launch.
        head: the same of the head run.
    """
    try:
        logs = [np.log(lower_quartiles(side)) for side in (base, head)]
    except ValueError:
        return None
    within = math.sqrt(sum(float(values.var(ddof=1)) / len(values) for values in logs))
    middle = [float(np.exp(np.median(values))) for values in logs]
    return Change(record, float(logs[1].mean() - logs[0].mean()), within, *middle)


def _by_framework(changes: Sequence[Change]) -> dict[str, list[Change]]:
    """Group changes by the framework of their cell."""
    cells: dict[str, list[Change]] = {}
    for change in changes:
        cells.setdefault(change.record["framework"], []).append(change)
    return cells


def _decided(changes: Sequence[Change]) -> tuple[list[Finding], list[FrameworkShift]]:
    """Return the conclusions on these cells, and on what the cells of each framework share.

    The median change of a framework's cells is subtracted from each of them, where there are at
    least `LEAST` of them.
    """
    common, alone = {}, {}
    for framework, cells in _by_framework(changes).items():
        alone[framework] = len(cells) < LEAST
        middle = float(np.median([cell.log for cell in cells]))
        common[framework] = 0.0 if alone[framework] else middle
    own = [change.log - common[change.record["framework"]] for change in changes]
    errors = [_error(change, alone=alone[change.record["framework"]]) for change in changes]
    findings = [
        _finding(change, ratio, visible)
        for change, ratio, visible in zip(
            changes, _verdicts(own, errors), needed(errors), strict=True
        )
    ]
    return findings, _shifts(changes, errors, common)


def _finding(change: Change, ratio: Ratio, visible: float) -> Finding:
    """Return the conclusion on a cell, with the smallest visible change where it is inconclusive.

    Args:
        visible: that change as a log ratio.
    """
    why = ""
    if ratio.verdict == INCONCLUSIVE:
        why = f"nothing under {100 * math.expm1(visible):.0f} % can be seen here"
    cell = _cell(change.record)
    return Finding(cell, ratio.verdict, why, {WALL: ratio}, change.base, change.head)


def _error(change: Change, *, alone: bool) -> float:
    """Return the standard error of a cell's log ratio, the spread between sessions included.

    Args:
        alone: whether the framework has too few cells to subtract what they share; the spread of
            that is then part of the error.
    """
    shared = math.sqrt(2) * COMMON_SPREAD if alone else 0.0
    return math.hypot(change.within, math.sqrt(2) * CELL_SPREAD, shared)


def _shifts(
    changes: Sequence[Change], errors: Sequence[float], common: Mapping[str, float]
) -> list[FrameworkShift]:
    """Return the change that the cells of each framework share, where there are enough of them.

    Its error is that of the sessions, and that of a median of few cells.

    Args:
        changes: the changes of all cells.
        errors: the standard error of each.
        common: framework → the median log ratio of its cells.
    """
    of: dict[str, list[float]] = {framework: [] for framework in common}
    for error, change in zip(errors, changes, strict=True):
        of[change.record["framework"]].append(error)
    counts = {framework: len(errors) for framework, errors in of.items() if len(errors) >= LEAST}
    shared = [
        math.hypot(
            math.sqrt(2) * COMMON_SPREAD,
            OF_A_MEDIAN * float(np.median(of[f])) / math.sqrt(counts[f]),
        )
        for f in counts
    ]
    ratios = _verdicts([common[framework] for framework in counts], shared)
    return [
        FrameworkShift(f, counts[f], {WALL: ratio}) for f, ratio in zip(counts, ratios, strict=True)
    ]


def _verdicts(logs: Sequence[float], errors: Sequence[float]) -> list[Ratio]:
    """Return a ratio with interval and verdict for each log ratio.

    The verdicts are of normal tests: the spread between sessions, which is the larger part of each
    error, is known.

    Args:
        logs: log ratios, head over base.
        errors: the standard error of each.
    """
    z = np.abs(logs) / np.asarray(errors)
    adjusted = holm(2 * scipy.special.ndtr(-z))
    half = scipy.special.ndtri((1 + CONFIDENCE) / 2)
    bound = math.log1p(NOISY_MARGIN)
    ratios = []
    for log, error, p in zip(logs, errors, adjusted, strict=True):
        beyond = p < ALPHA and abs(log) > bound
        verdict = (SLOWER if log > 0 else FASTER) if beyond else INCONCLUSIVE
        low, high = (math.exp(log + side * half * error) for side in (-1, 1))
        ratios.append(Ratio(math.exp(log), low, high, verdict))
    return ratios


def needed(errors: Sequence[float]) -> list[float]:
    """Return how large a log ratio each cell must have to be found 4 times in 5.

    Args:
        errors: the standard error of each cell's log ratio; all are tested together.
    """
    quantile = -scipy.special.ndtri(ALPHA / max(1, len(errors)) / 2)
    power = scipy.special.ndtri(POWER)
    return [float((quantile + power) * error) for error in errors]


def _worth_naming(old: Record | None, new: Record | None) -> bool:
    """Return whether a cell that was not compared is reported: if either run could measure it."""
    outcomes = {record["outcome"] for record in (old, new) if record}
    return bool(outcomes - {"unsupported"})


def _untimed(old: Record | None, new: Record | None) -> Finding:
    """Return the finding on a cell that was not compared, with the reason.

    Args:
        old: the record of the base run; None where it lacks the cell.
        new: the same of the head run.
    """
    record: Any = new or old
    if new is None:
        verdict, why = GONE, "the head run did not measure it"
    elif new["outcome"] == "wrong_gradients":
        verdict, why = WRONG, str(new["missing"].get("seconds", ""))
    elif new["outcome"] != "ok":
        verdict, why = FAILED, f"{new['outcome']}: {new['missing'].get('seconds', '')}"
    elif old is None:
        verdict, why = NEW, "the base run did not measure it"
    elif old["outcome"] != "ok":
        verdict, why = NEW, f"the base run has no time of it: {old['outcome']}"
    else:
        verdict, why = INCONCLUSIVE, f"under {LEAST} launches on a side, or samples that are gone"
    return Finding(_cell(record), verdict, why, {}, None, None)


def _cell(record: Record) -> dict[str, str]:
    """Return the fields that name the record's cell, by name."""
    return dict(zip(CELL_FIELDS, cell_fields(record), strict=True))
