"""Build the tables of recommendations: what to write, and the costs of all other strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, rounded_ratio, significant
from results.grouping import group_by, group_by_fields
from results.records.record import AnyRecord
from results.report.model import Cell, Fold, Paragraph, Points, Row, Table, missing
from results.report.ranking import (
    Recommendation,
    StrategySummary,
    first_of_each,
    largest_size,
    largest_size_of_each_scenario,
    recommend,
)
from results.report.record_cells import network_name, ratio_cell, verdict_bar
from results.report.vocabulary import FAMILIES, KINDS, code_of
from results.ways import way_title

IN_FRONT: Sequence[Paragraph] = (
    [
        "Of each network its largest size counts here, where arithmetic has its largest share of "
        "the time; smaller ones stand under every cell.",
    ],
    [
        "A group is what was measured side by side: one network, size, framework, mode and phase. "
        "In front of it is each way whose interval reaches the lowest ratio there, if it is the "
        "baseline or has a verdict other than inconclusive.",
    ],
    [
        "Of ways that are in front equally often the plainest to write is named first. What "
        "freezes nothing does not compete with recipes that freeze.",
    ],
    [
        "A mean over several groups is the geometric one, each way over its own groups, so that "
        "two ways may be means over different networks: the last table has them one by one.",
    ],
    [
        "A verdict is a test over all ways of a group at 1 %, and asks for a difference beyond the "
        "margin: an interval at 95 % that leaves out ×1 may well be inconclusive.",
    ],
)


def blocks(records: Sequence[AnyRecord], summaries: Mapping[str, str]) -> list[Any]:
    """Return the blocks on what to write: a section for each scenario family, and an explanation.

    Args:
        records: the newest records of one machine.
        summaries: the name of a scenario → its description, in a line.
    """
    largest = largest_size_of_each_scenario(records)
    members = group_by(largest, lambda record: str(record["family"]))
    families = dict.fromkeys(record["family"] for record in records)
    tables = [_family(name, members[name], summaries) for name in families]
    return [*tables, Fold("What in front means, and a verdict", [Points(IN_FRONT)])]


def _family(name: str, records: Sequence[AnyRecord], summaries: Mapping[str, str]) -> Fold:
    """Return the tables of one family: a table a recommendation, then one network by network.

    Args:
        name: the family, such as ``cascade``.
        records: its records, at the largest size of each scenario.
        summaries: the name of a scenario → its description, in a line.
    """
    tables = [_table(recommendation) for recommendation in recommend(records)]
    title = FAMILIES.get(name, name)
    return Fold(title, [*tables, *_tables_by_network(records, summaries)])


def _table(recommendation: Recommendation) -> Table:
    """Return the table of all strategies in one framework, mode, kind and phase."""
    one = recommendation
    summaries = [one.best, *one.others] if one.best else list(one.others)
    columns = ["way", "in code", "in front", "mean", "counted", "from", "to", "verdicts"]
    title = f"{one.framework} {one.mode}, {KINDS.get(one.kind, one.kind)}, phase {one.phase}"
    return Table(
        title=f"{title}: time ÷ {way_title(one.baseline)}",
        columns=columns,
        rows=[_row(one, summary) for summary in summaries],
        numbers=(3, 4),
    )


def _row(recommendation: Recommendation, summary: StrategySummary) -> Row:
    """Return the row of one strategy in `_table`: code, ranking, mean and extreme ratios, verdicts.

    The strategy that the recommendation names as best is marked.
    """
    is_best = summary is recommendation.best
    filters = {"framework": recommendation.framework}
    behind = summary.groups - summary.front
    front = Cell(
        f"{summary.front} of {summary.groups}",
        bar=[("front", summary.front), ("behind", behind)],
    )
    names = [
        Cell(way_title(summary.strategy), *(("write this", "best") if is_best else ())),
        Cell(code_of(recommendation.framework, summary.strategy), "", "code"),
        front if summary.groups else missing("in no group"),
    ]
    if not summary.records:  # the baseline, or a strategy without a ratio
        return Row([*names, Cell("1"), *[Cell("")] * 4], filters)
    predicted = summary.mean_predicted_ratio
    cells = [
        *names,
        Cell(significant(summary.mean_ratio or 1.0)),
        Cell(significant(predicted) if predicted else NOTHING),
        _extreme(summary.records[0]),
        _extreme(summary.records[-1]),
        verdict_bar(summary.verdicts.elements()),
    ]
    return Row(cells, filters)


def _extreme(record: AnyRecord) -> Cell:
    """Return the cell of a strategy's lowest or highest ratio, and the network that has it.

    Args:
        record: the record with that ratio.
    """
    network = f"{network_name(record)}, {record['size']}"
    return Cell(f"{rounded_ratio(record['ratio'])} ({network})", record["phase"])


def _tables_by_network(records: Sequence[AnyRecord], summaries: Mapping[str, str]) -> list[Table]:
    """Return tables of every way on every network, one for each kind of cell and framework.

    They have a row for each network and a column for each way, at the largest size and in the
    framework's usual mode; the recommended way of each network is marked.

    Args:
        summaries: the name of a scenario → its description, in a line.
    """
    networks_by_table: dict[tuple[str, str], list[tuple[AnyRecord, Recommendation]]] = {}
    for members in group_by_fields(records, ("scenario", "variant", "kind")).values():
        largest = largest_size(members)
        for one in first_of_each(recommend(largest)):
            networks_by_table.setdefault((one.kind, one.framework), []).append((largest[0], one))
    return [
        _table_by_network(kind, framework, networks, summaries)
        for (kind, framework), networks in networks_by_table.items()
    ]


def _table_by_network(
    kind: str,
    framework: str,
    networks: Sequence[tuple[AnyRecord, Recommendation]],
    summaries: Mapping[str, str],
) -> Table:
    """Return the table of every way on these networks in one framework.

    Args:
        networks: a record of each network, and what is recommended there.
        summaries: the name of a scenario → its description, in a line.
    """
    ways = list(dict.fromkeys(
        way.strategy for _, one in networks for way in [one.best, *one.others]
        if way and way.records
    ))  # fmt: skip
    rows = []
    for first, one in networks:
        by_way = {way.strategy: way for way in [*one.others, *([one.best] if one.best else [])]}
        cells = [_ratio(by_way.get(way), is_best=by_way.get(way) is one.best) for way in ways]
        name = Cell(network_name(first), summaries.get(first["scenario"], ""))
        rows.append(Row([name, Cell(first["size"]), Cell(one.phase), *cells],
                        {"scenario": first["scenario"], "framework": framework}))  # fmt: skip
    columns = ["network", "size", "phase", *map(way_title, ways)]
    return Table(
        title=f"{framework}, {KINDS.get(kind, kind)}, network by network",
        columns=columns,
        rows=rows,
        numbers=range(3, len(columns)),
        about="± is half the 95 % interval. ▲ slower, ▼ faster, = equal within the margin, "
        "? inconclusive.",
    )


def _ratio(summary: StrategySummary | None, *, is_best: bool) -> Cell:
    """Return the cell of a way's ratio on a network, with the mark of its verdict.

    Args:
        summary: of the way on this network alone; None where it was not measured.
        is_best: whether it is recommended, which the note then says.
    """
    if summary is None or not summary.records:
        return missing("not measured for this network")
    cell = ratio_cell(summary.records[len(summary.records) // 2])
    return cell._replace(note=f"{cell.note}{'; recommended' if is_best else ''}")
