"""Section 6: how far each gradient is from the float64 reference, in epsilons, worst first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from results.formatting import significant
from results.records.record import Record
from results.report import charts
from results.report.collection import Machine
from results.report.model import Cell, Row, Section, Table, problem

EPS = {"float32": 2.0**-23, "float64": 2.0**-52}
SHOWN, DRAWN = 40, 1500


class Error(NamedTuple):
    """The worst relative error of one parameter's gradient, and the cell it was found in."""

    eps: float
    parameter: str
    record: Record


def section(machine: Machine) -> Section:
    """The worst of each parameter over strategies, variants of a mode and phases."""
    found = errors(machine.records)
    wrong = [r for r in machine.records if r["equivalence"] not in (None, "pass")]
    blocks: list[Any] = [
        [
            "Relative to each tensor's own norm (Euclidean), against the float64 reference, of the "
            "very program that was timed, in units of the dtype's epsilon. Rounding alone leaves "
            "some ten of them, long sums some hundred; where single activations fall on the other "
            "side of a kink in float32 it shows as thousands, and is allowed up to 1 %, in sizes "
            "that the scenario names. A tensor whose true gradient is 0 has no relative error and "
            "is held to its network's norm instead.",
        ]
    ]
    if wrong:
        blocks.append(_wrong(wrong))
    if found:
        blocks += [_chart(found[:DRAWN]), _table(found[:SHOWN], len(found))]
    else:
        blocks.append(["No gradient error was recorded in these runs."])
    return Section("gradients", "Equivalence: every gradient against the reference", blocks)


def errors(records: Iterable[Record]) -> list[Error]:
    """Worst first: one for each (problem, size, framework, mode, parameter)."""
    worst: dict[tuple[str, ...], Error] = {}
    for record in records:
        error = record["gradient_error"]
        if not error or error.get("relative") is None:
            continue
        each = error.get("parameters") or {error["tensor"]: error["relative"]}
        for parameter, relative in each.items():
            if relative is None:
                continue
            key = problem(record), record["size"], record["framework"], record["mode"], parameter
            found = Error(relative / EPS.get(record["dtype"], EPS["float32"]), parameter, record)
            worst[key] = max(worst.get(key, found), found, key=lambda one: one.eps)
    return sorted(worst.values(), key=lambda one: one.eps, reverse=True)


def _chart(found: list[Error]) -> Any:
    marks = [
        {
            "problem": problem(one.record),
            "scenario": one.record["scenario"],
            "size": one.record["size"],
            "framework": one.record["framework"],
            "strategy": one.record["strategy"],
            "parameter": one.parameter,
            "eps": max(one.eps, 0.01),  # a logarithmic axis has no 0
            "told": significant(one.eps),
        }
        for one in found
    ]
    about = (
        "A tick a parameter, the worst over all strategies; an error of exactly 0 stands at 0.01."
    )
    return charts.errors("gradients", "Gradient error of each parameter", about, marks)


def _table(found: list[Error], count: int) -> Table:
    rows = [
        Row(
            [
                Cell(f"{significant(one.eps)} eps"),
                Cell(one.parameter),
                *(Cell(text) for text in _names(one.record)),
            ],
            {name: one.record[name] for name in ("scenario", "size", "framework")},
        )
        for one in found
    ]
    title = f"The worst {len(rows)} of {count} parameters" if count > len(rows) else "Worst first"
    columns = ["error", "parameter", "network", "size", "framework", "strategy", "phase"]
    return Table(title, columns, rows, (0,), folded=True)


def _names(record: Record) -> tuple[str, ...]:
    framework = f"{record['framework']} {record['mode']}"
    return problem(record), record["size"], framework, record["strategy"], record["phase"]


def _wrong(records: list[Record]) -> Table:
    rows = [
        Row(
            [
                *(Cell(text) for text in _names(record)),
                Cell(str(record["equivalence"]), kind="failed"),
                Cell(record["rerun"], kind="code"),
            ],
            {name: record[name] for name in ("scenario", "size", "framework")},
        )
        for record in records
    ]
    columns = ["network", "size", "framework", "strategy", "phase", "what is wrong", "again"]
    return Table("Wrong gradients: these have no time", columns, rows)
