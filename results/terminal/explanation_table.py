"""Show the operations of a cell and of its baseline side by side, in a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from results.estimates.explanation import IDLE, Explanation, Row, explain
from results.formatting import NOTHING, one_line, seconds_text, significant
from results.terminal import tables

if TYPE_CHECKING:
    from rich.console import RenderableType

MOST_ROWS = 15
NAME = 46  # columns of an operation's name


def text(
    document: Mapping[str, Any],
    width: int = tables.WIDTH,
    *,
    colour: bool = False,
    everything: bool = False,
) -> str:
    """Return the explanation of a cell as a terminal shows it.

    Args:
        document: as `benchmarks.harness.measurement.profiling.profile` returns it.
        width: columns of the terminal.
        colour: whether to emit colour codes.
        everything: whether every operation has a row; else the `MOST_ROWS` that matter most.
    """
    explanation = explain(document)
    parts = _parts(document, explanation, everything=everything)
    return tables.printed(parts, width, colour=colour, unwrapped=lambda line: len(line) <= width)


def _parts(
    document: Mapping[str, Any], explanation: Explanation, *, everything: bool
) -> Iterator[RenderableType]:
    """Yield what a call takes, the gap to the prediction, the table, and where the traces are."""
    yield one_line(f"{document['name']}, beside {document['baseline']['strategy']}")
    yield ""
    for side in ("strategy", "baseline"):
        yield one_line(_call_line(document[side]))
    yield one_line(_gap_line(document, explanation))
    yield ""
    yield _table(document, explanation, everything=everything)
    yield ""
    for side in ("strategy", "baseline"):
        yield one_line(f"trace: {document[side]['trace']}")
    yield (
        "open a trace in https://ui.perfetto.dev or chrome://tracing. Times of operations are "
        "wall time under the profiler, which slows what is short: the ratio to trust is measured "
        "without it"
    )


def _call_line(side: Mapping[str, Any]) -> str:
    """Return how long a call takes without and under the profiler, and how much of it is idle."""
    traced = side["traced"]
    share = f"{100 * traced['idle'] / traced['seconds']:.0f} %" if traced["seconds"] else NOTHING
    return (
        f"{side['strategy']}: a call takes {seconds_text(side['seconds'])}, under the profiler "
        f"{seconds_text(traced['seconds'])}, of which {share} idle"
    )


def _gap_line(document: Mapping[str, Any], explanation: Explanation) -> str:
    """Return what was predicted and measured, and the difference."""
    plain = document["strategy"]["seconds"] / document["baseline"]["seconds"]
    gap = f"{seconds_text(abs(explanation.gap))} {'more' if explanation.gap >= 0 else 'less'}"
    if explanation.predicted is None:
        return (
            f"ratio to the baseline {significant(plain)}, under the profiler "
            f"{significant(explanation.measured)}, where a call takes {gap}; FLOPs cannot be "
            "counted here"
        )
    return (
        f"ratio to the baseline by counted FLOPs {significant(explanation.predicted)}, measured "
        f"{significant(plain)}, under the profiler {significant(explanation.measured)}: there a "
        f"call takes {gap} than predicted"
    )


def _table(
    document: Mapping[str, Any], explanation: Explanation, *, everything: bool
) -> RenderableType:
    """Return the table of operations, with what is left in one row and the whole in another."""
    from rich.table import Table
    from rich.text import Text

    names = [tables.shorten(document[side]["strategy"], 18) for side in ("strategy", "baseline")]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("operation", overflow="fold", ratio=1)
    table.add_column("calls", justify="right", no_wrap=True)
    for heading in (*names, "beyond predicted"):
        table.add_column(heading, justify="right", overflow="fold")
    rows = explanation.rows if everything else explanation.rows[:MOST_ROWS]
    hidden_rows = explanation.rows[len(rows) :]
    for row in rows:
        table.add_row(Text(tables.shorten(row.name, NAME)), *_figures(row))
    if hidden_rows:
        table.add_row(
            Text(f"{len(hidden_rows)} more: --all", "dim"), *_figures(_sum("", hidden_rows))
        )
    table.add_row(Text("the whole call", "bold"), *_figures(_sum("", explanation.rows)))
    return table


def _figures(row: Row) -> tuple[str, str, str, str]:
    """Return the figures of a row as text: calls, both times, and what is beyond predicted."""
    calls = NOTHING if row.name in ("", IDLE) else "/".join(f"{n:g}" for n in row.counts)
    one, other = (seconds_text(t) if t else NOTHING for t in row.seconds)
    return calls, one, other, f"{'+' if row.beyond >= 0 else '-'}{seconds_text(abs(row.beyond))}"


def _sum(name: str, rows: tuple[Row, ...]) -> Row:
    """Return the sum of some rows."""
    totals = [sum(row.seconds[side] for row in rows) for side in (0, 1)]
    return Row(name, (0.0, 0.0), (totals[0], totals[1]), sum(row.beyond for row in rows))


def document_json(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a profile with its explanation as an object of JSON."""
    return {**document, "explanation": asdict(explain(document))}
