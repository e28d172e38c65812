"""Build the section of a case's page that compares the two frameworks' sides of one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, ratio_text, rounded_ratio
from results.report.model import Cell, Code, Paragraph, Points, Row, Section, Strong, Table
from results.ways import way_title

Data = Mapping[str, Any]
ABOUT = (
    "JAX's time over torch's, both from torch's weights and batch; under 1 JAX is faster. The two "
    "were timed in turns. The interval counts in what changes from session to session."
)


def section(document: Data) -> Section | None:
    """Return the section with the ratios, the proof and the map of weights; None without a pair.

    Args:
        document: see `results.own_code`; it is read as plain data.
    """
    pair = document.get("pair")
    if not pair:
        return None
    blocks: list[Any] = [Points(list(_points(pair)))]
    if pair.get("rows"):
        rows = [Row(_figures(row)) for row in pair["rows"]]
        columns = ("way in torch", "way in JAX", "phase", "JAX ÷ torch", "verdict")
        blocks.append(Table("JAX ÷ torch", columns, rows, numbers=(3,), about=ABOUT))
    if pair.get("weights"):
        moved = [Row(_way_of_weights(one)) for one in pair["weights"]]
        heads = ("array of JAX", "filled", "from torch's")
        blocks.append(Table("where the weights went", heads, moved, folded=True))
    return Section("pair", "JAX against torch", blocks)


def warnings(document: Data) -> list[Paragraph]:
    """Return what the two sides do not have in common, and what is not installed."""
    problem = (document.get("pair") or {}).get("problem")
    differ: list[Paragraph] = [[Strong("torch and JAX do not compute the same: "), str(problem)]]
    absent: list[Paragraph] = [
        [Strong("Left out: "), str(line)] for line in document.get("absent") or ()
    ]
    return [*(differ if problem else []), *absent]


def _points(pair: Data) -> Iterator[Paragraph]:
    """Yield what was proven, a short paragraph each."""
    if not pair.get("problem"):
        yield [
            f"The losses are the same to {pair['loss_error']:.1e}, and the gradients to "
            f"{pair['gradient_error']:.1e} at ",
            Code(str(pair.get("gradient_of") or NOTHING)),
            f"; allowed is {pair['allowed']:.0e}.",
        ]
    taken: Sequence[str] = pair.get("batch") or ()
    if taken:
        yield ["JAX's batch differed, and torch's was taken, in ", Code(", ".join(taken)), "."]


def _figures(row: Data) -> list[Cell]:
    """Return the cells of a comparison."""
    return [
        Cell(way_title(str(row["way"]))),
        Cell(way_title(str(row["jax_way"]))),
        Cell(str(row["phase"])),
        Cell(rounded_ratio(row["ratio"]), f"interval {ratio_text(row['ratio'])}"),
        Cell(str(row["verdict"]), kind=str(row["verdict"])),
    ]


def _way_of_weights(moved: Sequence[str]) -> list[Cell]:
    """Return the cells of an array that was filled."""
    name, how, *origins = map(str, moved)
    return [
        Cell(name, kind="code"),
        Cell(how),
        Cell(", ".join(origins) or NOTHING, kind="code" if origins else ""),
    ]
