"""Many runs of one machine: where the time of a cell changed for good, and how to make sure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from results.formatting import seconds_text, significant
from results.regression import history
from results.report import charts
from results.report.collection import Machine
from results.report.model import Cell, Row, Section, Table, missing
from results.statistics.change_points import LEAST
from results.terminal.history_table import Line, changed, command, lines

DRAWN = 24  # cells; the chart of more is a thicket


def section(machine: Machine) -> Section | None:
    """None where there are too few runs for a change to be told."""
    found = [
        line for line in lines(history.of_runs(machine.runs)) if len(line.series.runs) >= LEAST
    ]
    if not found:
        return None
    moved = [line for line in found if line.newest]
    drift = all(np.isfinite(line.series.frozen).all() for line in found)
    blocks: list[Any] = [
        [
            f"{len(moved)} of {len(found)} cells with {LEAST} runs or more changed the level of "
            "their times. Sessions of one machine resemble those before them, which is counted in; "
            + (
                "the machine's drift, as a frozen reference shows it, is taken out. "
                if drift
                else "not every run has the frozen reference, so the machine's drift is not. "
            )
            + "A change over sessions is a suspicion; the command beside it measures both commits "
            "in one session.",
        ],
        _chart((moved or found)[:DRAWN]),
    ]
    if moved:
        rows = [_row(line) for line in moved]
        columns = ["cell", "runs", "before", "now", "changed", "to be sure"]
        blocks.append(Table("What changed", columns, rows, (1, 2, 3)))
    return Section("time", "Over time", blocks)


def _chart(found: Sequence[Line]) -> Any:
    marks = [mark for line in found for mark in _marks(line)]
    text = (
        "Times over the median of each cell's first runs. A dot is a run at which a level begins."
    )
    return charts.over_time("time", "Times, run by run", text, marks)


def _marks(line: Line) -> list[dict[str, Any]]:
    one = line.series
    usual = float(np.median(one.seconds[: LEAST // 2]))
    begins = {change.at: change.ratio for change in line.found}
    return [
        {
            "line": one.name,
            "run": run,
            "ratio": float(seconds) / usual,
            "told": seconds_text(float(seconds)),
            "commit": commit[:9] or "not told",
            "begins": significant(begins[place]) if place in begins else "",
            **{name: one.cell[name] for name in ("scenario", "size", "framework")},
        }
        for place, (run, seconds, commit) in enumerate(
            zip(one.runs, one.seconds, one.commits, strict=True)
        )
    ]


def _row(line: Line) -> Row:
    one, newest = line.series, line.newest
    assert newest is not None
    level = float(np.exp(np.median(np.log(one.seconds[newest.at :]))))
    asked = command(line)
    kind = "slower" if math.log(newest.ratio) > 0 else "faster"
    cells = [
        Cell(one.name),
        Cell(str(len(one.runs))),
        Cell(seconds_text(level / newest.ratio)),
        Cell(seconds_text(level)),
        Cell(changed(line), "", kind),
        Cell(asked, "", "code") if asked else missing("no two commits tell it apart"),
    ]
    return Row(cells, {name: one.cell[name] for name in ("scenario", "size", "framework")})
