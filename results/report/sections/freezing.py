"""Build the section on freeze recipes: their savings, and whether the frozen part stays fixed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.formatting import bytes_text, flops_text
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report import charts
from results.report.by_size import by_largest_size, charts_by_size
from results.report.collection import Machine
from results.report.drawing import Mark, record_mark
from results.report.model import (
    FIGURES,
    Block,
    Cell,
    Chart,
    Code,
    Fold,
    Paragraph,
    Points,
    Row,
    Section,
    Table,
    missing,
)
from results.report.ranking import first_of_each, largest_size_of_each_scenario, recommend
from results.report.record_cells import (
    figure_cell,
    filter_values,
    framework_and_mode,
    frozen_part_moved,
    is_baseline,
    network_name,
    ratio_cells,
    time_cell,
)
from results.report.vocabulary import FREEZE
from results.ways import way_title

PEAK = "peak memory"
# title of a column → the figure in it, and how to format that
COUNTED = {
    "FLOPs": ("flops", flops_text),
    "saved for backward": ("residual_bytes", bytes_text),
    PEAK: ("peak_bytes", bytes_text),
    "optimizer state": ("optimizer_state_bytes", bytes_text),
}
COLUMNS = (
    "network",
    "size",
    "phase",
    "way",
    "time",
    "÷ unfrozen",
    "verdict",
    "counted",
    *COUNTED,
    "freeze holds",
)
WORDS = ("network", "size", "phase", "way", "verdict", "freeze holds")  # aligned left

TEXTS: list[Paragraph] = [
    [
        "What is frozen must not move: every recipe makes a step of its optimizer, and the frozen "
        "parameters are then held to their start, bit by bit, before anything is timed.",
    ],
    [
        "Whether freezing saves anything is another question: a recipe that only keeps the "
        "optimizer away computes every gradient and throws it away.",
    ],
]
MASKED: Paragraph = [
    Code("optax.masked"),
    " alone does not freeze: what it leaves out gets its raw gradient as its update. The way ",
    Code("masked"),
    " that is timed here adds set_to_zero for the frozen part, which does.",
]
JAX: list[Paragraph] = [
    [
        "In JAX one jitted step drops whatever reaches no output. An optimizer that keeps moments "
        "of every gradient (",
        Code("chain_freeze"),
        " or ",
        Code("masked"),
        " behind Adam) keeps the frozen gradients alive.",
    ],
    [
        "Behind plain SGD, which keeps none, they are dead and cost nothing. Returning all "
        "gradients from the jit, or clipping by their global norm, brings them back.",
    ],
]


def section(machine: Machine) -> Section | None:
    """Return the section on recipes for freezing a part; None where no recipe was measured."""
    records = [r for r in machine.records if r["kind"] == FREEZE and r["outcome"] != "unsupported"]
    if not records:
        return None
    blocks: list[Any] = []
    tables: list[Table] = []
    for framework, members in group_by(records, lambda r: str(r["framework"])).items():
        blocks += _charts(framework, members)
        by_mode = group_by(members, framework_and_mode)
        tables += [_table(f"Every recipe: {name}", ones) for name, ones in by_mode.items()]
    texts = list(TEXTS)
    if any(record["framework"] == "jax" for record in records):
        texts += JAX
        blocks.append(MASKED)
    blocks += [
        Fold(FIGURES, tables),
        Fold("What a freeze must do, and what it may save", [Points(texts)]),
    ]
    return Section("freezing", title(records), blocks, "Freezing a part")


def title(records: Sequence[AnyRecord]) -> str:
    """Return the finding: whether a frozen part moved, else what the recommended recipes save."""
    moved = sum(frozen_part_moved(record) for record in records)
    if moved:
        return f"A frozen part moved in {moved} of {len(records)} cells, which have no time"
    best = {
        one.framework: one.best
        for one in first_of_each(recommend(largest_size_of_each_scenario(records)))
        if one.best and one.best.mean_ratio
    }
    if not best:
        return "No recipe was timed beside the same step with nothing frozen"
    shares = [
        f"{100 * (1 - (way.mean_ratio or 1)):.0f} % of a step in {name} ({way.strategy})"
        for name, way in best.items()
    ]
    return f"Freezing saves {', '.join(shares)}: mean over networks, each at its largest size"


def _table(title: str, records: Sequence[AnyRecord]) -> Table:
    """Return the table of recipes of one framework and mode: time, ratio and counted costs.

    Peak memory has a column only where it was measured (``--memory``).
    """
    rows = [_row(record) for record in records]
    columns = list(COLUMNS)
    if all(record["peak_bytes"] is None for record in records):
        peak = columns.index(PEAK)
        del columns[peak]
        rows = [Row([*row.cells[:peak], *row.cells[peak + 1 :]], row.filters) for row in rows]
    numbers = [place for place, column in enumerate(columns) if column not in WORDS]
    return Table(title, columns, rows, numbers, folded=True)


def _charts(framework: str, records: Sequence[AnyRecord]) -> list[Block]:
    """Return the charts of each recipe's time over that of the same step with nothing frozen.

    Returns:
        A chart of the largest sizes, and a fold with those of smaller ones; empty where no recipe
        has a ratio.
    """
    marks = [
        record_mark(r) | {"line": f"{network_name(r)} {r['size']}"}
        for r in records
        if r["ratio"] and not is_baseline(r)
    ]
    about = (
        "Left of ×1 is cheaper. Bars are 95 % intervals, upright ticks what counted FLOPs predict."
    )

    def make(suffix: str, words: str, chosen: Sequence[Mark]) -> Chart:
        name, title = (
            f"freezing-{framework}{suffix}",
            f"What freezing saves in {framework}: {words}",
        )
        return charts.ratios(name, title, about, chosen, axis="time ÷ unfrozen")

    return charts_by_size(*by_largest_size(marks), make) if marks else []


def _row(record: AnyRecord) -> Row:
    """Return the row of one recipe on one network in `_table`."""
    names = network_name(record), record["size"], record["phase"], way_title(record["strategy"])
    if record["outcome"] != "ok":
        reason = str(record["missing"].get("seconds", ""))
        figures = [Cell(record["outcome"], reason, "failed"), *[missing(reason)] * 7]
    else:
        figures = [
            time_cell(record),
            *ratio_cells(record),
            *(figure_cell(record, key, text(record[key])) for key, text in COUNTED.values()),
        ]
    return Row([*map(Cell, names), *figures, _holds(record)], filter_values(record))


def _holds(record: AnyRecord) -> Cell:
    """Return the cell that says whether the frozen parameters stay as they are.

    The check before the timing compares them with their initial values after a step, but stops at
    the first thing that is wrong: gradients that are wrong say nothing about the freeze.
    """
    if is_baseline(record):
        return Cell("nothing is frozen")
    equivalence = record["equivalence"]
    if equivalence is None:
        return missing(str(record["missing"].get("equivalence", "not checked")))
    if equivalence != "pass":
        if frozen_part_moved(record):
            return Cell("no", equivalence, "failed")
        return Cell("not told", f"what failed is another check: {equivalence}", "missing")
    if record["phase"] != "step":
        return Cell("no step in this phase", "gradients are right")
    return Cell("yes, bit for bit")
