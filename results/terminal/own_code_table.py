"""Show the document of a comparison on a user's own code as one screen of 100 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from results.formatting import NOTHING, ratio_text, seconds_text, significant
from results.own_code.schema import Document, Framework, Row
from results.terminal import tables
from results.terminal.tables import LINE, WIDTH, plain_text, shorten
from results.terminal.verdict_marks import VERDICT_MARKS

MARKS = {"value": "●", "zero": "0", "absent": "–"}
TITLES = {
    ("backward", "backward"): "backward pass",
    ("backward", "gradient"): "forward and backward pass",
    ("backward", "step"): "training step",
    ("freeze", "backward"): "freezing: backward pass",
    ("freeze", "gradient"): "freezing: forward and backward pass",
    ("freeze", "step"): "freezing: training step",
}
LEGEND = "▲ slower  ▼ faster  = equal (±1 %)  ? not told    ● gradient  0 zeros  – none"


def table(document: Document, width: int = WIDTH, *, colour: bool = False) -> str:
    """Return the document as text: what was measured, the flow, each group, the answer.

    Args:
        document: see `results.own_code.schema`.
        width: columns of the terminal.
        colour: whether to emit colour codes.
    """
    return tables.rendered(_parts(document), width, colour=colour)


def _parts(document: Document) -> Iterator[Any]:
    """Yield the lines and tables, from top to bottom."""
    yield plain_text(_head(document), "bold", LINE)
    if document["error"]:
        error = document["error"]
        place = f"{error['file']}:{error['line']}" if error["line"] else error["file"]
        yield plain_text(f"{place}: {error['message']}", "red", LINE)
        yield plain_text(f"  → {error['mend']}", "", LINE)
    for framework in document["frameworks"]:
        yield from _framework_parts(framework)
    if document["frameworks"]:
        yield plain_text(LEGEND, "dim", LINE)
        yield plain_text(document["answer"], "bold", 3 * LINE)


def _head(document: Document) -> str:
    """Return the line that says what was measured, and in how many seconds."""
    return f"{document['case']['name']}  ({document['seconds']:.0f} s)"


def _framework_parts(framework: Framework) -> Iterator[Any]:
    """Yield what is known of one framework."""
    names = ", ".join(
        f"{name} {network['parameters']:,}" for name, network in framework["networks"].items()
    )
    yield plain_text(
        f"{framework['framework']} {framework['version']}, {framework['mode']}, "
        f"{framework['device']}, {framework['dtype']}; parameters: {names}",
        "",
        LINE,
    )
    yield _flow_table(framework)
    yield plain_text(_reference_line(framework), "", LINE)
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in framework["rows"]:
        if row["outcome"] != "unsupported":
            groups.setdefault((row["kind"], row["phase"]), []).append(row)
    for key, rows in groups.items():
        yield _group_table(TITLES.get(key, " ".join(key)), rows)
    for note in framework["notes"]:
        yield plain_text(f"· {note}", "dim", LINE)


def _reference_line(framework: Framework) -> str:
    """Return what the gradients were held to."""
    reference = framework["reference"]
    error = reference["central_difference_error"]
    confirmed = "" if error is None else f", confirmed by central differences to {error:.0e}"
    note = f" ({reference['note']})" if reference["note"] else ""
    return f"gradients are held to the summed loss in {reference['dtype']}{confirmed}{note}"


def _flow_table(framework: Framework) -> Any:
    """Return the table loss × network: where gradients arrive."""
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 0))
    shown.add_column("gradient of")
    networks = list(framework["networks"])[:6]
    for network in networks:
        shown.add_column(plain_text(network, "", 12), justify="center")
    for loss, states in framework["flow"].items():
        marks = [MARKS.get(states[network], "?") for network in networks]
        shown.add_row(plain_text(loss, "", 24), *marks)
    return shown


def _group_table(title: str, rows: list[Row]) -> Any:
    """Return the table of the ways of one kind in one phase."""
    from rich.table import Table

    shown = Table(box=None, padding=(0, 2, 0, 0))
    shown.add_column(plain_text(title, "bold", 36), min_width=24)
    for name in ("time", f"× {rows[0]['baseline']}", "FLOPs say", "gradient"):
        shown.add_column(plain_text(name, "", 22), justify="right")
    for row in rows:
        shown.add_row(plain_text(row["way"], "", 24), *_cells(row))
    return shown


def _cells(row: Row) -> tuple[str, ...]:
    """Return the figures of a row: time, ratio with verdict, predicted ratio, gradient."""
    seconds = row["seconds"]
    predicted = row["predicted_ratio"]
    mark = VERDICT_MARKS.get(row["verdict"] or "", "?") if row["ratio"] else ""
    return (
        seconds_text(seconds["estimate"] if seconds else None),
        f"{ratio_text(row['ratio'])} {mark}".strip() if row["way"] != row["baseline"] else "1",
        significant(predicted) if predicted else NOTHING,
        _gradient_text(row),
    )


def _gradient_text(row: Row) -> str:
    """Return whether the gradient is right, or in a few words what happened instead."""
    if row["outcome"] == "ok":
        error = row["gradient_error"]
        return "right" if error is None else f"right, {error:.0e}"
    return shorten(f"{row['outcome'].replace('_', ' ')}: {row['equivalence']}", 34)
