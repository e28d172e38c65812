"""Build the section on several ranks: what each way costs there, and what its ranks reduce."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, bytes_text, significant
from results.grouping import group_by
from results.records.record import AnyRecord, cell_fields
from results.report.collection import Machine
from results.report.model import Cell, Code, Paragraph, Points, Row, Section, Table, missing
from results.report.record_cells import (
    filter_values,
    framework_and_mode,
    is_baseline,
    network_name,
    ratio_cells,
    time_cell,
)
from results.ways import way_title

COLUMNS = (
    "network",
    "size",
    "phase",
    "way",
    "time",
    "÷ summed",
    "verdict",
    "FLOPs",
    "reduced",
    "predicted",
    "reductions",
)
# behind those of a wrapper that shards parameters
GATHERED = ("gathered", "predicted gathered", "gatherings")

TEXTS: list[Paragraph] = [
    [
        "Each rank, a process of torch or a device of JAX, has its share of the batch. They begin "
        "a call together, and the slowest one's time counts.",
    ],
    [
        "Before anything is timed the gradients of every rank are held to those of one process "
        "over the whole batch, to each other bit by bit, and the bytes that a call reduces and "
        "gathers to those that its passes must.",
    ],
    [
        "The mode names the wrapper and the ranks: ",
        Code("ddp_one_x2"),
        " is one DDP around all networks in 2 processes, ",
        Code("ddp_each_x2"),
        " one around each; ",
        Code("fsdp_each_x2"),
        " is FSDP2 around each, so that a rank has a part of all parameters, and gathers those "
        "of a network for the passes that go through it; ",
        Code("sharded_jit_x2"),
        " leaves the reductions to XLA, ",
        Code("shard_map_x2"),
        " takes one mean at its end.",
    ],
]


def section(machine: Machine) -> Section | None:
    """Return the section on cells of several ranks; None where none was selected."""
    records = machine.over_ranks
    if not records:
        return None
    tables = [
        _table(name, members) for name, members in group_by(records, framework_and_mode).items()
    ]
    return Section("ranks", title(records), [*tables, Points(TEXTS)], "Several ranks")


def title(records: Sequence[AnyRecord]) -> str:
    """Return the finding: how much more the ways with several reductions reduce, or what failed."""
    wrong = sum(record["outcome"] not in ("ok", "unsupported") for record in records)
    if wrong:
        return f"Of {len(records)} cells of several ranks {wrong} failed, and have no time"
    shares = [
        record["communication"]["reduced_bytes"] / once["communication"]["reduced_bytes"]
        for members in group_by(records, _group).values()
        for once in members
        for record in members
        if is_baseline(once) and record.get("communication") and once.get("communication")
    ]
    more = [share for share in shares if share > 1]
    if not more:
        return "Every way that was timed in several ranks reduces each gradient once"
    low, high = significant(min(more)), significant(max(more))
    times = low if low == high else f"{low} to {high}"
    return f"In several ranks a pass for each loss reduces {times} times the bytes of the sum"


def _group(record: AnyRecord) -> tuple[str, ...]:
    """Return what the cells share of which one is the baseline."""
    return cell_fields(record, without=("strategy",))


def _table(name: str, records: Sequence[AnyRecord]) -> Table:
    """Return the table of one framework and wrapper, a row for each cell."""
    sharded = any("gathered_bytes" in (record.get("communication") or {}) for record in records)
    columns = [*COLUMNS, *(GATHERED if sharded else ())]
    numbers = [place for place, column in enumerate(columns) if place > 3 and column != "verdict"]
    return Table(name, columns, [_row(record, sharded) for record in records], numbers)


def _row(record: AnyRecord, sharded: bool) -> Row:
    """Return the row of one way on one network; of a cell without a time with the reason.

    Args:
        record: of the cell.
        sharded: whether the table has the columns `GATHERED`.
    """
    names = network_name(record), record["size"], record["phase"], way_title(record["strategy"])
    counts = record.get("communication")
    if record["outcome"] != "ok" or not counts:
        reason = str(record["missing"].get("seconds", ""))
        kind = "missing" if record["outcome"] == "unsupported" else "failed"
        empty = [missing(reason)] * (9 if sharded else 6)
        figures = [Cell(record["outcome"], reason, kind), *empty]
    else:
        figures = [time_cell(record), *ratio_cells(record), *_traffic(counts, sharded)]
    return Row([*map(Cell, names), *figures], filter_values(record))


def _traffic(counts: Mapping[str, Any], sharded: bool) -> list[Cell]:
    """Return the cells of what a rank reduces, and where parameters are sharded of what it gathers.

    Args:
        counts: the ``communication`` of a record.
        sharded: whether the table has the columns `GATHERED`.
    """
    cells = [
        Cell(bytes_text(counts["reduced_bytes"])),
        Cell(bytes_text(counts["predicted_bytes"])),
        Cell(str(counts["reductions"])),
    ]
    if sharded:
        cells += [
            Cell(bytes_text(counts.get("gathered_bytes"))),
            Cell(bytes_text(counts.get("predicted_gathered_bytes"))),
            Cell(str(counts.get("gatherings", NOTHING))),
        ]
    return cells
