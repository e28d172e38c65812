"""Build the section on scaling: cost by size, by number of losses, and when compiling pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from results.estimates.break_even import INDISTINGUISHABLE, NEVER, BreakEven, break_evens
from results.formatting import seconds_text, significant
from results.grouping import group_by
from results.records.record import AnyRecord, sample_key
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark, record_mark
from results.report.model import Cell, Code, Row, Section, Table, missing
from results.report.record_cells import (
    filter_values,
    framework_and_mode,
    is_baseline,
    network_name,
)
from results.report.vocabulary import size_rank
from results.ways import way_title

BREAK_EVEN_COLUMNS = (
    "network",
    "size",
    "phase",
    "framework",
    "way",
    "eager",
    "compiled",
    "trace",
    "compile",
    "first call",
    "pays from call [interval]",
)


def section(machine: Machine) -> Section:
    """Return the report's section on scaling for one machine.

    It shows the time of each baseline by size, and the number of calls after which compiling has
    paid.
    """
    lines = lines_by_size(machine.records)
    blocks = [*_by_size(lines), *_break_even(machine)]
    return Section("growth", title(lines), blocks, "Time by size")


def title(lines: Sequence[Sequence[AnyRecord]]) -> str:
    """Return the finding: how much of the smallest size's time its arithmetic does not explain.

    Args:
        lines: the records of each network by size, the smallest first.
    """
    ends = [(line[0], line[-1]) for line in lines if line[0]["flops"] and line[-1]["flops"]]
    if not ends:
        return "One size of each network was measured: nothing to compare"
    shares = [max(0.0, unexplained(small, large)) for small, large in ends]
    most = f"{100 * float(np.median(shares)):.0f} %"
    return (
        f"At their smallest size half of the networks spend {most} of their time or more on "
        "something else than arithmetic"
    )


def lines_by_size(records: Sequence[AnyRecord]) -> list[list[AnyRecord]]:
    """Return the baselines of each network that was timed in several sizes, the smallest first."""
    timed = [record for record in records if is_baseline(record) and record["seconds"]]
    lines = group_by(
        timed, lambda r: (network_name(r), r["kind"], r["phase"], framework_and_mode(r))
    )
    return [
        sorted(line, key=lambda record: size_rank(record["size"]))
        for line in lines.values()
        if len(line) > 1
    ]


def _by_size(by_size: Sequence[Sequence[AnyRecord]]) -> list[Any]:
    """Return the chart and the table of the baseline's time by size.

    The chart draws times over counted FLOPs, the table compares the smallest size with the largest.

    Args:
        by_size: as `lines_by_size` returns them.

    Returns:
        Chart and table; the table alone where no FLOPs were counted; empty where no network was
        measured in two sizes.
    """
    marks = [mark for line in by_size for mark in _line_marks(line) if mark["flops"]]
    if not marks:
        return [_growth_table(by_size)] if by_size else []
    text = (
        "The baseline of each network, its sizes joined. On the dashes, the most FLOPs a second "
        "that any reached, time is arithmetic; high above them it is dispatch or memory."
    )
    title = "Time of a call over its FLOPs"
    chart = charts.time_by_flops("sizes", title, text, marks, speeds=_top_speeds(marks))
    return [chart, _growth_table(by_size)]


def _top_speeds(marks: Sequence[Mark]) -> dict[str, float]:
    """Return the most FLOPs per second that any network reached in each framework."""
    speeds: dict[str, float] = {}
    for mark in marks:
        speed = mark["flops"] / mark["seconds"]
        speeds[mark["framework"]] = max(speeds.get(mark["framework"], 0.0), speed)
    return speeds


def _line_marks(line: Sequence[AnyRecord]) -> list[Mark]:
    """Return a mark for each size of one network: time over counted FLOPs, joined by a line.

    Args:
        line: records of one network, framework, mode and phase that differ in size, by size.
    """
    largest = line[-1]
    names = network_name(largest), framework_and_mode(largest), largest["phase"], largest["kind"]
    return [
        record_mark(record) | {"line": " ".join(names), "flops": record["flops"]} for record in line
    ]


def _growth_table(lines: Sequence[Sequence[AnyRecord]]) -> Table:
    """Return the table that compares the smallest with the largest size of each network.

    Args:
        lines: for each row, the records of one network that differ in size, the smallest first.
    """
    columns = [
        "network",
        "framework",
        "phase",
        "from",
        "to",
        "time",
        "time",
        "times the time",
        "times the FLOPs",
        "dispatch",
    ]
    title = "From the smallest to the largest size"
    rows = [_growth_row(line[0], line[-1]) for line in lines]
    return Table(title, columns, rows, (5, 6, 7, 8, 9), folded=True)


def _growth_row(small: AnyRecord, large: AnyRecord) -> Row:
    """Return a row of `_growth_table`: both times, and how much time and FLOPs grow.

    Args:
        small: the record of the network's smallest size.
        large: that of its largest size.
    """
    times = [record["seconds"]["estimate"] for record in (small, large)]
    flops = [record["flops"] for record in (small, large)]
    names = network_name(large), framework_and_mode(large), large["phase"]
    cells = [
        *map(Cell, (*names, small["size"], large["size"])),
        *(Cell(seconds_text(time)) for time in times),
        Cell(significant(times[1] / times[0])),
        Cell(significant(flops[1] / flops[0]))
        if all(flops)
        else missing("no FLOPs counted for both"),
        Cell(_not_arithmetic(small, large)) if all(flops) else missing("no FLOPs counted"),
    ]
    filters = filter_values(large)
    del filters["size"]  # the row is of two sizes
    return Row(cells, filters)


def _not_arithmetic(small: AnyRecord, large: AnyRecord) -> str:
    """Return how much of the smaller size's time its FLOPs do not explain, such as ``37 %``.

    Its FLOPs are taken to run at the speed that the larger size reaches. "none" where they explain
    all of the time.
    """
    share = unexplained(small, large)
    return f"{100 * share:.0f} %" if share > 0 else "none"


def unexplained(small: AnyRecord, large: AnyRecord) -> float:
    """Return the share of the smaller size's time that its FLOPs do not explain; may be below 0.

    Its FLOPs are taken to run at the speed that the larger size reaches.
    """
    seconds = large["seconds"]["estimate"] * small["flops"] / large["flops"]
    share: float = 1 - seconds / small["seconds"]["estimate"]
    return share


def _break_even(machine: Machine) -> list[Any]:
    """Return the table of the number of calls after which compiling a cell has paid.

    Eager and compiled times are of one run: between sessions the machine itself changes.

    Returns:
        A list of the table, or of a sentence where no run measured a cell in both modes.
    """
    cells_in_both_modes = [
        break_even
        for run in machine.runs
        for break_even in break_evens(
            record for record in machine.records if machine.run_of[sample_key(record)] is run
        )
        if break_even.eager is not None
    ]
    if not cells_in_both_modes:
        command = Code("pytest benchmarks --benchmark-only --mode all")
        return [["When compiling pays is told by a run of both modes: ", command, "."]]
    text = (
        "The first call at which the compiled mode has taken less time in all than the eager one, "
        "tracing and compiling counted in. Never: compiled is slower. Not told: too near for noise."
    )
    rows = [_break_even_row(break_even) for break_even in cells_in_both_modes]
    numbers = (5, 6, 7, 8, 9)
    title = "When compiling pays"
    return [Table(title, BREAK_EVEN_COLUMNS, rows, numbers, folded=True, about=text)]


def _break_even_row(break_even: BreakEven) -> Row:
    """Return a row of the break-even table: both times, the costs of compiling, and the calls."""
    record = break_even.record
    names = network_name(record), record["size"], record["phase"], framework_and_mode(record)
    times = [
        r["seconds"]["estimate"] if r and r["seconds"] else None for r in (break_even.eager, record)
    ]
    stages = ("trace_seconds", "compile_seconds", "first_call_seconds")
    cells = [
        *map(Cell, (*names, way_title(record["strategy"]))),
        *(Cell(seconds_text(time)) for time in times),
        *(Cell(seconds_text(record[stage])) for stage in stages),
        _calls_cell(break_even),
    ]
    return Row(cells, filter_values(record))


def _calls_cell(break_even: BreakEven) -> Cell:
    """Return the cell of the break-even number of calls, with its interval: ``40 [35, 47]``.

    Where there is no such number, a word stands in its place, with the reason as its note.
    """
    if break_even.calls:
        return Cell(f"{break_even.calls} [{break_even.low}, {break_even.high}]")
    words = {NEVER: "never", INDISTINGUISHABLE: "not told"}
    if break_even.missing in words:
        return Cell(words[break_even.missing], break_even.missing, "missing")
    return missing(break_even.missing or "")
