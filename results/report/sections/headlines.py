"""Write the first lines of the page: the results in a sentence each, from the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from results.formatting import ratio_text
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report.model import Code, Paragraph, Strong
from results.report.ranking import (
    Recommendation,
    StrategySummary,
    faster_than_baseline,
    first_of_each,
    largest_size_of_each_scenario,
    recommend,
    smallest_size,
)
from results.report.record_cells import framework_and_mode, frozen_part_moved, network_name
from results.report.vocabulary import FAMILIES, FREEZE, KINDS
from results.statistics.verdict import INCONCLUSIVE

PURPOSE = {FREEZE: ", to freeze a part"}


def paragraphs(records: Sequence[AnyRecord]) -> list[Paragraph]:
    """Return the paragraphs that open the report: its main results in words.

    They say whether the gradients are right, which strategy to write at the largest size, which
    strategies are faster than their baseline, and which to write at the smallest size.
    """
    return [
        right_or_wrong(records),
        *_at_largest_size(records),
        *_faster_anywhere(records),
        *_at_smallest_size(records),
    ]


def right_or_wrong(records: Sequence[AnyRecord]) -> Paragraph:
    """Return a paragraph on correctness and completeness.

    It says whether all gradients agree with float64 ones, how many cells failed, and how many
    comparisons have a verdict other than inconclusive.
    """
    outcomes = Counter(record["outcome"] for record in records)
    moved = sum(r["outcome"] == "wrong_gradients" and frozen_part_moved(r) for r in records)
    wrong, ok = outcomes["wrong_gradients"] - moved, outcomes["ok"]
    pieces: list[str] = []
    if wrong:
        text = f"Wrong: the gradients of {_cells(wrong)} are not those of the reference."
        pieces.append(Strong(text))
    if moved:
        pieces.append(
            Strong(f"{' ' if wrong else ''}Wrong: in {_cells(moved)} a frozen part moved.")
        )
    if not pieces:
        pieces.append(
            f"Right: all {_cells(ok)} that were timed have the float64 reference's gradients, to "
            "what float32 leaves (below)."
        )
    without_time = ("ok", "unsupported", "wrong_gradients")
    failed = {name: count for name, count in outcomes.items() if name not in without_time}
    if failed:
        counts = ", ".join(f"{count} {name}" for name, count in failed.items())
        pieces += [" ", Strong(f"No time for {_cells(sum(failed.values()))}: {counts}.")]
    verdicts = Counter(record["verdict"] for record in records if record["verdict"])
    total, inconclusive = sum(verdicts.values()), verdicts[INCONCLUSIVE]
    if verdicts:
        decided = f"{total - inconclusive} are decided, {inconclusive} inconclusive"
        pieces.append(f" Of {total} comparisons {decided}.")
    return pieces


def _at_largest_size(records: Iterable[AnyRecord]) -> list[Paragraph]:
    """Return a recommendation in words for each family, kind of cell and framework.

    Each is for the largest size of every scenario and the framework's usual mode.
    """
    largest = largest_size_of_each_scenario(records)
    families = group_by(largest, lambda record: str(record["family"]))
    return [
        [
            f"{_short_name(family)}{PURPOSE.get(one.kind, '')}, {one.framework} {one.mode}, "
            f"phase {one.phase}: ",
            *sentence(one),
        ]
        for family, members in families.items()
        for one in first_of_each(recommend(members))
    ]


def _faster_anywhere(records: Sequence[AnyRecord]) -> list[Paragraph]:
    """Return a paragraph that lists every strategy that is faster than its baseline, at any size.

    Returns:
        A list of that paragraph, which may say that there is none; empty without any verdict.
    """
    faster, count = faster_than_baseline(records)
    if not count:
        return []
    if not faster:
        return [[f"In none of {count} comparisons was another way told to be faster."]]
    pieces = [f"Faster than their baseline in {len(faster)} of {count} comparisons: "]
    for record in sorted(faster, key=lambda one: one["ratio"]["estimate"]):
        names = network_name(record), record["size"], framework_and_mode(record), record["phase"]
        ratio = ratio_text(record["ratio"])
        pieces += [Code(record["strategy"]), f" {ratio} ({', '.join(names)}); "]
    pieces[-1] = pieces[-1].removesuffix("; ") + "."
    return [pieces]


def _at_smallest_size(records: Sequence[AnyRecord]) -> list[Paragraph]:
    """Return a recommendation in words for each kind of cell and framework, at the smallest size.

    The families count together. The list is empty where only one size was measured.
    """
    members = smallest_size(records)
    return [
        [
            f"At size {members[0]['size']}, where dispatch makes the time, "
            f"{KINDS.get(one.kind, one.kind)}, {one.framework} {one.mode}, phase "
            f"{one.phase}: ",
            *sentence(one),
        ]
        for one in first_of_each(recommend(members))
    ]


def _short_name(family: str) -> str:
    """Return the title of a family up to its colon: ``Partial freezing``."""
    return FAMILIES.get(family, family).partition(":")[0]


def sentence(recommendation: Recommendation) -> Paragraph:
    """Return a recommendation in words: the strategy to write, and the costs of the others.

    Strategies as good as the recommended one come first, then the rest, the most expensive first.
    """
    best, baseline = recommendation.best, recommendation.baseline
    if best is None:
        return ["nothing can be told: there is no second way with an interval to compare with."]
    pieces: list[str] = ["write ", Code(best.strategy)]
    if best.strategy != baseline:
        pieces += [f", {_range_of_ratios(best)} the time of ", Code(baseline)]
    pieces += [f", in front in {best.front} of {best.groups} groups"]
    others = [one for one in recommendation.others if one.records]
    for place, one in enumerate(one for one in others if one.always_in_front):
        pieces += [", " if place else "; as good wherever it was timed: ", Code(one.strategy)]
    worse = [one for one in others if not one.always_in_front]
    for one in sorted(worse, key=lambda one: -(one.mean_ratio or 0.0)):
        pieces += ["; ", Code(one.strategy), f" {_range_of_ratios(one)}"]
    return [*pieces, "."]


def _range_of_ratios(summary: StrategySummary) -> str:
    """Return a strategy's ratio to the baseline in words: ``1.20 [1.18, 1.22] times``.

    Of several ratios it returns the lowest and the highest one with their networks.
    """
    records = summary.records
    if len(records) == 1:
        return f"{ratio_text(records[0]['ratio'])} times"
    ends = [f"{ratio_text(r['ratio'])} ({network_name(r)})" for r in (records[0], records[-1])]
    return f"{' to '.join(ends)} times"


def _cells(count: int) -> str:
    """Return a number of cells in words: ``1 cell``, ``2 cells``."""
    return f"{count} cell{'' if count == 1 else 's'}"
