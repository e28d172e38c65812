"""Build the section on separate backward passes against that of the summed loss."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, significant
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark, record_mark
from results.report.model import Cell, Chart, Row, Section, Table, missing
from results.report.record_cells import (
    filter_values,
    framework_and_mode,
    is_baseline,
    network_name,
    ratio_summary,
)
from results.report.vocabulary import SEPARATE, STACKED

MAP_VARIANTS = ("n2", "n4", "n8", "n16", "front4", "back4")  # columns of the crossover map
Dimensions = Mapping[str, Mapping[str, Any]]  # size → width, batch, …


def section(machine: Machine, sizes: Dimensions) -> Section | None:
    """Return the section on ways to compute the gradients of several losses, by their costs.

    Args:
        sizes: each size of scenario `STACKED` → its dimensions.

    Returns:
        The section; None where no strategy was measured beside its baseline, the summed loss.
    """
    records = [r for r in machine.records if r["kind"] == "backward" and r["baseline"]]
    compared = [record for record in records if not is_baseline(record)]
    if not compared:
        return None
    blocks: list[Any] = [
        [
            "Ratios to the summed loss's one backward pass, measured side by side in the same "
            "processes. In brackets the ratio of counted FLOPs: XLA's cost analysis, torch's "
            "FlopCounterMode. A ratio far from its count is dispatch, memory or the library. "
            "▲ slower, ▼ faster, = equal within the margin, ? inconclusive.",
        ]
    ]
    marks = [record_mark(record) for record in compared if record["ratio"]]
    predicted = [mark for mark in marks if mark["predicted"]]
    if predicted:
        blocks.append(_predicted_chart(predicted))
    groups = group_by(compared, framework_and_mode)
    blocks += [_table(name, members) for name, members in groups.items()]
    blocks += crossover_map(machine.records, sizes)
    return Section("passes", "Separate backward passes against the summed loss", blocks)


def _predicted_chart(marks: Sequence[Mark]) -> Chart:
    """Return the chart of each strategy's measured ratio over the ratio of its counted FLOPs."""
    return charts.predicted_ratios(
        "passes",
        "What the other ways cost, measured and counted",
        "Each mark is a strategy on one network: how its time compares with the summed loss's, "
        "over how its FLOPs compare. On the dashed line the count tells the time.",
        marks,
    )


def _table(title: str, records: Sequence[AnyRecord]) -> Table:
    """Return the table of ratios to the summed loss, for one framework and mode.

    It has a row for each network, size and phase, and a column for each strategy.
    """
    strategies = list(dict.fromkeys(r["strategy"] for r in records if r["outcome"] == "ok"))
    groups = group_by(records, lambda r: (network_name(r), r["size"], r["phase"]))
    rows = []
    for names, members in groups.items():
        by_strategy = {record["strategy"]: record for record in members}
        cells = [_ratio_cell(by_strategy.get(strategy)) for strategy in strategies]
        if any(cell.kind != "missing" for cell in cells):
            rows.append(Row([*map(Cell, names), *cells], filter_values(members[0])))
    return Table(title, ["network", "size", "phase", *strategies], rows)


def _ratio_cell(record: AnyRecord | None) -> Cell:
    """Return the cell of a strategy's ratio, with verdict and predicted ratio.

    Args:
        record: its record; None where it was not measured.

    Returns:
        The cell; where there is no ratio, the outcome or a dash, with the reason as its note.
    """
    if record is None:
        return missing("not measured in this phase")
    if record["outcome"] != "ok":
        kind = "missing" if record["outcome"] == "unsupported" else "failed"
        text = NOTHING if kind == "missing" else record["outcome"]
        return Cell(text, str(record["missing"].get("seconds", "")), kind)
    if record["ratio"] is None:
        return missing(str(record["missing"].get("ratio", "no ratio")))
    verdict = record["verdict"]
    note = "" if verdict else record["missing"].get("verdict", "")
    return Cell(ratio_summary(record), note, verdict or "")


def crossover_map(records: Sequence[AnyRecord], sizes: Dimensions) -> list[Any]:
    """Return charts and tables of the time of separate backward passes over the summed loss's.

    They are for scenario `STACKED`: a column for each number of losses or depth ratio, a row for
    each size. Each framework and mode has one chart and one table.

    Args:
        sizes: each size of scenario `STACKED` → its dimensions.

    Returns:
        An explanation, charts and tables; empty where fewer than two variants were measured.
    """
    chosen = [record for record in records if _is_on_map(record)]
    variants = {record["variant"] for record in chosen}
    if len(variants) < 2:
        return []
    blocks: list[Any] = [[_map_explanation(variants)]]
    for name, members in group_by(chosen, framework_and_mode).items():
        marks = [record_mark(record) | _map_fields(record, sizes) for record in members]
        measured = {record["variant"] for record in members}
        columns = [variant for variant in MAP_VARIANTS if variant in measured]
        title = f"Separate over summed, {name}"
        text = "Rows are sizes, columns the number of stages or the depth ratio."
        chart = charts.heatmap(
            f"crossover-{name.replace(' ', '-')}", title, text, marks, x=columns, y="size"
        )
        blocks += [chart, _map_table(title, members, columns, sizes)]
    return blocks


def _is_on_map(record: AnyRecord) -> bool:
    """Return whether the crossover map shows the record: separate passes of `STACKED`."""
    return bool(
        record["scenario"] == STACKED
        and record["strategy"] == SEPARATE
        and record["ratio"]
        and record["variant"] in MAP_VARIANTS
        and record["phase"] == "backward"
    )


def _map_explanation(variants: Collection[str]) -> str:
    """Return the paragraph above the crossover map.

    Args:
        variants: those that were measured; no other is mentioned.
    """
    text = (
        "The crossover map: what separate passes cost by the number of losses; n2 is two stages of "
        "three layers each."
    )
    if {"front4", "back4"} & set(variants):
        text += (
            " In front4 the first of two stages has 12 layers and the second 3, in back4 the other "
            "way round: a separate pass walks every stage before its loss again, so depth in "
            "front costs much and depth behind little."
        )
    return text


def _map_fields(record: AnyRecord, sizes: Dimensions) -> Mark:
    """Return the fields that the heatmap needs beside those of `record_mark`: row and label."""
    return {
        "line": size_text(record["size"], sizes),
        "told_short": significant(record["ratio"]["estimate"]),
    }


def size_text(size: str, sizes: Dimensions) -> str:
    """Return the size with its dimensions: ``large (width 1024, batch 512)``.

    Args:
        sizes: each size → its dimensions; a size that is absent is returned without any.
    """
    known = ", ".join(f"{name} {value}" for name, value in sizes.get(size, {}).items())
    return f"{size} ({known})" if known else size


def _map_table(
    title: str, records: Sequence[AnyRecord], variants: Sequence[str], sizes: Dimensions
) -> Table:
    """Return one table of the crossover map: a row for each size, a column for each variant.

    Args:
        records: the records of one framework and mode.
        variants: the columns, in order.
        sizes: each size → its dimensions.
    """
    by_place = {(record["size"], record["variant"]): record for record in records}
    rows = [
        Row(
            [
                Cell(size_text(size, sizes)),
                *(_ratio_cell(by_place.get((size, variant))) for variant in variants),
            ],
            {"scenario": STACKED, "size": size, "framework": records[0]["framework"]},
        )
        for size in dict.fromkeys(record["size"] for record in records)
    ]
    return Table(title, ["size", *variants], rows, folded=True)
