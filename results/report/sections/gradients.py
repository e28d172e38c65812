"""Build the section on gradient errors: distance from the float64 reference, worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.formatting import significant
from results.records.record import AnyRecord
from results.report import charts
from results.report.collection import Machine
from results.report.gradient_errors import (
    EPSILON,
    LIMITS,
    GradientError,
    Limit,
    gradient_errors,
)
from results.report.model import Cell, Chart, Fold, Points, Row, Section, Table, missing
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
        "fall on the other side of a kink in float32 it shows as thousands.",
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
        blocks += [_chart(errors[:CHART_MARKS]), _table_of_limits(errors)]
        blocks.append(_table(errors[:TABLE_ROWS], len(errors)))
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
            "allowed_text": _limit_text(error.allowed),
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
                _limit_cell(error.allowed),
                Cell(error.parameter),
                *_name_cells(error.record),
            ],
            filter_values(error.record),
        )
        for error in errors
    ]
    title = f"The worst {len(rows)} of {count} parameters" if count > len(rows) else "Worst first"
    columns = ["error", "limit", "parameter", "network", "size", "framework", "way", "phase"]
    return Table(title, columns, rows, (0, 1), folded=True)


def _table_of_limits(errors: Sequence[GradientError]) -> Table:
    """Return the table of how far off a gradient may be, and the largest error under each limit.

    A limit of a type that was not timed is left out.

    Args:
        errors: the errors, the largest first.
    """
    dtypes = {error.record["dtype"] for error in errors}
    rows = [_limit_row(limit, errors) for limit in LIMITS if limit.dtype in dtypes]
    about = (
        "The gate holds every gradient to one of these before anything is timed; what is further "
        "off has no time. Which one follows from the scenario and its size."
    )
    columns = ["where", "limit", "share of the norm", "largest error here"]
    return Table("How far off a gradient may be", columns, rows, (1, 2, 3), about=about)


def _limit_row(limit: Limit, errors: Sequence[GradientError]) -> Row:
    """Return the row of a limit, with the largest error of the records that were held to it."""
    epsilon = EPSILON[limit.dtype]
    limit_errors = [
        error
        for error in errors
        if error.record["dtype"] == limit.dtype
        and error.allowed is not None
        and abs(error.allowed * epsilon / limit.allowed - 1) < 1e-3
    ]
    reason = "no record here says that it was held to this limit; older runs do not say it"
    largest = (
        Cell(f"{significant(limit_errors[0].epsilons)} eps") if limit_errors else missing(reason)
    )
    return Row(
        [
            Cell(f"{limit.dtype}, {limit.where}"),
            Cell(_limit_text(limit.allowed / epsilon)),
            Cell(f"{100 * limit.allowed:.2g} %"),
            largest,
        ]
    )


def _limit_text(epsilons: float | None) -> str:
    """Return a limit in units of epsilon; a record of an older run does not say which it had."""
    return "not recorded" if epsilons is None else f"{significant(epsilons)} eps"


def _limit_cell(epsilons: float | None) -> Cell:
    """Return the cell of the limit that an error was held to."""
    if epsilons is None:
        return missing("an older run, which does not record the limit")
    return Cell(_limit_text(epsilons))


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
