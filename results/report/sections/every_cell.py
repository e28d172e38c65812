"""Build two sections: the table of every cell, and the comparison of several runs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from results.formatting import seconds_text, significant
from results.records.failures import outcome_reason
from results.records.record import AnyRecord, Run, sample_key
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark
from results.report.model import Cell, Chart, Code, Paragraph, Points, Row, Section, Table, missing
from results.report.record_cells import (
    filter_values,
    framework_and_mode,
    network_name,
    ratio_cells,
    time_cell,
)
from results.statistics.verdict import EQUAL, FASTER, SLOWER
from results.ways import way_title

COLUMNS = (
    "network",
    "size",
    "kind",
    "phase",
    "framework",
    "way",
    "time",
    "÷ baseline",
    "verdict",
    "counted",
)
RUN_COLUMNS = 4  # with more runs, a table of the largest changes replaces a column a run
MOVED = 30  # rows of that table
# Twice the standard deviation, over sessions, of the log time of a cell on a shared machine.
SESSION_DRIFT = math.log(1.17)
DECIDED = (SLOWER, FASTER, EQUAL)
Times = Mapping[str, Mapping[str, float]]  # id of a run → `sample_key` of a cell → seconds


def section(machine: Machine) -> Section:
    """Return the section with a table of all cells: a row each, but for those that cannot exist."""
    rows = [_row(r) for r in machine.records if r["outcome"] != "unsupported"]
    text = "Everything, with every figure and reason, stands in cells.csv and cells.parquet."
    table = Table("All that can be measured", COLUMNS, rows, (6, 7, 9), folded=True, about=text)
    again = next((record["rerun"] for record in machine.records if record["rerun"]), "")
    how: Paragraph = [
        "One cell again, in a clone: ",
        Code(again),
        ". Each has its own in cells.csv.",
    ]
    title = f"{len(rows)} cells: {_outcomes(machine.records)}"
    return Section("cells", title, [table, *([how] if again else [])], "Every cell")


def _outcomes(records: Sequence[AnyRecord]) -> str:
    """Return what came of the cells that can exist, in words: ``574 timed, 2 timeout``."""
    counts = Counter(r["outcome"] for r in records if r["outcome"] != "unsupported")
    timed = counts.pop("ok", 0)
    return ", ".join([f"{timed} timed", *(f"{count} {name}" for name, count in counts.items())])


def _row(record: AnyRecord) -> Row:
    """Return the row of one cell: its names, time and ratio; or its outcome and the reason."""
    names = network_name(record), record["size"], record["kind"], record["phase"]
    cells = [
        Cell(name) for name in (*names, framework_and_mode(record), way_title(record["strategy"]))
    ]
    if record["outcome"] != "ok":
        reason = outcome_reason(record)
        cells += [Cell(record["outcome"], reason, "failed"), *[missing(reason)] * 3]
    else:
        cells += [time_cell(record), *ratio_cells(record)]
    return Row(cells, filter_values(record))


def side_by_side(machine: Machine) -> Section | None:
    """Return the section that compares the runs; None where no cell was timed twice.

    It gives no verdict. Between sessions the machine itself changes, by some 17 % on a shared one
    (twice the standard deviation over sessions). Only a session that measures both versions can
    separate a change of the code from that.
    """
    repeated = machine.repeated
    if not repeated:
        return None
    times = {run.id: _times(run) for run in machine.runs}
    few = len(machine.runs) <= RUN_COLUMNS
    blocks: list[Any] = [
        *_drift_chart(machine.runs, times),
        Points(agreement(machine)),
        *_changed_verdicts(machine),
        (_runs_table if few else _moved_table)(machine, repeated, times),
        [
            "Between sessions the machine itself drifts: what differs by less than some 17 %, "
            "twice what unchanged cells spread by, means nothing, and no verdict is given. Ratios "
            "within a session are steadier.",
        ],
    ]
    return Section("runs", _title_of_runs(machine), blocks, "Run against run")


def _title_of_runs(machine: Machine) -> str:
    """Return the finding: how far cells that several runs timed moved between the two newest."""
    changes = _changes(machine, "ratio") or _changes(machine, "seconds")
    what = "ratios to the baseline" if _changes(machine, "ratio") else "times"
    median = significant(100 * math.expm1(float(np.median(changes))), 2) if changes else ""
    return f"Measured again, half of the {what} moved by less than {median} %"


def _changes(machine: Machine, key: str) -> list[float]:
    """Return how far a figure of each cell that was timed again moved, as an absolute log ratio."""
    return [_log_change(a[key], b[key]) for a, b in machine.measured_again if a[key] and b[key]]


def agreement(machine: Machine) -> list[Paragraph]:
    """Return paragraphs on how far the two newest measurements of each cell agree.

    They compare verdicts, ratios and times.
    """
    paragraphs = _verdict_agreement(machine)
    for key, title in (("ratio", "ratios to the baseline"), ("seconds", "times")):
        changes = _changes(machine, key)
        if changes:
            far = sum(change > SESSION_DRIFT for change in changes)
            limit = f"{100 * math.expm1(SESSION_DRIFT):.0f} %"
            measured = f"{far} of the {len(changes)} {title} that were measured twice"
            paragraphs.append([f"{measured} moved by more than {limit}."])
    return paragraphs


def _verdict_agreement(machine: Machine) -> list[Paragraph]:
    """Return a paragraph on how many verdicts differ between the two newest sessions of a cell.

    It is left out where no cell has a verdict other than inconclusive in both.
    """
    both, changed = _decided_twice(machine), _changed(machine)
    if not both:
        return []
    return [[f"Of {len(both)} comparisons decided in both, {len(changed)} have another verdict."]]


def _decided_twice(machine: Machine) -> list[tuple[AnyRecord, AnyRecord]]:
    """Return the two newest records of each cell that is decided in both."""
    return [
        (a, b)
        for a, b in machine.measured_again
        if a["verdict"] in DECIDED and b["verdict"] in DECIDED
    ]


def _changed(machine: Machine) -> list[tuple[AnyRecord, AnyRecord]]:
    """Return those of `_decided_twice` whose verdicts differ."""
    return [(a, b) for a, b in _decided_twice(machine) if a["verdict"] != b["verdict"]]


def _changed_verdicts(machine: Machine) -> list[Table]:
    """Return the table of cells with another verdict than the session before; none without any."""
    rows = [
        Row([Cell(_name(b)), *(Cell(str(r["verdict"]), "", str(r["verdict"])) for r in (a, b))],
            filter_values(b))
        for a, b in _changed(machine)
    ]  # fmt: skip
    columns = ["cell", "before", "now"]
    return [Table("Another verdict than before", columns, rows, folded=True)] if rows else []


def _log_change(old: Mapping[str, float], new: Mapping[str, float]) -> float:
    """Return the size of the change between two estimates: the absolute log ratio."""
    return abs(math.log(new["estimate"] / old["estimate"]))


def _times(run: Run) -> dict[str, float]:
    """Return the time of each cell of a run, by `sample_key`, in seconds."""
    return {
        sample_key(r): r["seconds"]["estimate"]
        for r in run.records
        if r["outcome"] == "ok" and r["seconds"] and r["seconds"]["estimate"]
    }


def _drift_chart(runs: Sequence[Run], times: Times) -> list[Chart]:
    """Return the chart that shows how all times together change over the runs.

    A mark is the geometric mean, over the cells of one framework and size, of a run's time over the
    first run's; only cells that both runs timed count.

    Returns:
        A list of the chart, of what several runs timed; empty where there is nothing.
    """
    keys_of_line: dict[str, list[str]] = {}
    for run in runs:
        for record in run.records:
            line = f"{record['framework']} {record['size']}"
            keys_of_line.setdefault(line, []).append(sample_key(record))
    lines = [_drift_marks(line, keys, runs, times) for line, keys in keys_of_line.items()]
    marks = [mark for line in lines if len(line) > 1 for mark in line]
    if not marks:
        return []
    text = (
        "The geometric mean over the cells in common, by framework and size, of what several runs "
        "timed: drift of the machine, or of the versions."
    )
    return [charts.drift("runs", "All times together, run by run", text, marks)]


def _drift_marks(line: str, keys: Sequence[str], runs: Sequence[Run], times: Times) -> list[Mark]:
    """Return the marks of one line of `_drift_chart`: one for each run.

    Args:
        line: framework and size, such as ``torch large``.
        keys: the `sample_key` of each cell of the line.
        runs: all runs, oldest first.
        times: the times of each run's cells.
    """
    framework, _, size = line.partition(" ")
    first = next((times[run.id] for run in runs if set(keys) & times[run.id].keys()), {})
    common = dict.fromkeys(key for key in keys if key in first)
    marks = []
    for run in runs:
        own = times[run.id]
        logs = [math.log(own[key] / first[key]) for key in common if key in own]
        if logs:
            ratio = float(np.exp(np.mean(logs)))
            mark = {"run": run.id, "line": line, "framework": framework, "size": size}
            marks.append(mark | {"ratio": ratio, "text": significant(ratio), "cells": len(logs)})
    return marks


def _records_by_key(machine: Machine) -> dict[str, AnyRecord]:
    """Return the newest record of each cell, also of several ranks, by `sample_key`."""
    return {sample_key(record): record for record in (*machine.records, *machine.over_ranks)}


def _runs_table(machine: Machine, repeated: Sequence[str], times: Times) -> Table:
    """Return the table of times with a row for each cell and a column for each run.

    Args:
        repeated: the `sample_key` of each cell to show.
        times: the times of each run's cells.
    """
    records, runs = _records_by_key(machine), machine.runs
    rows = []
    for key in repeated:
        series = [times[run.id].get(key) for run in runs]
        first = next(time for time in series if time)
        cells = [_run_cell(time, first) for time in series]
        rows.append(Row([Cell(_name(records[key])), *cells], filter_values(records[key])))
    columns = ["cell", *(run.id for run in runs)]
    numbers = range(1, len(columns))
    return Table("Cells of several runs: time (÷ the first)", columns, rows, numbers, folded=True)


def _run_cell(time: float | None, first: float) -> Cell:
    """Return the cell of a time in seconds and its ratio to the first: ``1.23 ms (1.02)``.

    Args:
        time: None where the run did not time the cell.
    """
    if time is None:
        return missing("not timed in this run")
    return Cell(f"{seconds_text(time)} ({significant(time / first)})")


def _moved_table(machine: Machine, repeated: Sequence[str], times: Times) -> Table:
    """Return the table of the `MOVED` cells whose times changed most.

    The change is from the median of all runs but the newest to the newest.

    Args:
        repeated: the `sample_key` of each cell that may be shown.
        times: the times of each run's cells.
    """
    records, changes = _records_by_key(machine), []
    for key in repeated:
        series = [times[run.id][key] for run in machine.runs if key in times[run.id]]
        before = float(np.median(series[:-1]))
        change = abs(math.log(series[-1] / before))
        changes.append((change, key, series[-1], before, len(series)))
    changes.sort(reverse=True)
    rows = [
        Row(
            [
                *map(Cell, (_name(records[key]), str(count))),
                *map(Cell, (seconds_text(before), seconds_text(newest))),
                Cell(significant(newest / before)),
            ],
            filter_values(records[key]),
        )
        for _, key, newest, before, count in changes[:MOVED]
    ]
    columns = ["cell", "runs", "median before", "newest", "newest ÷ before"]
    title = f"The {len(rows)} cells that moved most"
    return Table(title, columns, rows, (1, 2, 3, 4), folded=True)


def _name(record: AnyRecord) -> str:
    """Return the name of a cell for people: network, size, framework, mode, strategy and phase."""
    names = framework_and_mode(record), record["strategy"], record["phase"]
    return f"{network_name(record)} {record['size']}, {' '.join(names)}"
