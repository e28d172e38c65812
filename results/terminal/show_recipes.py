"""What each recipe of freezing computes and keeps, counted: a line a recipe, over all problems."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, bytes_text, flops_text
from results.records.record import Record
from results.terminal.ratios import ROW, TABLE, by, problem, title
from results.terminal.tables import FIGURE, Names, plain, tables

if TYPE_CHECKING:
    from rich.text import Text

COUNTED = {
    "FLOPs": ("flops", flops_text),
    "saved for backward": ("residual_bytes", bytes_text),
    "optimizer state": ("optimizer_state_bytes", bytes_text),
}


def recipes(records: Iterable[Record]) -> Iterator[Any]:
    """Shares of what is there with nothing frozen; where there is one problem, its own figures."""
    frozen = [r for r in records if r["kind"] == "freeze" and r["outcome"] == "ok"]
    if frozen:
        yield plain("what freezing saves: counted, not timed", "bold")
    for members in by(frozen, (*TABLE, "phase")).values():
        count = len(by(members, ROW))
        whole = members[0]["baseline"] or NOTHING
        yield title(members, f"shares of {whole}, {count} problems" if count > 1 else "")
        yield from tables(_shares(members) if count > 1 else _figures(members))


def _figures(members: Sequence[Record]) -> dict[tuple[Names, str], Text]:
    return {
        ((record["strategy"],), column): plain(as_text(record[key]), most=FIGURE)
        for record in members
        for column, (key, as_text) in COUNTED.items()
    }


def _shares(members: Sequence[Record]) -> dict[tuple[Names, str], Text]:
    wholes = {problem(r): r for r in members if r["strategy"] == r["baseline"]}
    found: dict[tuple[Names, str], Text] = {}
    for recipe, ones in by(members, ("strategy",)).items():
        if all(one["strategy"] == one["baseline"] for one in ones):
            continue  # all of it is 1
        for column, (key, _) in COUNTED.items():
            shares = [_share(one, wholes.get(problem(one)), key) for one in ones]
            found[recipe, column] = plain(_range([s for s in shares if s is not None]))
    return found


def _share(record: Record, whole: Record | None, key: str) -> float | None:
    if whole is None or record[key] is None or not whole[key]:
        return None
    share: float = record[key] / whole[key]
    return share


def _range(shares: Sequence[float]) -> str:
    if not shares:
        return NOTHING
    low, high = f"{min(shares):.2f}", f"{max(shares):.2f}"
    return low if low == high else f"{low} to {high}"
