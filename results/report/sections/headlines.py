"""The first lines of the page: what to write, in a sentence each, computed from the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from results.formatting import ratio_text
from results.records.record import Record
from results.report.answers import Answer, Way, answers, faster, largest_of_each, smallest, usual
from results.report.model import Code, Paragraph, Strong, problem, way
from results.report.vocabulary import FAMILIES, KINDS
from results.statistics.verdict import INCONCLUSIVE

TO = {"freeze": ", to freeze a part"}


def of(records: Sequence[Record]) -> list[Paragraph]:
    """Right or wrong; what to write; where that is not so; and what is so on small arrays."""
    return [
        right_or_wrong(records),
        *_largest(largest_of_each(records)),
        *_exceptions(records),
        *_smallest(records),
    ]


def right_or_wrong(records: Sequence[Record]) -> Paragraph:
    """Whether every gradient was right, and how many cells came to nothing."""
    outcomes = Counter(record["outcome"] for record in records)
    wrong, ok = outcomes["wrong_gradients"], outcomes["ok"]
    said: list[str] = []
    if wrong:
        said += [Strong(f"Wrong: the gradients of {_cells(wrong)} are not those of the reference.")]
    else:
        said += [
            f"Right: all {_cells(ok)} that were timed have the float64 reference's gradients, to "
            "what float32 leaves (below)."
        ]
    failed = {k: n for k, n in outcomes.items() if k not in ("ok", "unsupported")}
    failed.pop("wrong_gradients", None)
    if failed:
        what = ", ".join(f"{count} {name}" for name, count in failed.items())
        said += [" ", Strong(f"No time for {_cells(sum(failed.values()))}: {what}.")]
    verdicts = Counter(record["verdict"] for record in records if record["verdict"])
    if verdicts:
        told = sum(verdicts.values()) - verdicts[INCONCLUSIVE]
        said += [
            f" Of {sum(verdicts.values())} comparisons {told} are decided, "
            f"{verdicts[INCONCLUSIVE]} inconclusive."
        ]
    return said


def _largest(records: Iterable[Record]) -> list[Paragraph]:
    """A sentence for each kind of network and framework, in the mode that is used most."""
    families: dict[str, list[Record]] = {}
    for record in records:
        families.setdefault(record["family"], []).append(record)
    return [
        [
            f"{_short(family)}{TO.get(answer.kind, '')}, {answer.framework} {answer.mode}, "
            f"phase {answer.phase}: ",
            *sentence(answer),
        ]
        for family, members in families.items()
        for answer in usual(answers(members))
    ]


def _exceptions(records: Sequence[Record]) -> list[Paragraph]:
    """Where any way was faster than its baseline, over all sizes and phases; or that none was."""
    found, told = faster(records)
    if not told:
        return []
    if not found:
        return [[f"In none of {told} comparisons was another way told to be faster."]]
    said = [f"Faster than their baseline in {len(found)} of {told} comparisons: "]
    for record in sorted(found, key=lambda one: one["ratio"]["estimate"]):
        where = f"{problem(record)}, {record['size']}, {way(record)}, {record['phase']}"
        said += [Code(record["strategy"]), f" {ratio_text(record['ratio'])} ({where}); "]
    said[-1] = said[-1].removesuffix("; ") + "."
    return [said]


def _smallest(records: Sequence[Record]) -> list[Paragraph]:
    """A sentence for each kind and framework on the smallest size, over all kinds of network."""
    members = smallest(records)
    return [
        [
            f"At size {members[0]['size']}, where dispatch makes the time, "
            f"{KINDS.get(answer.kind, answer.kind)}, {answer.framework} {answer.mode}, phase "
            f"{answer.phase}: ",
            *sentence(answer),
        ]
        for answer in usual(answers(members))
    ]


def _short(family: str) -> str:
    return FAMILIES.get(family, family).partition(":")[0]


def sentence(answer: Answer) -> Paragraph:
    """What to write, and what the other ways cost, the most expensive first."""
    best, baseline = answer.best, Code(answer.baseline)
    if best is None:
        return ["nothing can be told: there is no second way with an interval to compare with."]
    said: list[str] = ["write ", Code(best.strategy)]
    if best.strategy == answer.baseline:
        said += [f", in front in {best.front} of {best.groups} groups"]
    else:
        said += [f", {_span(best)} the time of ", baseline]
        said += [f", in front in {best.front} of {best.groups} groups"]
    others = [one for one in answer.others if one.records]
    for place, one in enumerate(one for one in others if one.always):
        said += [", " if place else "; as good wherever it was timed: ", Code(one.strategy)]
    rest = [one for one in others if not one.always]
    for one in sorted(rest, key=lambda one: -(one.middle or 0.0)):
        said += ["; ", Code(one.strategy), f" {_span(one)}"]
    return [*said, "."]


def _span(one: Way) -> str:
    """Its ratio; of several the least and the greatest, each with where that was."""
    if len(one.records) == 1:
        return f"{ratio_text(one.records[0]['ratio'])} times"
    ends = [f"{ratio_text(r['ratio'])} ({problem(r)})" for r in (one.records[0], one.records[-1])]
    return f"{' to '.join(ends)} times"


def _cells(count: int) -> str:
    return f"{count} cell{'' if count == 1 else 's'}"
