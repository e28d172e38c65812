"""Build the section on separate backward passes against that of the summed loss."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from results.formatting import NOTHING, significant
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark, record_mark
from results.report.model import FIGURES, Cell, Chart, Fold, Row, Section, Table, missing
from results.report.questions import SERIES, answers, of_strategy, ratio_range
from results.report.ranking import largest_size
from results.report.record_cells import (
    filter_values,
    framework_and_mode,
    is_baseline,
    network_name,
    ratio_cell,
)
from results.report.vocabulary import SEPARATE, STACKED, size_rank
from results.ways import way_title

MAP_VARIANTS = ("n2", "n4", "n8", "n16", "front4", "back4")  # columns of the crossover map
RATIOS = (
    "± is half the 95 % interval. ▲ slower, ▼ faster, = equal within the margin, ? inconclusive."
)
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
    marks = [record_mark(record) for record in compared if record["ratio"]]
    limited = any(record["limit_ratio"] for record in compared)  # then the limits have a section
    predicted = [] if limited else [mark for mark in marks if mark["predicted"]]
    by_mode = group_by(compared, framework_and_mode)
    maps, map_tables = crossover_map(machine.records, sizes)
    tables = [_table(f"Every way, {name}", members) for name, members in by_mode.items()]
    blocks = [
        *by_losses(machine.records),
        *([_predicted_chart(predicted)] if predicted else []),
        *maps,
        Fold(FIGURES, [*tables, *map_tables]),
    ]
    return Section("passes", title(machine.records), blocks, "Backward passes")


def title(records: Iterable[AnyRecord]) -> str:
    """Return the finding: what a pass for each loss costs, as the first screen counts it.

    That is each network at its largest size, in the usual mode, and the backward pass alone where
    it was timed. Where nobody timed a pass for each loss, all other ways count.

    Args:
        records: all of a machine.
    """
    series_answers = [one for one in answers(records) if one.topic == SERIES]
    separate = of_strategy(series_answers, SERIES, SEPARATE)
    cost = ratio_range(separate or [way for one in series_answers for way in one.ways])
    if cost is None:
        return "No way was timed beside the summed loss"
    name = "a pass for each loss takes" if separate else "other ways take"
    low, high = (significant(end, 2) for end in cost)
    times = f"{low} times" if low == high else f"{low} to {high} times"
    return f"At each network's largest size {name} {times} as long as one pass of the sum"


def by_losses(records: Sequence[AnyRecord]) -> list[Any]:
    """Return the chart of the ratio "separate backward passes over the summed loss's" by losses.

    The count of FLOPs predicts the ratio: with N losses, N separate passes walk N(N+1)/2 stages.

    Returns:
        A list of the one chart; empty where fewer than two numbers of losses were measured.
    """
    chosen = [record for record in records if _has_equal_stages(record)]
    if len({record["variant"] for record in chosen}) < 2:
        return []
    chosen.sort(key=_losses)
    marks = [
        record_mark(r)
        | {"losses": _losses(r), "line": f"{framework_and_mode(r)} {r['size']}"}
        | {"predicted": r["predicted_ratio"]}  # the law is one of FLOPs
        for r in chosen
    ]
    text = (
        "The title's numbers are means at the largest size. N passes walk N(N+1)/2 networks, one "
        "pass of the sum walks N. Dashed: what counted FLOPs predict. Solid: measured, with its "
        "interval, a line for every size."
    )
    title = f"{way_title(SEPARATE)}: {_by_number(chosen)}"
    return [charts.ratio_by_losses("losses", title, text, marks)]


def _by_number(records: Sequence[AnyRecord]) -> str:
    """Return the mean ratio for each number of losses, at its largest size, in words."""
    means = []
    for losses, members in group_by(records, _losses).items():
        logs = [np.log(r["ratio"]["estimate"]) for r in largest_size(members)]
        means.append(f"×{significant(float(np.exp(np.mean(logs))), 2)} with {losses}")
    first, *rest = means
    return ", ".join([f"{first} losses", *rest])


def _has_equal_stages(record: AnyRecord) -> bool:
    """Return whether the record is of `STACKED` with N equal stages, of variant ``n<N>``."""
    return bool(
        record["scenario"] == STACKED
        and record["strategy"] == SEPARATE
        and record["ratio"]
        and record["variant"][:1] == "n"
        and record["variant"][1:].isdigit()
        and record["phase"] == "backward"
    )


def _losses(record: AnyRecord) -> int:
    """Return the number of losses of a record of variant ``n<N>``: N."""
    return int(record["variant"][1:])


def _predicted_chart(marks: Sequence[Mark]) -> Chart:
    """Return the chart of each strategy's measured ratio over the ratio of its counted FLOPs."""
    off = float(np.median([abs(np.log(mark["ratio"] / mark["predicted"])) for mark in marks]))
    return charts.predicted_ratios(
        "passes",
        f"Counted FLOPs predict half of all ratios to {100 * np.expm1(off):.0f} % or better",
        "A mark is a way on one network at one of its sizes, relative to one pass of the sum. On "
        "the dashed line the count tells the time; off it stand dispatch, memory or the library.",
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
    columns = ["network", "size", "phase", *map(way_title, strategies)]
    return Table(title, columns, rows, range(3, len(columns)), folded=True, about=RATIOS)


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
    return ratio_cell(record)


def crossover_map(
    records: Sequence[AnyRecord], sizes: Dimensions
) -> tuple[list[Chart], list[Table]]:
    """Return charts and tables of the time of separate backward passes over the summed loss's.

    They are for scenario `STACKED`: a column for each number of losses or depth ratio, a row for
    each size. Each framework and mode has one chart and one table.

    Args:
        sizes: each size of scenario `STACKED` → its dimensions.

    Returns:
        Charts and tables; empty where fewer than two variants were measured.
    """
    chosen = [record for record in records if _is_on_map(record)]
    variants = {record["variant"] for record in chosen}
    drawn: list[Chart] = []
    tables: list[Table] = []
    if len(variants) < 2:
        return drawn, tables
    for name, members in group_by(chosen, framework_and_mode).items():
        marks = [record_mark(record) | _map_fields(record, sizes) for record in members]
        marks.sort(key=lambda mark: size_rank(mark["size"]), reverse=True)
        measured = {record["variant"] for record in members}
        columns = [variant for variant in MAP_VARIANTS if variant in measured]
        title = f"{way_title(SEPARATE)}, by size, {name}"
        about = (
            _map_explanation(variants) if not drawn else "The same in another framework or mode."
        )
        chart = charts.heatmap(
            f"crossover-{name.replace(' ', '-')}", title, about, marks, x=columns, y="size"
        )
        drawn.append(chart)
        tables.append(_map_table(title, members, columns, sizes))
    return drawn, tables


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
    """Return what the crossover map shows.

    Args:
        variants: those that were measured; no other is mentioned.
    """
    text = "Rows are sizes; n4 is four networks of three layers each, with a loss after each."
    if {"front4", "back4"} & set(variants):
        text += (
            " In front4 the first of two networks has 12 layers, in back4 the second: depth in "
            "front is walked again and costs much, depth behind little."
        )
    return text


def _map_fields(record: AnyRecord, sizes: Dimensions) -> Mark:
    """Return the fields that the heatmap needs beside those of `record_mark`: row and label."""
    return {
        "line": size_text(record["size"], sizes),
        "short_text": significant(record["ratio"]["estimate"]),
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
    columns = ["size", *variants]
    return Table(title, columns, rows, range(1, len(columns)), folded=True, about=RATIOS)
