"""Build the section on scaling: cost by size, by number of losses, and when compiling pays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from results.report.vocabulary import SEPARATE, STACKED, size_rank

BREAK_EVEN_COLUMNS = (
    "network",
    "size",
    "phase",
    "framework",
    "strategy",
    "eager",
    "compiled",
    "trace",
    "compile",
    "first call",
    "pays from call [interval]",
)


def section(machine: Machine) -> Section:
    """Return the report's section on scaling for one machine.

    It shows the time of separate backward passes by the number of losses, the time of each baseline
    by size, and the number of calls after which compiling has paid. What was not measured is left
    out; where nothing was, a sentence says so.
    """
    blocks: list[Any] = [*_by_losses(machine.records), *_by_size(machine.records)]
    blocks += _break_even(machine)
    if not blocks:
        blocks = [["One size and one number of losses were measured: nothing to compare."]]
    return Section("growth", "How cost grows", blocks)


def _by_losses(records: Sequence[AnyRecord]) -> list[Any]:
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
        record_mark(r) | {"losses": _losses(r), "line": f"{framework_and_mode(r)} {r['size']}"}
        for r in chosen
    ]
    text = (
        "N separate passes walk N(N+1)/2 stages, the summed loss N: the ratio tends to (N+1)/2. "
        "Dashed: what the FLOPs counted predict. Solid: measured, with its interval."
    )
    title = "Separate passes by the number of losses"
    return [charts.ratio_by_losses("losses", title, text, marks)]


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


def _by_size(records: Sequence[AnyRecord]) -> list[Any]:
    """Return the chart and the table of the baseline's time by size.

    The chart draws times over counted FLOPs, the table compares the smallest size with the largest.

    Returns:
        Chart and table; the table alone where no FLOPs were counted; empty where no network was
        measured in two sizes.
    """
    timed = [record for record in records if is_baseline(record) and record["seconds"]]
    lines = group_by(
        timed, lambda r: (network_name(r), r["kind"], r["phase"], framework_and_mode(r))
    )
    by_size = [
        sorted(line, key=lambda record: size_rank(record["size"]))
        for line in lines.values()
        if len(line) > 1
    ]
    marks = [mark for line in by_size for mark in _line_marks(line) if mark["flops"]]
    if not marks:
        return [_growth_table(by_size)] if by_size else []
    text = (
        "The baseline of each network; its sizes are joined. Dashed: the most FLOPs a second that "
        "any of them reached in that framework. On the dashes time is arithmetic; high above them "
        "it is dispatch or memory, and stays almost the same however small the network."
    )
    chart = charts.time_by_flops("sizes", "Time by size", text, marks, speeds=_top_speeds(marks))
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
        "not arithmetic at the smaller",
    ]
    text = (
        "The last column is the share of the smaller one's time that its FLOPs do not explain at "
        "the larger one's speed: dispatch, memory, or a library that is slower on small arrays."
    )
    title = "From the smallest to the largest size"
    rows = [_growth_row(line[0], line[-1]) for line in lines]
    return Table(title, columns, rows, (5, 6, 7, 8, 9), True, text)


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
    seconds = large["seconds"]["estimate"] * small["flops"] / large["flops"]
    share = 1 - seconds / small["seconds"]["estimate"]
    return f"{100 * share:.0f} %" if share > 0 else "none"


def _break_even(machine: Machine) -> list[Any]:
    """Return the table of the number of calls after which compiling a cell has paid.

    Eager and compiled times are of one run: between sessions the machine itself changes.

    Returns:
        A list of the table, or of a sentence where no run measured a cell in both modes.
    """
    found = [
        break_even
        for run in machine.runs
        for break_even in break_evens(
            record for record in machine.records if machine.run_of[sample_key(record)] is run
        )
        if break_even.eager is not None
    ]
    if not found:
        command = Code("pytest benchmarks --benchmark-only --mode all")
        return [["When compiling pays is told by a run of both modes: ", command, "."]]
    text = (
        "The first call at which the compiled mode has taken less time in all than the eager one, "
        "tracing and compiling counted in. Never: compiled is slower. Not told: the two are too "
        "near each other for noise."
    )
    rows = [_break_even_row(break_even) for break_even in found]
    return [Table("When compiling pays", BREAK_EVEN_COLUMNS, rows, (5, 6, 7, 8, 9), about=text)]


def _break_even_row(break_even: BreakEven) -> Row:
    """Return a row of the break-even table: both times, the costs of compiling, and the calls."""
    record = break_even.record
    names = network_name(record), record["size"], record["phase"], framework_and_mode(record)
    times = [
        r["seconds"]["estimate"] if r and r["seconds"] else None for r in (break_even.eager, record)
    ]
    stages = ("trace_seconds", "compile_seconds", "first_call_seconds")
    cells = [
        *map(Cell, (*names, record["strategy"])),
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
