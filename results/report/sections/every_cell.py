"""Every cell with its figures, and several runs side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.formatting import ratio_text, seconds_text, significant
from results.records.failures import outcome_reason
from results.records.record import Record, Run, sample_key
from results.report import charts
from results.report.collection import Machine
from results.report.model import (
    Cell,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    about,
    missing,
    of,
    problem,
    time_of,
    way,
)
from results.statistics.verdict import EQUAL, FASTER, SLOWER

COLUMNS = (
    "network", "size", "kind", "phase", "framework", "strategy", "time", "÷ baseline [interval]",
    "verdict", "counted",
)  # fmt: skip
SIDE_BY_SIDE = 4  # runs in columns; more are a chart and a list of what moved most
MOVED = 30
DRIFT = math.log(1.17)  # what the machine alone may do to a time from one session to another
DECIDED = (SLOWER, FASTER, EQUAL)


def section(machine: Machine) -> Section:
    """A row a cell that can exist."""
    rows = [_row(r) for r in machine.records if r["outcome"] != "unsupported"]
    text = "Everything, with every figure and reason, stands in cells.csv and cells.parquet."
    table = Table("All that can be measured", COLUMNS, rows, (6, 7, 9), folded=True, about=text)
    return Section("cells", "Every cell", [table])


def _row(record: Record) -> Row:
    names = (problem(record), record["size"], record["kind"], record["phase"], way(record))
    cells = [*map(Cell, names), Cell(record["strategy"])]
    if record["outcome"] != "ok":
        why = outcome_reason(record)
        cells += [Cell(record["outcome"], why, "failed"), *[missing(why)] * 3]
        return Row(cells, about(record))
    base = record["strategy"] == record["baseline"]
    cells += [
        time_of(record),
        Cell("1") if base else of(record, "ratio", ratio_text(record["ratio"])),
        Cell("") if base else _verdict(record),
        of(record, "predicted_ratio", significant(record["predicted_ratio"] or 0)),
    ]
    return Row(cells, about(record))


def _verdict(record: Record) -> Cell:
    return of(record, "verdict", str(record["verdict"]))._replace(kind=record["verdict"] or "")


def side_by_side(machine: Machine) -> Section | None:
    """The runs of one machine beside each other; None where no cell was timed twice.

    No verdict stands here: between sessions the machine itself changes, by some 17 % on a shared
    one (twice the standard deviation of a session), and only a session that measures both versions
    can tell a change of the code from that.
    """
    repeated = machine.repeated
    if not repeated:
        return None
    times = {run.id: _times(run) for run in machine.runs}
    blocks: list[Any] = [
        [
            "Times of several sessions on one machine. Between sessions the machine itself drifts: "
            "what differs here by less than some 17 %, twice what unchanged cells spread by, means "
            "nothing, and no verdict is given. "
            "Ratios of strategies, made within a session, are steadier.",
        ],
        Points(agreement(machine)),
    ]
    drift = _drift(machine.runs, times)
    if drift:
        blocks.append(drift)
    if len(machine.runs) <= SIDE_BY_SIDE:
        blocks.append(_columns(machine, repeated, times))
    else:
        blocks.append(_moved(machine, repeated, times))
    return Section("runs", "The runs side by side", blocks)


def agreement(machine: Machine) -> list[Paragraph]:
    """How the two newest measurements of each cell agree: verdicts, ratios, times."""
    measured: dict[str, list[Record]] = {}
    for run in machine.runs:
        for record in run.records:
            if record["outcome"] == "ok":
                measured.setdefault(sample_key(record), []).append(record)
    pairs = [(ones[-2], ones[-1]) for ones in measured.values() if len(ones) > 1]
    told = [(a, b) for a, b in pairs if a["verdict"] in DECIDED and b["verdict"] in DECIDED]
    changed = [b for a, b in told if a["verdict"] != b["verdict"]]
    said: list[Paragraph] = []
    if told:
        said += [[
            f"The two newest sessions of each cell: of {len(told)} comparisons with a verdict "
            f"other than inconclusive in both, {len(changed)} have another one."
        ]]  # fmt: skip
    said += [[f"Another verdict: {_name(record)}, now {record['verdict']}."] for record in changed]
    for key, what in (("ratio", "ratios to the baseline"), ("seconds", "times")):
        moved = [_moved_by(a[key], b[key]) for a, b in pairs if a[key] and b[key]]
        if moved:
            far = sum(one > DRIFT for one in moved)
            middle = significant(100 * math.expm1(float(np.median(moved))), 2)
            said.append([
                f"Of {len(moved)} {what} half moved by less than {middle} %, and {far} by more "
                f"than {100 * math.expm1(DRIFT):.0f} %."
            ])  # fmt: skip
    return said


def _moved_by(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    return abs(math.log(other["estimate"] / one["estimate"]))


def _times(run: Run) -> dict[str, float]:
    return {
        sample_key(r): r["seconds"]["estimate"]
        for r in run.records
        if r["outcome"] == "ok" and r["seconds"] and r["seconds"]["estimate"]
    }


def _drift(runs: Sequence[Run], times: Mapping[str, Mapping[str, float]]) -> Any:
    """The geometric mean of time over the first run's, of the cells that both have."""
    kinds: dict[str, list[str]] = {}
    for run in runs:
        for record in run.records:
            line = f"{record['framework']} {record['size']}"
            kinds.setdefault(line, []).append(sample_key(record))
    marks = []
    for line, keys in kinds.items():
        first = next((times[run.id] for run in runs if set(keys) & times[run.id].keys()), {})
        mine = dict.fromkeys(key for key in keys if key in first)
        for run in runs:
            logs = [math.log(times[run.id][k] / first[k]) for k in mine if k in times[run.id]]
            if logs:
                ratio = float(np.exp(np.mean(logs)))
                marks.append(_drift_mark(run, line, ratio, len(logs)))
    if len(marks) < 2:
        return None
    text = "The geometric mean over the cells in common: drift of the machine, or of the versions."
    return charts.drift("runs", "All times together, run by run", text, marks)


