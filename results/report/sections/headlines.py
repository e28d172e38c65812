"""Build the start of the report: the finding, a chart of verdicts, and what to write.

The latter is a table with a row for each family, framework and size; the ways that beat the sum of
losses and a paragraph on correctness follow it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from results.grouping import group_by
from results.records.record import AnyRecord
from results.report import charts
from results.report.drawing import Mark
from results.report.model import Cell, Chart, Paragraph, Row, Strong, Table, missing
from results.report.ranking import (
    Recommendation,
    StrategySummary,
    faster_than_baseline,
    first_of_each,
    largest_size_of_each_scenario,
    recommend,
    smallest_size,
)
from results.report.record_cells import (
    filter_values,
    framework_and_mode,
    frozen_part_moved,
    is_baseline,
    network_name,
    ratio_cell,
    verdict_bar,
)
from results.report.vocabulary import FAMILIES, FREEZE, KINDS
from results.statistics.verdict import FASTER
from results.ways import way_title

PURPOSE = {FREEZE: ", to freeze a part"}
COLUMNS = ("for", "framework", "phase", "write", "in front", "as good", "other ways")


def title(records: Sequence[AnyRecord]) -> str:
    """Return the finding: how often another way than the sum was faster, and a freeze than none."""
    faster, count = faster_than_baseline(records)
    freezing = [r for r in records if r["kind"] == FREEZE and r["verdict"]]
    saved = sum(record["verdict"] == FASTER for record in freezing)
    parts = []
    if count:
        parts.append(f"another way than the sum was faster in {len(faster)} of {count} comparisons")
    if freezing:
        parts.append(f"freezing in {saved} of {len(freezing)}")
    text = ", ".join(parts) or "nothing was timed beside a baseline with a verdict"
    return text[:1].upper() + text[1:]


def verdict_chart(records: Iterable[AnyRecord]) -> list[Chart]:
    """Return the chart of how often each way was slower, equal, not told and faster; or none."""
    judged = [record for record in records if record["verdict"] and not is_baseline(record)]
    marks: list[Mark] = [
        filter_values(r) | {"line": _line(r), "verdict": r["verdict"]} for r in judged
    ]
    if not marks:
        return []
    order = sorted(
        {(r["kind"], r["framework"] != "torch", _line(r)) for r in judged},
        key=lambda key: (*key[:2], -_slower([r for r in judged if _line(r) == key[2]]), key[2]),
    )
    about = (
        "Every network, size, phase and mode. Backward passes against one pass of the sum, "
        "freezing against nothing frozen."
    )
    title = "How often each way was slower or faster than its baseline"
    lines = [line for _, _, line in order]
    return [charts.verdicts("verdicts", title, about, marks, lines=lines)]


def _line(record: AnyRecord) -> str:
    """Return the label of a way in the chart: framework, name and words."""
    return f"{record['framework']}: {way_title(record['strategy'])}"


def _slower(records: Sequence[AnyRecord]) -> float:
    """Return the share of records that are slower less that of faster ones."""
    counts = Counter(record["verdict"] for record in records)
    return (counts["slower"] - counts["faster"]) / len(records)


def table(records: Sequence[AnyRecord]) -> Table:
    """Return the table of what to write, a row for each family, kind of cell, framework and size.

    Each family counts at the largest size of its scenarios; the last rows are for the smallest
    size over all families, where dispatch makes the time.
    """
    families = group_by(largest_size_of_each_scenario(records), lambda r: str(r["family"]))
    rows = [
        _row(f"{_family(family)}{PURPOSE.get(one.kind, '')}", one)
        for family, members in families.items()
        for one in first_of_each(recommend(members))
    ]
    small = smallest_size(records)
    rows += [
        _row(f"size {small[0]['size']}, {KINDS.get(one.kind, one.kind)}", one)
        for one in first_of_each(recommend(small))
    ]
    about = (
        "At the largest size of each network; the last rows at the smallest one of all. In front: "
        "on how many networks none is faster (dark), or one is (outlined). Other ways: those not "
        "named in the row, against the baseline: red slower, blue equal, grey undecided, green "
        "faster."
    )
    return Table("What to write", COLUMNS, rows, about=about)


def _family(family: str) -> str:
    """Return the title of a family up to its colon: ``Partial freezing``."""
    return FAMILIES.get(family, family).partition(":")[0]


def _row(purpose: str, one: Recommendation) -> Row:
    """Return the row of a recommendation: the way, how often it is in front, and the others."""
    words = [Cell(purpose), Cell(f"{one.framework} {one.mode}"), Cell(one.phase)]
    filters = {"framework": one.framework}
    if one.best is None:
        reason = "there is no second way with an interval to compare with"
        return Row([*words, Cell("not told", reason, "missing"), *[missing(reason)] * 3], filters)
    front = [("front", one.best.front), ("behind", one.best.groups - one.best.front)]
    others = [other for other in one.others if other.records]
    good = [other.strategy for other in others if other.always_in_front]
    return Row(
        [
            *words,
            Cell(way_title(one.best.strategy), kind="best"),
            Cell(f"{one.best.front} of {one.best.groups}", bar=front),
            Cell("; ".join(map(way_title, good))),
            _verdicts([other for other in others if not other.always_in_front]),
        ],
        filters,
    )


def _verdicts(others: Sequence[StrategySummary]) -> Cell:
    """Return the verdicts of these ways over all their networks, as a bar."""
    if not others:
        return missing("no other way")
    return verdict_bar(name for other in others for name in other.verdicts.elements())


def faster_table(records: Sequence[AnyRecord]) -> list[Table]:
    """Return the table of each way that is faster than the sum, at any size; none without any."""
    faster, count = faster_than_baseline(records)
    rows = [
        Row(
            [
                *map(Cell, (network_name(r), r["size"], r["phase"], framework_and_mode(r))),
                Cell(way_title(r["strategy"])),
                ratio_cell(r),
            ],
            filter_values(r),
        )
        for r in sorted(faster, key=lambda one: one["ratio"]["estimate"])
    ]
    columns = ["network", "size", "phase", "framework", "way", "÷ baseline"]
    title = f"Where another way was faster than the sum: {len(faster)} of {count}"
    return [Table(title, columns, rows, (5,), folded=True)] if rows else []


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
            f"Right: all {_cells(ok)} that were timed have the float64 reference's gradients."
        )
    without_time = ("ok", "unsupported", "wrong_gradients")
    failed = {name: count for name, count in outcomes.items() if name not in without_time}
    if failed:
        counts = ", ".join(f"{count} {name}" for name, count in failed.items())
        pieces += [" ", Strong(f"No time for {_cells(sum(failed.values()))}: {counts}.")]
    return pieces


def _cells(count: int) -> str:
    """Return a number of cells in words: ``1 cell``, ``2 cells``."""
    return f"{count} cell{'' if count == 1 else 's'}"
