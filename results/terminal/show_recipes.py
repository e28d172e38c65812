"""Show the counted costs of each recipe for freezing, over all problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, bytes_text, flops_text
from results.grouping import group_by_fields
from results.records.record import AnyRecord
from results.terminal.ratios import PROBLEM_FIELDS, TABLE_FIELDS, problem, title
from results.terminal.tables import FIGURE, Names, plain_text, tables

if TYPE_CHECKING:
    from rich.text import Text

# title of a column → the figure of a record in it, and how to format that
COLUMNS = {
    "FLOPs": ("flops", flops_text),
    "saved for backward": ("residual_bytes", bytes_text),
    "optimizer state": ("optimizer_state_bytes", bytes_text),
}


def recipes(records: Iterable[AnyRecord]) -> Iterator[Any]:
    """Yield a table of counted costs for each framework, mode, size and phase, a line a recipe.

    The costs are FLOPs, bytes saved for the backward pass and bytes of optimizer state. A table of
    several problems shows each as a share of the cost with nothing frozen, a table of one problem
    the cost itself.
    """
    freezing = [r for r in records if r["kind"] == "freeze" and r["outcome"] == "ok"]
    if freezing:
        yield plain_text("what freezing saves: counted, not timed", "bold")
    for members in group_by_fields(freezing, (*TABLE_FIELDS, "phase")).values():
        count = len(group_by_fields(members, PROBLEM_FIELDS))
        baseline = members[0]["baseline"] or NOTHING
        yield title(members, f"shares of {baseline}, {count} problems" if count > 1 else "")
        yield from tables(_shares(members) if count > 1 else _figures(members))


def _figures(members: Sequence[AnyRecord]) -> dict[tuple[Names, str], Text]:
    """Return the fields of a table of one problem: (recipe, column of `COLUMNS`) → cost as text.

    Args:
        members: the records of the table.
    """
    return {
        ((record["strategy"],), column): plain_text(as_text(record[key]), most=FIGURE)
        for record in members
        for column, (key, as_text) in COLUMNS.items()
    }


def _shares(members: Sequence[AnyRecord]) -> dict[tuple[Names, str], Text]:
    """Return the fields of a table of several problems: (recipe, column of `COLUMNS`) → text.

    The text is the range, over the problems, of the recipe's cost as a share of the cost with
    nothing frozen, such as ``0.50 to 0.67``. The costs are FLOPs, bytes saved for the backward pass
    and bytes of optimizer state.

    Args:
        members: the records of the table, the baselines (nothing frozen) among them.
    """
    baselines = {problem(r): r for r in members if r["strategy"] == r["baseline"]}
    cells: dict[tuple[Names, str], Text] = {}
    for recipe, records in group_by_fields(members, ("strategy",)).items():
        if all(record["strategy"] == record["baseline"] for record in records):
            continue  # its shares are 1
        for column, (key, _) in COLUMNS.items():
            shares = [_share(record, baselines.get(problem(record)), key) for record in records]
            cells[recipe, column] = plain_text(_range([s for s in shares if s is not None]))
    return cells


def _share(record: AnyRecord, baseline: AnyRecord | None, key: str) -> float | None:
    """Return a recipe's cost as a share of the cost with nothing frozen; None if either is unknown.

    Args:
        record: the record of the recipe.
        baseline: the record of the same problem with nothing frozen.
        key: the name of the cost in both records.
    """
    if baseline is None or record[key] is None or not baseline[key]:
        return None
    share: float = record[key] / baseline[key]
    return share


def _range(shares: Sequence[float]) -> str:
    """Return the lowest and the highest share, ``0.50 to 0.67``; one figure if they are equal."""
    if not shares:
        return NOTHING
    low, high = f"{min(shares):.2f}", f"{max(shares):.2f}"
    return low if low == high else f"{low} to {high}"
