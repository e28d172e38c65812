"""Show what came out of a user's own case on one screen of a terminal, at 100 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, ratio_text, seconds_text, significant
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER
from results.terminal import own_code_pair
from results.terminal.tables import (
    LINE,
    PARAGRAPH,
    WIDTH,
    case_title,
    plain_text,
    rendered,
    shorten,
)
from results.terminal.verdict_marks import VERDICT_MARKS
from results.ways import way_title

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

Data = Mapping[str, Any]
MARKS = {**VERDICT_MARKS, "not told": VERDICT_MARKS[INCONCLUSIVE]}
STYLES = {SLOWER: "red", FASTER: "green", EQUAL: "bold", "not told": "dim", INCONCLUSIVE: "dim"}
FAILED = "bold red"
UNSUPPORTED = "unsupported"
KINDS = {"backward": "ways to run the backward passes", "freeze": "ways to freeze"}
LEGEND = (
    "ratio to the first line [interval]; "
    + ", ".join(f"{MARKS[verdict]} {verdict}" for verdict in (SLOWER, FASTER, EQUAL, "not told"))
    + "; (predicted by FLOPs)"
)


def table(document: Data, width: int = WIDTH, *, colour: bool = False) -> str:
    """Return the page: the answer, each framework's flow and tables, what was proven and was not.

    Args:
        document: see `results.own_code.schema.Document`; names in it are the user's.
        width: columns of the terminal.
        colour: whether to emit colour codes.
    """
    return rendered(_parts(document), width, colour=colour)


def _parts(document: Data) -> Iterator[Any]:
    """Yield lines and tables of rich."""
    yield case_title(document)
    yield plain_text(document.get("answer") or "Nothing was measured.", most=PARAGRAPH)
    timed = False
    for part in document.get("frameworks") or ():
        yield from _framework(part)
        timed = timed or any(row.get("ratio") for row in part.get("rows") or ())
    if pair := document.get("pair"):
        yield from own_code_pair.parts(pair)
    if timed:
        yield plain_text("", most=LINE)
        yield plain_text(LEGEND, "dim", LINE)
        yield plain_text(_ways_in_words(document), "dim", 2 * LINE)


def _ways_in_words(document: Data) -> str:
    """Return each way that was measured with the words about it, as reports have them."""
    rows = [row for part in document.get("frameworks") or () for row in part.get("rows") or ()]
    ways = dict.fromkeys(shorten(row["way"]) for row in rows if row["outcome"] != UNSUPPORTED)
    return "; ".join(title for way in ways if (title := way_title(way)) != way)


def _framework(part: Data) -> Iterator[Any]:
    """Yield what was found out and measured in one framework."""
    keys = ("framework", "version", "mode", "device", "dtype")
    yield plain_text("")
    yield plain_text(" ".join(str(part[key]) for key in keys if part.get(key)), "bold", LINE)
    yield from _flow(part)
    rows: Sequence[Data] = part.get("rows") or ()
    for kind, title in KINDS.items():
        members = [row for row in rows if row["kind"] == kind]
        if any(row["outcome"] != UNSUPPORTED for row in members):
            yield plain_text("")
            yield _table(members, title)
    yield plain_text("")
    yield from (plain_text(line, style, PARAGRAPH) for line, style in _remarks(part, rows))


def _flow(part: Data) -> Iterator[Any]:
    """Yield a line for each loss: the networks that its gradient reaches, and how."""
    for loss, reached in (part.get("flow") or {}).items():
        states = {"value": [], "zero": [], "absent": []}  # type: dict[str, list[str]]
        for network, state in reached.items():
            states.setdefault(state, []).append(shorten(network))
        clauses = [", ".join(states["value"]) or "no network"]
        clauses += [f"exact zeros in {', '.join(states['zero'])}"] if states["zero"] else []
        clauses += [f"none in {', '.join(states['absent'])}"] if states["absent"] else []
        yield plain_text(f"gradient of {shorten(loss)} → {'; '.join(clauses)}", most=LINE)


def _table(rows: Sequence[Data], title: str) -> Table:
    """Return the table of one kind: a line for each way, a column for each phase."""
    from rich.table import Table

    phases = list(dict.fromkeys(row["phase"] for row in rows))
    ways = list(dict.fromkeys(row["way"] for row in rows if row["outcome"] != UNSUPPORTED))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in (title, *phases):
        table.add_column(plain_text(heading), overflow="fold")
    cells = {(row["way"], row["phase"]): row for row in rows}
    for way in ways:
        figures = (_cell(cells.get((way, phase))) for phase in phases)
        table.add_row(plain_text(way), *figures)
    return table


def _cell(row: Data | None) -> Text:
    """Return the cell of a way in a phase: a baseline's time, another's ratio, or what failed."""
    if row is None or row["outcome"] == UNSUPPORTED:
        return plain_text(NOTHING, "dim")
    if row["outcome"] != "ok" or not row.get("seconds"):
        return plain_text(f"✗ {str(row['outcome']).replace('_', ' ')}", FAILED)
    if row["way"] == row["baseline"] or not row.get("ratio"):
        return plain_text(seconds_text(row["seconds"]["estimate"]))
    verdict, predicted = row.get("verdict") or "not told", row.get("predicted_ratio")
    counted = f" ({significant(predicted)})" if predicted else ""
    words = f"{ratio_text(row['ratio'])} {MARKS.get(verdict, '?')}{counted}"
    return plain_text(words, STYLES.get(verdict, ""))


def _remarks(part: Data, rows: Sequence[Data]) -> Iterator[tuple[str, str]]:
    """Yield line and style of what is wrong, of what was proven, and of what cannot exist."""
    if part.get("flow_problem"):
        yield f"✗ {part['flow_problem']}", FAILED
    for row in rows:
        if row["outcome"] not in ("ok", UNSUPPORTED) and _reason(row) != row["outcome"]:
            yield f"✗ {row['way']} in phase {row['phase']}: {_reason(row)}", FAILED
    yield _proven(part, rows), ""
    yield from ((f"note: {note}", "") for note in part.get("notes") or ())
    reasons = {row["way"]: _reason(row) for row in rows if row["outcome"] == UNSUPPORTED}
    measured = {row["way"] for row in rows if row["outcome"] != UNSUPPORTED}
    for way, reason in reasons.items():
        if way not in measured:
            yield f"cannot be used: {way}: {reason}", "dim"


def _proven(part: Data, rows: Sequence[Data]) -> str:
    """Return in a line what the gradients were held to, and how near they came."""
    reference = part.get("reference") or {}
    error = reference.get("central_difference_error")
    basis = f"compared with gradients of the summed loss in {reference.get('dtype') or 'float64'}"
    confirmed = f", which central differences confirm to {error:.0e}" if error is not None else ""
    errors = [row["gradient_error"] for row in rows if row.get("gradient_error") is not None]
    nearest = f"; largest error of a gradient {max(errors):.0e}" if errors else ""
    note = f"; {reference['note']}" if reference.get("note") else ""
    return f"{basis}{confirmed}{nearest}{note}"


def _reason(row: Data) -> str:
    """Return why a row has no time."""
    equivalence = row.get("equivalence")
    return str((equivalence if equivalence != "pass" else "") or row["outcome"]).replace("\n", " ")
