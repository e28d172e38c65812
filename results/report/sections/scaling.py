"""Section 7: how cost grows with size and number of losses, and when compiling pays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from results.estimates.break_even import NEVER, NOT_TOLD, Payback, paybacks
from results.formatting import NOTHING, seconds_text, significant
from results.records.record import Record, sample_key
from results.report import charts
from results.report.answers import SIZES
from results.report.collection import Machine
from results.report.drawing import mark_of
from results.report.model import Cell, Code, Row, Section, Table, about, missing, problem, way
from results.report.sections.backward_passes import SEPARATE, STACKED


def section(machine: Machine) -> Section:
    """What there is of: the law of the losses, the growth with size, the payback."""
    blocks: list[Any] = [*_losses(machine.records), *_sizes(machine.records)]
    blocks += _payback(machine)
    if not blocks:
        blocks = [["One size and one number of losses were measured: nothing to compare."]]
    return Section("growth", "How cost grows", blocks)


def _losses(records: Sequence[Record]) -> list[Any]:
    """Separate over summed against the number of stages; the law is the count of FLOPs."""
    chosen = [
        r for r in records
        if r["scenario"] == STACKED and r["strategy"] == SEPARATE and r["ratio"]
        and r["variant"][:1] == "n" and r["variant"][1:].isdigit() and r["phase"] == "backward"
    ]  # fmt: skip
    if len({record["variant"] for record in chosen}) < 2:
        return []
    chosen.sort(key=lambda record: int(record["variant"][1:]))
    marks = [
        mark_of(r) | {"losses": int(r["variant"][1:]), "line": f"{way(r)} {r['size']}"}
        for r in chosen
    ]
    text = (
        "N separate passes walk N(N+1)/2 stages, the summed loss N: the ratio tends to (N+1)/2. "
        "Dashed: what the FLOPs counted predict. Solid: measured, with its interval."
    )
    return [charts.losses("losses", "Separate passes by the number of losses", text, marks)]


def _sizes(records: Sequence[Record]) -> list[Any]:
    """Time of the baseline against size; the law is time in proportion to FLOPs."""
    lines: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        if record["strategy"] == record["baseline"] and record["seconds"]:
            key = problem(record), record["kind"], record["phase"], way(record)
            lines.setdefault(key, []).append(record)
    found = [sorted(line, key=_place) for line in lines.values() if len(line) > 1]
    marks = [mark for line in found for mark in _line(line) if mark["flops"]]
    if not marks:
        return [_growth_table(found)] if found else []
    speeds: dict[str, float] = {}
    for mark in marks:
        speed = mark["flops"] / mark["seconds"]
        speeds[mark["framework"]] = max(speeds.get(mark["framework"], 0.0), speed)
    text = (
        "The baseline of each network; its sizes are joined. Dashed: the most FLOPs a second that "
        "any of them reached in that framework. On the dashes time is arithmetic; high above them "
        "it is dispatch or memory, and stays almost the same however small the network."
    )
    return [charts.work("sizes", "Time by size", text, marks, speeds=speeds), _growth_table(found)]


def _place(record: Record) -> int:
    return SIZES.index(record["size"]) if record["size"] in SIZES else len(SIZES)


def _line(line: Sequence[Record]) -> list[dict[str, Any]]:
    top = line[-1]
    name = f"{problem(top)} {way(top)} {top['phase']} {top['kind']}"
    return [mark_of(record) | {"line": name, "flops": record["flops"]} for record in line]


def _law(record: Record, top: Record) -> float | None:
    if not record["flops"] or not top["flops"]:
        return None
    seconds: float = top["seconds"]["estimate"]
    return seconds * record["flops"] / top["flops"]


def _growth_table(lines: Sequence[Sequence[Record]]) -> Table:
    rows = []
    for line in lines:
        small, large = line[0], line[-1]
        times = [record["seconds"]["estimate"] for record in (small, large)]
        flops = [record["flops"] for record in (small, large)]
        grown = significant(flops[1] / flops[0]) if all(flops) else NOTHING
        cells = [
            *(Cell(text) for text in (problem(large), way(large), large["phase"])),
            *(Cell(text) for text in (small["size"], large["size"])),
            *(Cell(seconds_text(time)) for time in times),
            Cell(significant(times[1] / times[0])),
            Cell(grown) if all(flops) else missing("no FLOPs counted for both"),
            Cell(_not_arithmetic(small, large)) if all(flops) else missing("no FLOPs counted"),
        ]
        rows.append(Row(cells, {k: v for k, v in about(large).items() if k != "size"}))
    columns = [
        "network", "framework", "phase", "from", "to", "time", "time", "times the time",
        "times the FLOPs", "not arithmetic at the smaller",
    ]  # fmt: skip
    text = (
        "The last column is the share of the smaller one's time that its FLOPs do not explain at "
        "the larger one's speed: dispatch, memory, or a library that is slower on small arrays."
    )
    title = "From the smallest to the largest size"
    return Table(title, columns, rows, (5, 6, 7, 8, 9), True, text)


def _not_arithmetic(small: Record, large: Record) -> str:
    """What of the smaller one's time the FLOPs do not explain, at the larger one's speed."""
    law = _law(small, large) or math.nan
    share = 1 - law / small["seconds"]["estimate"]
    return f"{100 * share:.0f} %" if share > 0 else "none"


def _payback(machine: Machine) -> list[Any]:
    """Both modes in one run: times of different sessions decide no payback."""
    found = [
        one
        for run in machine.runs
        for one in paybacks(r for r in machine.records if machine.run_of[sample_key(r)] is run)
        if one.eager is not None
    ]
    if not found:
        return [
            [
                "When compiling pays is told by a run of both modes: ",
                Code("pytest benchmarks --benchmark-only --mode all"),
                ".",
            ]
        ]
    columns = [
        "network", "size", "phase", "framework", "strategy", "eager", "compiled", "trace",
        "compile", "first call", "pays from call [interval]",
    ]  # fmt: skip
    text = (
        "The first call at which the compiled mode has taken less time in all than the eager one, "
        "tracing and compiling counted in. Never: compiled is slower. Not told: the two are too "
        "near each other for noise."
    )
    rows = [_paid(one) for one in found]
    return [Table("When compiling pays", columns, rows, (5, 6, 7, 8, 9), about=text)]


def _paid(one: Payback) -> Row:
    record, eager = one.record, one.eager
    stages = ("trace_seconds", "compile_seconds", "first_call_seconds")
    cells = [
        *(Cell(text) for text in (problem(record), record["size"], record["phase"])),
        *(Cell(text) for text in (way(record), record["strategy"])),
        *(Cell(seconds_text(r["seconds"]["estimate"] if r and r["seconds"] else None))
          for r in (eager, record)),
        *(Cell(seconds_text(record[stage])) for stage in stages),
        _pays(one),
    ]  # fmt: skip
    return Row(cells, about(record))


def _pays(one: Payback) -> Cell:
    """From which call; in a word why not, and the reason beside it."""
    if one.calls:
        return Cell(f"{one.calls} [{one.low}, {one.high}]")
    words = {NEVER: "never", NOT_TOLD: "not told"}
    if one.missing in words:
        return Cell(words[one.missing], one.missing, "missing")
    return missing(one.missing or "")
