"""Show the ratios of a run as tables for a terminal: a line a problem, readable at 100 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, significant
from results.grouping import group_by_fields
from results.records.limits import predicted_ratio
from results.records.record import AnyRecord, lower_precision
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER, VERDICTS
from results.terminal.tables import (
    FIGURE,
    LINE,
    WIDTH,
    Names,
    plain_text,
    rendered,
    shorten,
    tables,
)
from results.terminal.verdict_marks import VERDICT_MARKS
from results.ways import way_title

if TYPE_CHECKING:
    from rich.text import Text

STYLES = {SLOWER: "red", FASTER: "green", EQUAL: "bold", INCONCLUSIVE: "dim"}
RATIO_WIDTH = 12  # columns of a ratio, so that the marks of verdicts stand below each other

# what all cells of a table share, and what names a row of it; strategies are the columns
TABLE_FIELDS = ("kind", "framework", "mode", "size", "device", "dtype", "precision_mode")
PROBLEM_FIELDS = ("scenario", "variant")


def ratios(records: Iterable[AnyRecord], width: int = WIDTH, *, colour: bool = False) -> str:
    """Return the tables of all compared cells: ratio, half its interval, verdict, prediction.

    The cells of a table differ in problem and strategy only.

    Args:
        width: columns of the terminal.
        colour: whether to emit colour codes.

    Returns:
        The text; empty where no cell is compared with a baseline.
    """
    return rendered(ratio_parts(records), width, colour=colour)


def ratio_parts(records: Iterable[AnyRecord]) -> Iterator[Any]:
    """Yield the tables of ratios to the baseline, each after its title, and then the legend.

    The parts are objects of rich; `ratios` renders them.
    """
    compared = [r for r in records if r["baseline"] and r["strategy"] != r["baseline"]]
    for members in group_by_fields(compared, TABLE_FIELDS).values():
        baselines = sorted({record["baseline"] for record in members})
        yield title(members, f"ratio to {' or '.join(baselines)}")
        yield from tables(cells(members, _ratio_cell))
    if compared:
        yield plain_text(_legend(compared), most=LINE)
        if words := _words(compared):
            yield plain_text(words, "dim", LINE)


def verdict_counts(
    records: Iterable[AnyRecord], margins: Mapping[str, float], alpha: float | None
) -> str:
    """Return how many verdicts of each kind there are, with their margins and α.

    Args:
        margins: framework → the relative difference that counts as equal.
        alpha: the probability of a false alarm in a group; None where it is unknown.

    Returns:
        A line; empty where there is no verdict.
    """
    counts = Counter(record["verdict"] for record in records if record["verdict"] in VERDICTS)
    if not counts:
        return ""
    words = ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])
    each = ", ".join(f"{shorten(name)} {100 * margin:g} %" for name, margin in margins.items())
    criteria = [f"margin: {each}"] if margins else []
    criteria += [] if alpha is None else [f"α = {alpha:g} over a group"]
    return f"verdicts: {words}" + (f" ({'; '.join(criteria)})" if criteria else "")


def stopping_summary(stopped: Mapping[str, str], precision: float) -> str:
    """Return in how many groups the required precision was reached, and why others stopped.

    Args:
        stopped: group → why it was measured no further: ``precision``, ``launches``, ``time`` or
            ``nothing to compare``.
        precision: the required half width of an interval, relative.
    """
    counts = Counter(stopped.values())
    compared = sum(counts.values()) - counts["nothing to compare"]
    text = f"precision {100 * precision:g} %: reached in {counts['precision']} of {compared} groups"
    limits = {"launches": "at the last launch allowed", "time": "at the time limit of a group"}
    return text + "".join(
        f"; {counts[reason]} stopped {words}" for reason, words in limits.items() if counts[reason]
    )


def title(members: Sequence[AnyRecord], last: str = "") -> Text:
    """Return the title of a table: framework, mode, size, kind and the most frequent phase.

    Args:
        members: the records of the table.
        last: text to append, such as the unit of the figures.
    """
    first = members[0]
    parts = [f"{first['framework']} {first['mode']}", first["size"]]
    parts += [f"{first['kind']}, phase {_most_frequent_phase(members)}"]
    if first["device"] != "cpu" or first["dtype"] != "float32":
        parts += [f"{first['device']} {first['dtype']}"]
    parts += lower_precision(first)
    parts += [last] if last else []
    return plain_text(" · ".join(map(shorten, parts)), "bold", LINE)


def cells(
    members: Sequence[AnyRecord], as_text: Callable[[AnyRecord], Text]
) -> dict[tuple[Names, str], Text]:
    """Return the fields of a table: (row, title of the column) → text, for `tables.tables`.

    A row is a problem (scenario and variant), a column a strategy. A column of another phase than
    the one in the table's title names its phase.

    Args:
        members: the records of the table.
        as_text: returns the text of a record's field.
    """
    phase = _most_frequent_phase(members)
    return {(problem(record), _column(record, phase)): as_text(record) for record in members}


def problem(record: AnyRecord) -> Names:
    """Return the names of the record's row: scenario and variant."""
    return tuple(record[name] for name in PROBLEM_FIELDS)


