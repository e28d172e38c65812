"""Decide which strategy or recipe the report recommends, from the verdicts of a run.

A *group* holds the cells that were measured side by side: they differ in their strategy alone. In
each group the strategies *in front* are the one with the lowest ratio, and those that cannot be
distinguished from it. The recommendation is the strategy that is in front in the most groups. Of
several such strategies it is the one whose code is simplest, as `results.report.vocabulary` orders
them: which of them has the lowest mean is chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.grouping import group_by, group_by_fields
from results.records.record import CELL_FIELDS, AnyRecord
from results.report.record_cells import is_baseline
from results.report.vocabulary import (
    FREEZE,
    PHASES,
    RECIPES,
    SIZES,
    STRATEGIES,
    USUAL_MODES,
    size_rank,
)
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, VERDICTS

BASELINE_RATIO: Mapping[str, Any] = {"estimate": 1.0, "low": 1.0, "high": 1.0}
RECOMMENDATION_FIELDS = ("kind", "phase", "framework", "mode")
GROUP_FIELDS = [name for name in CELL_FIELDS if name != "strategy"]


@dataclass(frozen=True)
class StrategySummary:
    """Summarize a strategy or recipe over several groups.

    A group is a set of cells that were measured side by side and differ in the strategy alone. A
    strategy is in front of a group where no other is shown to be faster; see `in_front`.

    Attributes:
        strategy: its name.
        records: its records with a ratio, by ascending ratio.
        verdicts: the number of its records by verdict.
        front: the number of groups in which it is in front.
        groups: the number of groups in which it was timed.
    """

    strategy: str
    records: Sequence[AnyRecord]
    verdicts: Counter[str]
    front: int
    groups: int

    @property
    def always_in_front(self) -> bool:
        """Return whether the strategy is in front in every group in which it was timed."""
        return 0 < self.groups == self.front

    @property
    def mean_ratio(self) -> float | None:
        """The geometric mean of the ratios to the baseline; None for the baseline itself."""
        logs = [np.log(record["ratio"]["estimate"]) for record in self.records]
        return float(np.exp(np.mean(logs))) if logs else None

    @property
    def mean_predicted_ratio(self) -> float | None:
        """The geometric mean of the ratios that the counted FLOPs predict."""
        logs = [np.log(r["predicted_ratio"]) for r in self.records if r["predicted_ratio"]]
        return float(np.exp(np.mean(logs))) if logs else None


@dataclass(frozen=True)
class Recommendation:
    """Recommend a strategy for one kind of cell, phase, framework, mode and baseline.

    Attributes:
        best: the recommended strategy; None where no two strategies have an interval to compare.
        others: the other strategies, by ascending mean ratio.
    """

    kind: str
    phase: str
    framework: str
    mode: str
    baseline: str
    best: StrategySummary | None
    others: Sequence[StrategySummary]


def recommend(records: Iterable[AnyRecord]) -> list[Recommendation]:
    """Return a recommendation for each kind, phase, framework, mode and baseline of the records.

    The usual mode of a framework comes first. Among the phases the backward pass alone comes first.
    """
    timed = [record for record in records if record["outcome"] == "ok" and record["baseline"]]
    groups = group_by_fields(timed, RECOMMENDATION_FIELDS)
    ordered = sorted(
        groups, key=lambda key: (USUAL_MODES.get(key[2]) != key[3], _phase_rank(key[1]))
    )
    return [one for key in ordered for one in _recommend_by_baseline(groups[key])]


def first_of_each(recommendations: Iterable[Recommendation]) -> list[Recommendation]:
    """Return the first recommendation of each kind and framework.

    In the order of `recommend` that is the one for the usual mode, or for the first mode measured,
    and for the first phase.
    """
    first: dict[tuple[str, str], Recommendation] = {}
    for one in recommendations:
        first.setdefault((one.kind, one.framework), one)
    return list(first.values())


def _phase_rank(name: str) -> int:
    """Return the place of a phase in `PHASES`; an unknown phase comes after all of them."""
    phases = list(PHASES)
    return phases.index(name) if name in phases else len(phases)


def _recommend_by_baseline(records: Sequence[AnyRecord]) -> list[Recommendation]:
    """Return a recommendation for each baseline of these records.

    Args:
        records: those of one kind, phase, framework and mode.
    """
    kind, phase, framework, mode = (records[0][name] for name in RECOMMENDATION_FIELDS)
    recommendations = []
    for baseline, members in group_by(records, lambda record: record["baseline"]).items():
        summaries = _summarize(members)
        eligible = [one for one in summaries if one.front and _may_be_best(kind, one, baseline)]
        best = min(eligible, key=lambda one: _rank(one, baseline, framework), default=None)
        others = [one for one in summaries if one is not best]
        others.sort(key=lambda one: one.mean_ratio or 1.0)
        recommendations.append(Recommendation(kind, phase, framework, mode, baseline, best, others))
    return recommendations


def _may_be_best(kind: str, summary: StrategySummary, baseline: str) -> bool:
    """Return whether the strategy may be recommended.

    The baseline of recipes freezes nothing. However fast it is, it is no way to freeze a part.
    """
    return kind != FREEZE or summary.strategy != baseline


def _rank(summary: StrategySummary, baseline: str, framework: str) -> tuple[int, bool, int]:
    """Return the sort key of a strategy, for which the smallest is the best to recommend.

    It compares how often the strategy is in front, then whether it is the baseline, then how simple
    its code is.
    """
    simplest_first = [*STRATEGIES.get(framework, ()), *RECIPES.get(framework, ())]
    known = summary.strategy in simplest_first
    place = simplest_first.index(summary.strategy) if known else len(simplest_first)
    return -summary.front, summary.strategy != baseline, place


def _summarize(records: Sequence[AnyRecord]) -> list[StrategySummary]:
    """Return a summary of each strategy over all groups of these records, in first-seen order."""
    front: Counter[str] = Counter()
    timed: Counter[str] = Counter()
    for members in group_by_fields(records, GROUP_FIELDS).values():
        front.update(in_front(members))
        timed.update(record["strategy"] for record in members)
    by_strategy = group_by(records, lambda record: str(record["strategy"]))
    return [
        _summary(name, members, front[name], timed[name]) for name, members in by_strategy.items()
    ]


def _summary(name: str, members: list[AnyRecord], front: int, groups: int) -> StrategySummary:
    """Return the summary of one strategy.

    Args:
        name: the strategy.
        members: its records, of any groups.
        front: the number of groups in which it is in front.
        groups: the number of groups in which it was timed.
    """
    rated = [r for r in members if r["ratio"] and r["ratio"]["estimate"] is not None]
    rated = [record for record in rated if not is_baseline(record)]
    rated.sort(key=lambda record: record["ratio"]["estimate"])
    verdicts = Counter(dict.fromkeys(VERDICTS, 0))
    verdicts.update(record["verdict"] for record in rated if record["verdict"])
    return StrategySummary(name, rated, verdicts, front, groups)


def in_front(members: Sequence[AnyRecord]) -> list[str]:
    """Return the strategies of one group that no other is shown to beat.

    They are the one with the lowest ratio, and each one whose interval reaches the interval of that
    one and whose own verdict against the baseline is conclusive. Where a part is frozen, the
    baseline, which freezes nothing, does not compete.

    Args:
        members: the records of one group, the baseline among them.

    Returns:
        The names of the strategies; empty where fewer than two of them have an interval.
    """
    ratios = {r["strategy"]: _ratio_with_interval(r) for r in members if _competes(r)}
    known = {name: ratio for name, ratio in ratios.items() if ratio}
    if len(known) < 2:
        return []
    best = min(known, key=lambda name: known[name]["estimate"])
    verdicts = {record["strategy"]: record["verdict"] for record in members}
    return [
        name
        for name, ratio in known.items()
        if ratio["low"] <= known[best]["high"] and _conclusive(verdicts[name], name, members)
    ]


def _competes(record: AnyRecord) -> bool:
    """Return whether the cell may be in front: the baseline of recipes may not."""
    return record["kind"] != FREEZE or not is_baseline(record)


def _ratio_with_interval(record: AnyRecord) -> Mapping[str, Any] | None:
    """Return the record's ratio to the baseline; None where it has no interval.

    The baseline's own ratio is 1, without width.
    """
    if is_baseline(record):
        return BASELINE_RATIO
    ratio = record["ratio"]
    return ratio if ratio and None not in (ratio["low"], ratio["high"]) else None


def _conclusive(verdict: str | None, name: str, members: Sequence[AnyRecord]) -> bool:
    """Return whether a strategy's verdict against the baseline lets it be in front of its group.

    Args:
        verdict: its verdict; None where it has none. The baseline needs none.
        name: the strategy.
        members: the records of its group.
    """
    if name == members[0]["baseline"]:
        return True
    return verdict in (FASTER, EQUAL) or (members[0]["kind"] == FREEZE and verdict != INCONCLUSIVE)


def faster_than_baseline(records: Iterable[AnyRecord]) -> tuple[list[AnyRecord], int]:
    """Find the backward passes that are faster than their baseline, over all sizes and phases.

    Returns:
        Their records, and the number of records that have any verdict.
    """
    judged = [r for r in records if r["kind"] != FREEZE and r["verdict"]]
    return [record for record in judged if record["verdict"] == FASTER], len(judged)


def smallest_size(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Return the records of the smallest size, where dispatch makes most of the time.

    Where there is a single size, the result is empty: no size is smaller than the others.
    """
    records = list(records)
    sizes = [size for size in SIZES if any(record["size"] == size for record in records)]
    return [r for r in records if r["size"] == sizes[0]] if len(sizes) > 1 else []


def largest_size_of_each_scenario(records: Iterable[AnyRecord]) -> list[AnyRecord]:
    """Return the records of the largest size of each scenario, kind, phase, framework and mode.

    At that size arithmetic has its largest share of the time, and dispatch its smallest.
    """
    networks = group_by_fields(records, ("scenario", "kind", "phase", "framework", "mode"))
    return [record for members in networks.values() for record in largest_size(members)]


def largest_size(records: Sequence[AnyRecord]) -> list[AnyRecord]:
    """Return the records of the largest size among these; unknown sizes count as the smallest."""
    known = [record for record in records if record["size"] in SIZES]
    top = max((size_rank(record["size"]) for record in known), default=None)
    return [r for r in known if size_rank(r["size"]) == top] if known else list(records)
