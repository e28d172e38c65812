"""What to write, in words, computed from the verdicts of a run.

A *group* is what was measured side by side: everything of a cell but its strategy. In each group
the strategies *in front* are the one with the lowest ratio and those that cannot be told from it.
What is in front in most groups is what to write; of several that are, the one that stands first in
`words`, which has the plainest first: which of them has the lowest mean is chance.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.records.record import CELL_FIELDS, Record
from results.report.vocabulary import RECIPES, STRATEGIES, USUAL_MODES
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, VERDICTS

FREEZE = "freeze"
BASE: Mapping[str, Any] = {"estimate": 1.0, "low": 1.0, "high": 1.0}
# from where dispatch makes the time to where arithmetic has its largest share
SIZES = ("seed", "small", "medium", "large_batch32", "large", "gpu")
PHASES = ("backward", "gradient", "step")  # what tells ways apart most comes first


@dataclass(frozen=True)
class Way:
    """A strategy or recipe over several groups.

    ``front`` counts the groups in which it is in front, of the ``groups`` in which it was timed;
    ``records`` are those with a ratio, by ascending ratio.
    """

    strategy: str
    records: Sequence[Record]
    verdicts: Counter[str]
    front: int
    groups: int

    @property
    def always(self) -> bool:
        """Whether it is in front wherever it was timed."""
        return 0 < self.groups == self.front

    @property
    def middle(self) -> float | None:
        """The geometric mean of its ratios."""
        logs = [np.log(record["ratio"]["estimate"]) for record in self.records]
        return float(np.exp(np.mean(logs))) if logs else None

    @property
    def counted(self) -> float | None:
        """The geometric mean of what its FLOPs predict."""
        logs = [np.log(r["predicted_ratio"]) for r in self.records if r["predicted_ratio"]]
        return float(np.exp(np.mean(logs))) if logs else None


@dataclass(frozen=True)
class Answer:
    """What to write for networks of one kind in one framework and mode, by one phase.

    ``best`` is None where nothing could be told: no intervals, or a single way.
    """

    kind: str
    phase: str
    framework: str
    mode: str
    baseline: str
    best: Way | None
    others: Sequence[Way]

    @property
    def inconclusive(self) -> int:
        """Comparisons that could not be decided."""
        return sum(w.verdicts[INCONCLUSIVE] for w in (self.best, *self.others) if w)

    @property
    def decided(self) -> int:
        """Comparisons with any other verdict."""
        every = sum(sum(w.verdicts.values()) for w in (self.best, *self.others) if w)
        return every - self.inconclusive


def answers(records: Iterable[Record]) -> list[Answer]:
    """An answer for each kind, phase, framework and mode among these records.

    The usual modes come first, and of the phases the backward pass alone, where it was timed.
    """
    found: dict[tuple[str, str, str, str], list[Record]] = {}
    for record in records:
        if record["outcome"] == "ok" and record["baseline"]:
            key = record["kind"], record["phase"], record["framework"], record["mode"]
            found.setdefault(key, []).append(record)
    ordered = sorted(found, key=lambda key: (USUAL_MODES.get(key[2]) != key[3], _phase(key[1])))
    return [answer for key in ordered for answer in _answer(*key, found[key])]


def usual(found: Iterable[Answer]) -> list[Answer]:
    """Of each kind and framework the answer in the mode that is used most, or the first there is,
    by the first phase: `answers` has them in that order.
    """
    first: dict[tuple[str, str], Answer] = {}
    for answer in found:
        first.setdefault((answer.kind, answer.framework), answer)
    return list(first.values())


def _phase(name: str) -> int:
    return PHASES.index(name) if name in PHASES else len(PHASES)


def _answer(
    kind: str, phase: str, framework: str, mode: str, records: Sequence[Record]
) -> list[Answer]:
    answers = []
    for baseline in dict.fromkeys(record["baseline"] for record in records):
        ways = _ways([record for record in records if record["baseline"] == baseline])
        telling = [way for way in ways if way.front and _may_be_best(kind, way, baseline)]
        best = min(telling, key=lambda way: _rank(way, baseline, framework)) if telling else None
        others = [way for way in ways if way is not best]
        others.sort(key=lambda way: way.middle or 1.0)
        answers.append(Answer(kind, phase, framework, mode, baseline, best, others))
    return answers


def _may_be_best(kind: str, way: Way, baseline: str) -> bool:
    """With nothing frozen a network is not what was asked for, however fast."""
    return kind != FREEZE or way.strategy != baseline


def _rank(way: Way, baseline: str, framework: str) -> tuple[int, bool, int]:
    plainest = [*STRATEGIES.get(framework, ()), *RECIPES.get(framework, ())]
    known = way.strategy in plainest
    place = plainest.index(way.strategy) if known else len(plainest)
    return -way.front, way.strategy != baseline, place


def _ways(records: Sequence[Record]) -> list[Way]:
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        key = tuple(record[name] for name in CELL_FIELDS if name != "strategy")
        groups.setdefault(key, []).append(record)
    front: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for members in groups.values():
        front.update(in_front(members))
        told.update(record["strategy"] for record in members)
    by_name: dict[str, list[Record]] = {}
    for record in records:
        by_name.setdefault(record["strategy"], []).append(record)
    return [_way(name, members, front, told) for name, members in by_name.items()]


def _way(name: str, members: list[Record], front: Counter[str], told: Counter[str]) -> Way:
    rated = [r for r in members if r["ratio"] and r["ratio"]["estimate"] is not None]
    rated = [r for r in rated if r["strategy"] != r["baseline"]]
    rated.sort(key=lambda record: record["ratio"]["estimate"])
    verdicts = Counter(dict.fromkeys(VERDICTS, 0))
    verdicts.update(record["verdict"] for record in rated if record["verdict"])
    return Way(name, rated, verdicts, front[name], told[name])


def in_front(members: Sequence[Record]) -> list[str]:
    """The strategies of one group that none is shown to beat; empty where that cannot be told.

    The one with the lowest ratio, and each whose interval reaches it and whose own verdict against
    the baseline is conclusive. Where something is frozen, the unfrozen baseline does not compete.
    """
    ratios = {r["strategy"]: _interval(r) for r in members if _competes(r)}
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


def _competes(record: Record) -> bool:
    return record["kind"] != FREEZE or record["strategy"] != record["baseline"]


def _interval(record: Record) -> Mapping[str, Any] | None:
    if record["strategy"] == record["baseline"]:
        return BASE
    ratio = record["ratio"]
    return ratio if ratio and None not in (ratio["low"], ratio["high"]) else None


def _conclusive(verdict: str | None, name: str, members: Sequence[Record]) -> bool:
    if name == members[0]["baseline"]:
        return True
    return verdict in (FASTER, EQUAL) or (members[0]["kind"] == FREEZE and verdict != INCONCLUSIVE)


def faster(records: Iterable[Record]) -> tuple[list[Record], int]:
    """Backward passes that were told to be faster than their baseline; of how many with a verdict,
    over all sizes, phases and modes."""
    told = [r for r in records if r["kind"] != FREEZE and r["verdict"]]
    return [record for record in told if record["verdict"] == FASTER], len(told)


def smallest(records: Iterable[Record]) -> list[Record]:
    """The records of the smallest size, where there are several sizes: dispatch makes its time."""
    found = list(records)
    sizes = [size for size in SIZES if any(record["size"] == size for record in found)]
    return [r for r in found if r["size"] == sizes[0]] if len(sizes) > 1 else []


def largest_of_each(records: Iterable[Record]) -> list[Record]:
    """Of each scenario, in each way of timing it, the records of its largest size: there
    arithmetic has its largest share of the time, and dispatch its smallest."""
    networks: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        key = tuple(record[k] for k in ("scenario", "kind", "phase", "framework", "mode"))
        networks.setdefault(key, []).append(record)
    return [record for members in networks.values() for record in largest(members)]


def largest(records: Sequence[Record]) -> list[Record]:
    """The records of the largest size among these."""
    order = {size: place for place, size in enumerate(SIZES)}
    top = max((order.get(record["size"], -1) for record in records), default=-1)
    return [record for record in records if order.get(record["size"], -1) == top]
