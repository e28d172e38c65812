"""Build the section on many runs of one machine: lasting changes of the time of a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from results.formatting import seconds_text, significant
from results.regression import history
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark
from results.report.model import Cell, Chart, Row, Section, Table, missing
from results.report.record_cells import filter_values
from results.statistics.change_points import LEAST
from results.terminal.history_table import (
    CellHistory,
    cell_histories,
    change_text,
    confirming_command,
)

DRAWN = 24  # cells at most: with more lines none can be followed


def section(machine: Machine) -> Section | None:
    """Return the section on changes of times over the runs of one machine.

    None where no cell has enough runs to detect a change.
    """
    cells = [
        line
        for line in cell_histories(history.series_of_runs(machine.runs))
        if len(line.series.runs) >= LEAST
    ]
    if not cells:
        return None
    moved = [line for line in cells if line.newest]
    corrected = all(np.isfinite(line.series.reference_seconds).all() for line in cells)
    blocks: list[Any] = [_chart((moved or cells)[:DRAWN])]
    if moved:
        rows = [_row(line) for line in moved]
        columns = ["cell", "runs", "before", "now", "changed", "to be sure"]
        blocks.append(Table("What changed", columns, rows, (1, 2, 3), folded=True))
    blocks.append(
        [
            "Sessions of one machine resemble those before them, which is counted in; "
            + (
                "the machine's drift, as a frozen reference shows it, is taken out. "
                if corrected
                else "not every run has the frozen reference, so the machine's drift is not. "
            )
            + "A change over sessions is a suspicion; its command measures both commits in one.",
        ]
    )
    title = (
        f"{len(moved)} of {len(cells)} cells with {LEAST} runs or more changed the level of their "
        "times"
    )
    return Section("time", title, blocks, "Over time")


def _chart(cells: Sequence[CellHistory]) -> Chart:
    """Return the chart of each cell's times over the runs."""
    marks = [mark for line in cells for mark in _marks(line)]
    text = (
        "Times over the median of each cell's first runs. A dot is a run at which a level begins."
    )
    return charts.over_time("time", "Times, run by run", text, marks)


def _marks(line: CellHistory) -> list[Mark]:
    """Return the data of a cell's line in the chart: one mark for each run."""
    series = line.series
    first = float(np.median(series.seconds[: LEAST // 2]))
    ratio_at = {change.at: change.ratio for change in line.changes}
    runs = zip(series.runs, series.seconds, series.commits, strict=True)
    return [
        {
            "line": series.name,
            "run": run,
            "ratio": float(seconds) / first,
            "text": seconds_text(float(seconds)),
            "commit": commit[:9] or "not told",
            "begins": significant(ratio_at[place]) if place in ratio_at else "",
            **filter_values(series.cell),
        }
        for place, (run, seconds, commit) in enumerate(runs)
    ]


def _row(line: CellHistory) -> Row:
    """Return the row of a cell that changed: its levels, the change, the command to confirm it."""
    series, newest = line.series, line.newest
    assert newest is not None
    level = float(np.exp(np.median(np.log(series.seconds[newest.at :]))))
    confirming = confirming_command(line)
    kind = "slower" if math.log(newest.ratio) > 0 else "faster"
    cells = [
        Cell(series.name),
        Cell(str(len(series.runs))),
        Cell(seconds_text(level / newest.ratio)),
        Cell(seconds_text(level)),
        Cell(change_text(line), "", kind),
        Cell(confirming, "", "code") if confirming else missing("no two commits tell it apart"),
    ]
    return Row(cells, filter_values(series.cell))