def _column(record: AnyRecord, usual_phase: str) -> str:
    """Return the title of a record's column: its strategy, and its phase where that is unusual."""
    strategy, phase = shorten(record["strategy"]), record["phase"]
    return strategy if phase == usual_phase else f"{strategy} ({shorten(phase)})"


def _most_frequent_phase(members: Sequence[AnyRecord]) -> str:
    """Return the phase that most of these records have."""
    return Counter(record["phase"] for record in members).most_common(1)[0][0]


def untimed(record: AnyRecord) -> Text | None:
    """Return the text to show instead of a figure: the outcome; None where the outcome is ``ok``.

    For an unsupported cell the text is a dash.
    """
    if record["outcome"] == "unsupported":
        return plain_text(NOTHING, "dim")
    return None if record["outcome"] == "ok" else plain_text(record["outcome"], "bold red")


def _ratio_cell(record: AnyRecord) -> Text:
    """Return the field of a record's ratio: ratio, mark of its verdict, and predicted ratio.

    Where there is no ratio, it is the outcome, or "no ratio".
    """
    ratio, verdict = record["ratio"], record["verdict"]
    if (outcome := untimed(record)) is not None:
        return outcome
    if ratio is None or ratio["estimate"] is None:
        return plain_text("no ratio", "dim")
    text = plain_text(_with_half_width(ratio["estimate"], ratio["high"]), most=2 * FIGURE)
    text.pad_right(max(0, RATIO_WIDTH - len(text)))
    text.append(" ").append(VERDICT_MARKS.get(verdict, " "), style=STYLES.get(verdict, ""))
    predicted = predicted_ratio(record)
    shown = shorten(significant(predicted), FIGURE) if predicted else NOTHING
    text.append(f" {shown}", style="dim")
    return text


def _with_half_width(estimate: float, high: float | None) -> str:
    """Return the ratio with as many decimals as its interval supports: 1.46 ±0.03."""
    if high is None:
        return f"{estimate:.2f}"
    decimals = 3 if high - estimate < 0.005 else 2
    return f"{estimate:.{decimals}f} ±{high - estimate:.{decimals}f}"


def _words(compared: Sequence[AnyRecord]) -> str:
    """Return the ways of these records with their words, as the report names them.

    Returns:
        A line; empty where it would fill more than a few lines of a terminal.
    """
    ways = dict.fromkeys(str(record["strategy"]) for record in compared)
    words = "; ".join(way_title(way) for way in ways if way_title(way) != way)
    return words if len(words) <= LINE else ""


def _legend(compared: Sequence[AnyRecord]) -> str:
    """Return the line that explains the figures and marks in the tables of these records."""
    levels = {r["ratio"]["confidence"] for r in compared if r["ratio"]} - {None}
    level = f"{100 * levels.pop():g} % " if len(levels) == 1 else ""
    marks = "  ".join(f"{mark} {word}" for word, mark in VERDICT_MARKS.items())
    if all(r["verdict"] is None for r in compared):
        return f"ratio, {_predicted(compared)}; intervals and verdicts need 6 launches"
    return f"ratio ± half its {level}interval · {marks} · {_predicted(compared)}"


def _predicted(compared: Sequence[AnyRecord]) -> str:
    """Return what the predicted ratios of these records are made from."""
    by_limits = any(r["limit_ratio"] and not r["predicted_ratio"] for r in compared)
    return "predicted ratio" if by_limits else "predicted ratio (FLOPs)"
