"""Two saved runs of one machine: the weak way to tell whether anything got slower.

Each run is one session, and what a session does to a cell's time (where memory lies, what else the
machine does that day) no launch of it can show. Its standard deviation is known from sessions of
unchanged code and stands in every interval; so a change must be large to be seen here, and
"inconclusive" is the usual word. What all cells of a framework have in common is taken out of them
and told apart: it is the machine's drift or the framework's, and two runs cannot say which.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.special
from numpy.typing import ArrayLike

from results.records.record import CELL_FIELDS, Record, RecordError, Run, sample_key
from results.regression.document import (
    FAILED,
    GONE,
    NEW,
    WALL,
    WRONG,
    Analysis,
    Finding,
    FrameworkShift,
    Ratio,
    ordered,
)
from results.statistics.estimators import lower_quartiles
from results.statistics.verdict import ALPHA, FASTER, INCONCLUSIVE, NOISY_MARGIN, SLOWER, holm

# Standard deviation of a cell's log time from session to session, and of what all cells of a
# framework share: measured on unchanged code on a 2-core virtual machine, see docs/history.md.
CELL_SPREAD, COMMON_SPREAD = 0.12, 0.12
CONFIDENCE = 0.95
LEAST = 3  # launches on each side, and cells that can have something in common
OF_A_MEDIAN = math.sqrt(math.pi / 2)  # its standard error over a mean's, of normal values


@dataclass(frozen=True)
class Change:
    """A cell's log ratio between two runs, its standard error without the sessions' own spread."""

    record: Record
    log: float
    within: float
    base: float
    head: float


def compared(base: Run, head: Run) -> Analysis:
    """Every cell that either run timed, head against base.

    Raises:
        RecordError: the runs are of different machines, or share no cell.
    """
    _demand_same_machine(base, head)
    old = {sample_key(record): record for record in base.records}
    new = {sample_key(record): record for record in head.records}
    changes = [
        _change(new[key], base.samples[key], head.samples[key])
        for key in new
        if _timed(old.get(key), base, key) and _timed(new[key], head, key)
    ]
    if not changes:
        raise RecordError(
            f"runs {base.id} and {head.id} have no timed cell in common; name two that measured "
            "the same, with their samples beside them"
        )
    found, shifts = _judged([change for change in changes if change is not None])
    known = {sample_key(change.record) for change in changes if change}
    found += [_untimed(key, old.get(key), new.get(key)) for key in {**old, **new}
              if key not in known and _worth_naming(old.get(key), new.get(key))]  # fmt: skip
    return ordered(found, shifts, 0)


def _demand_same_machine(base: Run, head: Run) -> None:
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
    return (
        record is not None and record["outcome"] == "ok" and len(run.samples.get(key, ())) >= LEAST
    )


def _change(record: Record, base: Sequence[ArrayLike], head: Sequence[ArrayLike]) -> Change | None:
    try:
        logs = [np.log(lower_quartiles(side)) for side in (base, head)]
    except ValueError:
        return None
    within = math.sqrt(sum(float(values.var(ddof=1)) / len(values) for values in logs))
    middle = [float(np.exp(np.median(values))) for values in logs]
    return Change(record, float(logs[1].mean() - logs[0].mean()), within, *middle)


def _judged(changes: Sequence[Change]) -> tuple[list[Finding], list[FrameworkShift]]:
    common: dict[str, float] = {}
    for framework in dict.fromkeys(change.record["framework"] for change in changes):
        logs = [c.log for c in changes if c.record["framework"] == framework]
        common[framework] = float(np.median(logs)) if len(logs) >= LEAST else 0.0
    own = [change.log - common[change.record["framework"]] for change in changes]
    counts = Counter(change.record["framework"] for change in changes)
    errors = [_error(change, alone=counts[change.record["framework"]] < LEAST)
              for change in changes]  # fmt: skip
    ratios = _verdicts(own, errors)
    seen = needed(errors)
    found = [
        Finding(
            _cell(change.record),
            ratio.verdict,
            f"nothing under {100 * math.expm1(least):.0f} % can be seen here"
            if ratio.verdict == INCONCLUSIVE else "",
            {WALL: ratio},
            change.base,
            change.head,
        )
        for change, ratio, least in zip(changes, ratios, seen, strict=True)
    ]  # fmt: skip
    return found, _shifts(changes, errors, common)


def _error(change: Change, *, alone: bool) -> float:
    """Of a cell's log ratio; where too few cells are there to take out what they share, with it."""
    shared = math.sqrt(2) * COMMON_SPREAD if alone else 0.0
    return math.hypot(change.within, math.sqrt(2) * CELL_SPREAD, shared)


def _shifts(
    changes: Sequence[Change], errors: Sequence[float], common: Mapping[str, float]
) -> list[FrameworkShift]:
    """What the cells of a framework share: the spread of sessions, and that of a median of few."""
    of = {f: [e for e, c in zip(errors, changes, strict=True) if c.record["framework"] == f]
          for f in common}  # fmt: skip
    counts = {framework: len(mine) for framework, mine in of.items()}
    kept = [framework for framework in common if counts[framework] >= LEAST]
    errors = [
        math.hypot(math.sqrt(2) * COMMON_SPREAD,
                   OF_A_MEDIAN * float(np.median(of[f])) / math.sqrt(counts[f]))
        for f in kept
    ]  # fmt: skip
    ratios = _verdicts([common[framework] for framework in kept], errors)
    return [
        FrameworkShift(f, counts[f], {WALL: ratio}) for f, ratio in zip(kept, ratios, strict=True)
    ]


def _verdicts(logs: Sequence[float], errors: Sequence[float]) -> list[Ratio]:
    """Normal tests, as the spread between sessions is the most of every error and is known."""
    z = np.abs(logs) / np.asarray(errors)
    adjusted = holm(2 * scipy.special.ndtr(-z))
    half = scipy.special.ndtri((1 + CONFIDENCE) / 2)
    bound = math.log1p(NOISY_MARGIN)
    found = []
    for log, error, p in zip(logs, errors, adjusted, strict=True):
        beyond = p < ALPHA and abs(log) > bound
        verdict = (SLOWER if log > 0 else FASTER) if beyond else INCONCLUSIVE
        low, high = (math.exp(log + side * half * error) for side in (-1, 1))
        found.append(Ratio(math.exp(log), low, high, verdict))
    return found


def needed(errors: Sequence[float]) -> list[float]:
    """The log ratio of each cell that would be seen 4 times in 5, among so many cells."""
    quantile = -scipy.special.ndtri(ALPHA / max(1, len(errors)) / 2)
    power = scipy.special.ndtri(0.8)
    return [float((quantile + power) * error) for error in errors]


def _worth_naming(old: Record | None, new: Record | None) -> bool:
    """Not what neither run has a time of for a reason that stays."""
    outcomes = {record["outcome"] for record in (old, new) if record}
    return bool(outcomes - {"unsupported"})


def _untimed(key: str, old: Record | None, new: Record | None) -> Finding:
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
    return {name: record[name] for name in CELL_FIELDS}