def _drift_mark(run: Run, line: str, ratio: float, cells: int) -> dict[str, Any]:
    framework, _, size = line.partition(" ")
    told = {"told": significant(ratio), "cells": cells}
    return {
        "run": run.id,
        "line": line,
        "framework": framework,
        "size": size,
        "ratio": ratio,
    } | told


def _by_key(machine: Machine) -> dict[str, Record]:
    return {sample_key(record): record for record in machine.records}


def _columns(
    machine: Machine, repeated: Sequence[str], times: Mapping[str, Mapping[str, float]]
) -> Table:
    records, runs = _by_key(machine), machine.runs
    rows = []
    for key in repeated:
        found = [times[run.id].get(key) for run in runs]
        first = next(time for time in found if time)
        cells = [_run_cell(time, first) for time in found]
        rows.append(Row([Cell(_name(records[key])), *cells], about(records[key])))
    columns = ["cell", *(run.id for run in runs)]
    numbers = range(1, len(columns))
    return Table("Cells of several runs: time (÷ the first)", columns, rows, numbers, folded=True)


def _run_cell(time: float | None, first: float) -> Cell:
    if time is None:
        return missing("not timed in this run")
    return Cell(f"{seconds_text(time)} ({significant(time / first)})")


def _moved(
    machine: Machine, repeated: Sequence[str], times: Mapping[str, Mapping[str, float]]
) -> Table:
    """The cells whose newest time is furthest from the median of the earlier ones."""
    records, found = _by_key(machine), []
    for key in repeated:
        series = [times[run.id][key] for run in machine.runs if key in times[run.id]]
        usual = float(np.median(series[:-1]))
        found.append((abs(math.log(series[-1] / usual)), key, series[-1], usual, len(series)))
    found.sort(reverse=True)
    rows = [
        Row(
            [
                Cell(_name(records[key])),
                *(Cell(text) for text in (str(count), seconds_text(usual), seconds_text(last))),
                Cell(significant(last / usual)),
            ],
            about(records[key]),
        )
        for _, key, last, usual, count in found[:MOVED]
    ]
    columns = ["cell", "runs", "median before", "newest", "newest ÷ before"]
    return Table(f"The {len(rows)} cells that moved most", columns, rows, (1, 2, 3, 4))


def _name(record: Record) -> str:
    return (
        f"{problem(record)} {record['size']}, {way(record)} {record['strategy']} {record['phase']}"
    )
