"""Show how the two frameworks' sides of one file compare, below the tables of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, ratio_text
from results.terminal.tables import LINE, plain_text
from results.terminal.verdict_marks import VERDICT_MARKS

if TYPE_CHECKING:
    from rich.table import Table

Data = Mapping[str, Any]
TITLE = "JAX ÷ torch, from the same weights and batch"
MOST_NAMES = 4  # arrays whose way from torch is shown
AS_IT_IS = "as it is"


def parts(pair: Data) -> Iterator[Any]:
    """Yield the table of ratios, and lines about what was proven and where weights went.

    Args:
        pair: see `results.own_code.schema.Pair`; names in it are the user's.
    """
    yield plain_text("")
    rows: Sequence[Data] = pair.get("rows") or ()
    if rows:
        yield _table(rows)
        yield plain_text("")
    if not pair.get("problem"):
        yield plain_text(proven(pair), most=LINE)
    yield from (plain_text(line, most=LINE) for line in weights(pair))
    if pair.get("batch"):
        names = ", ".join(name or "the batch itself" for name in pair["batch"])
        yield plain_text(f"note: JAX's batch differed in {names}: torch's was taken", most=LINE)


def _table(rows: Sequence[Data]) -> Table:
    """Return a line for each way, a column for each phase."""
    from rich.table import Table

    phases = list(dict.fromkeys(row["phase"] for row in rows))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (TITLE, *phases):
        table.add_column(plain_text(heading), overflow="fold")
    cells = {(way_name(row), row["phase"]): row for row in rows}
    for way in dict.fromkeys(way_name(row) for row in rows):
        shown = [cells.get((way, phase)) for phase in phases]
        table.add_row(plain_text(way), *(plain_text(_cell(row)) for row in shown))
    return table


def way_name(row: Data) -> str:
    """Return the name of a way, or both where the frameworks have two for it."""
    names = dict.fromkeys((str(row["way"]), str(row["jax_way"])))
    return " / ".join(names)


def _cell(row: Data | None) -> str:
    """Return JAX's time over torch's with its interval and its mark."""
    if row is None:
        return NOTHING
    return f"{ratio_text(row['ratio'])} {VERDICT_MARKS.get(row['verdict'], '?')}"


def proven(pair: Data) -> str:
    """Return in a line how near the two sides come to each other."""
    of = f" ({pair['gradient_of']})" if pair.get("gradient_of") else ""
    losses, gradients = (_near(pair[f"{kind}_error"]) for kind in ("loss", "gradient"))
    return (
        f"the same in both: losses to {losses}, gradients to {gradients}{of}; "
        f"allowed {pair['allowed']:.0e}"
    )


def _near(error: float) -> str:
    """Return a relative difference in words."""
    return f"{error:.0e}" if error else "the last bit"


def weights(pair: Data) -> Iterator[str]:
    """Yield lines that tell how JAX's arrays were filled: those that are not obvious by name."""
    arrays: Sequence[Sequence[str]] = pair.get("weights") or ()
    notable_arrays = [one for one in arrays if one[1] != AS_IT_IS or one[0] not in one[2:]]
    if arrays:
        same = len(arrays) - len(notable_arrays)
        yield f"weights: {len(arrays)} arrays of JAX filled from torch's, {same} by the same name"
    for name, how, *origins in notable_arrays[:MOST_NAMES]:
        yield f"  {name} ← {', '.join(origins) or 'torch'} {how}"
    if len(notable_arrays) > MOST_NAMES:
        yield f"  and {len(notable_arrays) - MOST_NAMES} more, which --json and --report list"
