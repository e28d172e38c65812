"""Build the section on gradient errors: distance from the float64 reference, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.formatting import significant
from results.records.record import AnyRecord
from results.report import charts
from results.report.collection import Machine
from results.report.gradient_errors import GradientError, gradient_errors
from results.report.model import Cell, Chart, Fold, Points, Row, Section, Table
from results.report.record_cells import filter_values, framework_and_mode, network_name
from results.ways import way_title

TABLE_ROWS, CHART_MARKS = 40, 1500  # at most, the worst first
TEXTS = (
    [
        "Relative to each tensor's own norm (Euclidean), against the float64 reference, of "
        "the very program that was timed, in units of the dtype's epsilon: one rounding.",
    ],
    [
        "Rounding alone leaves some ten of them, long sums some hundred. Where single activations "
        "fall on the other side of a kink in float32 it shows as thousands, and is allowed up to "
        "1 %, in sizes that the scenario names.",
    ],
    [
        "A tensor whose true gradient is 0 has no relative error and is held to its network's norm "
        "instead.",
    ],
)
LEAST_EPSILONS = 0.01  # where the chart shows an error of 0, as a logarithmic axis has no 0


def section(machine: Machine) -> Section:
    """Return the section on gradient errors: each parameter's largest, and the wrong gradients."""
    errors = gradient_errors(machine.records)
    wrong = [r for r in machine.records if r["equivalence"] not in (None, "pass")]
    blocks: list[Any] = [_table_of_wrong_gradients(wrong)] if wrong else []
    if errors:
        blocks += [_chart(errors[:CHART_MARKS]), _table(errors[:TABLE_ROWS], len(errors))]
    else:
        blocks.append(["No gradient error was recorded in these runs."])
    blocks.append(Fold("What counts as an error", [Points(TEXTS)]))
    return Section("gradients", title(machine.records, errors), blocks, "Gradients")


def title(records: Sequence[AnyRecord], errors: Sequence[GradientError]) -> str:
    """Return the finding: how many cells have wrong gradients, or how far off the right ones are.

    Args:
        errors: the errors of the gradients, the largest first.
    """
    checked = [record for record in records if record["equivalence"] is not None]
    wrong = sum(record["equivalence"] != "pass" for record in checked)
    if wrong:
        return f"In {wrong} of {len(checked)} cells something is not the reference's: no time there"
    if not errors:
        return f"All {len(checked)} cells that were checked have the reference's gradients"
    median = significant(errors[len(errors) // 2].epsilons, 2)
    return (
        f"All {len(checked)} cells have the reference's gradients; half of the tensors are within "
        f"{median} roundings of it"
    )


def _chart(errors: list[GradientError]) -> Chart:
    """Return the chart of the error of each parameter's gradient, in epsilons of its dtype."""
    marks = [
        {
            "problem": network_name(error.record),
            "scenario": error.record["scenario"],
            "size": error.record["size"],
            "framework": error.record["framework"],
            "strategy": error.record["strategy"],
            "parameter": error.parameter,
            "eps": max(error.epsilons, LEAST_EPSILONS),
            "text": significant(error.epsilons),
        }
        for error in errors
    ]
    about = "A tick a parameter, the worst over all ways; an error of exactly 0 stands at 0.01."
    return charts.gradient_errors("gradients", "Gradient error of each parameter", about, marks)


def _table(errors: list[GradientError], count: int) -> Table:
    """Return the table of the largest gradient errors.

    Args:
        errors: the errors to show, the largest first.
        count: how many errors there are in all.
    """
    rows = [
        Row(
            [
                Cell(f"{significant(error.epsilons)} eps"),
                Cell(error.parameter),
                *_name_cells(error.record),
            ],
            filter_values(error.record),
        )
        for error in errors
    ]
    title = f"The worst {len(rows)} of {count} parameters" if count > len(rows) else "Worst first"
    columns = ["error", "parameter", "network", "size", "framework", "way", "phase"]
    return Table(title, columns, rows, (0,), folded=True)


def _name_cells(record: AnyRecord) -> list[Cell]:
    """Return the cells that name a record: network, size, framework and mode, strategy, phase."""
    names = network_name(record), record["size"], framework_and_mode(record)
    return [Cell(name) for name in (*names, way_title(record["strategy"]), record["phase"])]


def _table_of_wrong_gradients(records: list[AnyRecord]) -> Table:
    """Return the table of cells with wrong gradients, and the command to measure each again."""
    rows = [
        Row(
            [
                *_name_cells(record),
                Cell(str(record["equivalence"]), kind="failed"),
                Cell(record["rerun"], kind="code"),
            ],
            filter_values(record),
        )
        for record in records
    ]
    columns = ["network", "size", "framework", "way", "phase", "what is wrong", "again"]
    return Table("Wrong gradients: these have no time", columns, rows)
