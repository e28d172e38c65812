"""Build the section that compares each measured ratio with the ratio of two cells' limits.

A cell's limit is the sum of the best times of its operations on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from results.formatting import rounded_ratio, seconds_text, share_text, significant
from results.grouping import group_by
from results.records.limits import NEAR, is_near, told_operation
from results.records.record import AnyRecord
from results.report.collection import Machine
from results.report.drawing import Mark, record_mark
from results.report.limit_chart import measured_against_limits
from results.report.model import Block, Cell, Fold, Paragraph, Row, Section, Table, missing
from results.report.record_cells import (
    figure_cell,
    filter_values,
    framework_and_mode,
    is_baseline,
    network_name,
)
from results.ways import way_title

SHOWN = 40  # outliers in the table
COLUMNS = (
    "network", "size", "phase", "framework", "way",
    "measured", "limits", "measured ÷ limits", "FLOPs", "share of the limit",
    "longest operation", "of the baseline",
)  # fmt: skip
ABOUT = (
    "The limit of a cell is the sum over its operations. Each takes as long as this machine needs "
    "for it at best, or for the bytes that it must read and write, and what its call costs. A dot "
    "is a comparison with the baseline: the ratio of the two limits across, the measured ratio up. "
    "In the grey band the two are within 10 %."
)


def section(machine: Machine) -> Section | None:
    """Return the section on measured ratios and those of the limits; None without any."""
    compared = [record for record in machine.records if _is_compared(record)]
    if not compared:
        return None
    marks = [_mark(record) for record in compared]
    baselines = {_group(r): r for r in machine.records if is_baseline(r)}
    far = sorted((r for r in compared if not is_near(r)), key=_distance, reverse=True)
    rows = [_row(record, baselines.get(_group(record))) for record in far[:SHOWN]]
    table = Table(
        f"Further than {NEAR:.0%} from it, the furthest first", COLUMNS, rows, (5, 6, 7, 8, 9)
    )
    blocks: list[Block] = [
        measured_against_limits("limits", title(compared), ABOUT, marks, within=NEAR),
        _flops_paragraph(compared),
        *([Fold(table.title, [table])] if rows else []),
    ]
    return Section("limits", title(compared), blocks, "Measured and predicted")


def title(compared: Sequence[AnyRecord]) -> str:
    """Return how many ratios of each framework are near the one that their limits predict."""
    counts = [
        f"{sum(map(is_near, members))} of {len(members)} in {name}"
        for name, members in group_by(compared, lambda r: str(r["framework"])).items()
    ]
    return f"Within {NEAR:.0%} of the ratio that the limits predict: {', '.join(counts)}"


def _flops_paragraph(compared: Sequence[AnyRecord]) -> Paragraph:
    """Return how many of the same ratios the count of FLOPs alone predicts as well."""
    counted = [record for record in compared if record["predicted_ratio"]]
    near = sum(is_near(record, "predicted_ratio") for record in counted)
    return [f"FLOPs alone come as near in {near} of {len(counted)} of these comparisons."]


def _is_compared(record: AnyRecord) -> bool:
    """Return whether a record has a measured ratio to another cell, and one of the limits."""
    return bool(
        record["ratio"] and record["limit_ratio"] and record["baseline"] and not is_baseline(record)
    )


def _group(record: AnyRecord) -> tuple[str, ...]:
    """Return what a record has in common with its baseline."""
    names = ("kind", "scenario", "variant", "size", "framework", "mode", "phase", "device", "dtype")
    return tuple(str(record[name]) for name in names)


def _distance(record: AnyRecord) -> float:
    """Return how far the measured ratio is from that of the limits, as an absolute logarithm."""
    return abs(float(np.log(record["ratio"]["estimate"] / record["limit_ratio"])))


def _mark(record: AnyRecord) -> Mark:
    """Return the data of a record's dot."""
    return record_mark(record) | {
        "limit": record["limit_ratio"],
        "told_operation": told_operation(record),
    }


def _row(record: AnyRecord, baseline: AnyRecord | None) -> Row:
    """Return the row of a comparison that is far from what the limits predict."""
    ratio, predicted = record["ratio"]["estimate"], record["limit_ratio"]
    cells = [
        Cell(network_name(record)),
        Cell(record["size"]),
        Cell(record["phase"]),
        Cell(framework_and_mode(record)),
        Cell(way_title(record["strategy"])),
        Cell(rounded_ratio(record["ratio"])),
        Cell(significant(predicted)),
        Cell(significant(ratio / predicted)),
        figure_cell(record, "predicted_ratio", significant(record["predicted_ratio"] or 0)),
        figure_cell(record, "limit_share", share_text(record["limit_share"])),
        _operation_cell(record),
        _operation_cell(baseline),
    ]
    return Row(cells, filter_values(record))


def _operation_cell(record: AnyRecord | None) -> Cell:
    """Return the cell of the operation that takes the most of a cell's limit."""
    if record is None or not record["operations"]:
        return missing("no operation was counted")
    listed = "; ".join(
        f"{one['count']} × {one['name']}: {seconds_text(one['seconds'])}"
        for one in record["operations"]
    )
    return Cell(told_operation(record), listed)
