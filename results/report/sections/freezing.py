"""Section 4: recipes for freezing a part, what they save, and whether the freeze holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.formatting import bytes_text, flops_text, ratio_text, significant
from results.records.record import Record
from results.report import charts
from results.report.answers import FREEZE
from results.report.collection import Machine
from results.report.drawing import mark_of
from results.report.model import (
    Cell,
    Code,
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

PEAK = "peak memory"
COLUMNS = (
    "network", "size", "phase", "recipe", "time", "÷ unfrozen [interval]", "verdict", "counted",
    "FLOPs", "saved for backward", PEAK, "optimizer state", "does the freeze hold?",
)  # fmt: skip

JAX = [
    "In JAX the recipe is not the whole story: one jitted step drops whatever reaches no output. "
    "An optimizer that keeps moments of every gradient (",
    Code("chain_freeze"),
    " or ",
    Code("masked(set_to_zero)"),
    " behind Adam) keeps the frozen gradients alive; behind plain SGD, which keeps none, they are "
    "dead and cost nothing. Returning all gradients from the jit, or clipping by their global "
    "norm, brings them back.",
]


def section(machine: Machine) -> Section | None:
    """None where no recipe was measured."""
    records = [r for r in machine.records if r["kind"] == FREEZE and r["outcome"] != "unsupported"]
    if not records:
        return None
    blocks: list[Any] = [
        [
            "What is frozen must not move: in phase step every recipe makes a step of its "
            "optimizer, and the frozen parameters are then held to their start, bit by bit, before "
            "anything is timed. Whether freezing saves anything is another question: a recipe that "
            "only keeps the optimizer away computes every gradient and throws it away.",
        ]
    ]
    if any(record["framework"] == "jax" for record in records):
        blocks.append(JAX)
    for framework in dict.fromkeys(record["framework"] for record in records):
        mine = [record for record in records if record["framework"] == framework]
        blocks += _chart(framework, mine)
        for mode in dict.fromkeys(record["mode"] for record in mine):
            members = [record for record in mine if record["mode"] == mode]
            blocks.append(_table(way(members[0]), members))
    return Section("freezing", "Freeze recipes", blocks)


def _table(title: str, records: Sequence[Record]) -> Table:
    """Without the column of peak memory where nobody asked for it (``--memory``)."""
    rows = [_row(record) for record in records]
    if any(record["peak_bytes"] is not None for record in records):
        return Table(title, COLUMNS, rows, (4, 5, 7, 8, 9, 10, 11), True)
    at = COLUMNS.index(PEAK)
    rows = [Row([*row.cells[:at], *row.cells[at + 1 :]], row.about) for row in rows]
    return Table(title, [*COLUMNS[:at], *COLUMNS[at + 1 :]], rows, (4, 5, 7, 8, 9, 10), True)


def _chart(framework: str, records: Sequence[Record]) -> list[Any]:
    marks = [
        mark_of(r) | {"line": f"{problem(r)} {r['size']}", "recipe": r["strategy"]}
        for r in records
        if r["ratio"] and r["strategy"] != r["baseline"]
    ]
    if not marks:
        return []
    about = (
        "Ratio to the same step with nothing frozen: left is cheaper. Bars are 95 % intervals, "
        "upright ticks what counted FLOPs predict."
    )
    title = f"What freezing saves in {framework}"
    name = f"freezing-{framework}"
    return [charts.ratios(name, title, about, marks, colour="recipe", axis="time ÷ unfrozen")]


def _row(record: Record) -> Row:
    names = (problem(record), record["size"], record["phase"], record["strategy"])
    if record["outcome"] != "ok":
        why = str(record["missing"].get("seconds", ""))
        cells = [*map(Cell, names), Cell(record["outcome"], why, "failed")]
        return Row([*cells, *[missing(why)] * 7, _holds(record)], about(record))
    base, verdict = record["strategy"] == record["baseline"], record["verdict"]
    cells = [
        *map(Cell, names),
        time_of(record),
        Cell("1") if base else of(record, "ratio", ratio_text(record["ratio"])),
        Cell("") if base else of(record, "verdict", str(verdict))._replace(kind=verdict or ""),
        of(record, "predicted_ratio", significant(record["predicted_ratio"] or 0)),
        of(record, "flops", flops_text(record["flops"])),
        of(record, "residual_bytes", bytes_text(record["residual_bytes"])),
        of(record, "peak_bytes", bytes_text(record["peak_bytes"])),
        of(record, "optimizer_state_bytes", bytes_text(record["optimizer_state_bytes"])),
        _holds(record),
    ]
    return Row(cells, about(record))


def _holds(record: Record) -> Cell:
    """Read off the gate, which holds what is frozen to its start."""
    if record["strategy"] == record["baseline"]:
        return Cell("nothing is frozen")
    if record["equivalence"] is None:
        return missing(str(record["missing"].get("equivalence", "not checked")))
    if record["equivalence"] != "pass":
        return Cell("no", str(record["equivalence"]), "failed")
    moved = (
        "yes, bit for bit"
        if record["phase"] == "step"
        else "gradients right; no step in this phase"
    )
    return Cell(moved)
