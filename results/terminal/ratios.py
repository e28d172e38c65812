"""The ratios of a run as tables for a terminal: a line a problem, readable at 100 columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from results.formatting import NOTHING, significant
from results.records.record import Record
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER, VERDICTS
from results.terminal.tables import FIGURE, LINE, WIDTH, Names, cut, plain, printed, tables

if TYPE_CHECKING:
    from rich.text import Text

MARKS = {SLOWER: "▲", FASTER: "▼", EQUAL: "=", INCONCLUSIVE: "?"}
STYLES = {SLOWER: "red", FASTER: "green", EQUAL: "bold", INCONCLUSIVE: "dim"}

TABLE = ("kind", "framework", "mode", "size", "device", "dtype")
ROW = ("scenario", "variant")


def ratios(records: Iterable[Record], width: int = WIDTH, *, colour: bool = False) -> str:
    """Every compared cell: its ratio ± half the interval, its verdict, the predicted ratio.

    A table holds what differs only in problem and strategy. Empty where nothing is compared.
    """
    return printed(ratio_parts(records), width, colour=colour)


def ratio_parts(records: Iterable[Record]) -> Iterator[Any]:
    """The tables of `ratios`, and their legend, for rich."""
    compared = [r for r in records if r["baseline"] and r["strategy"] != r["baseline"]]
    for members in by(compared, TABLE).values():
        names = sorted({record["baseline"] for record in members})
        yield title(members, f"ratio to {' or '.join(names)}")
        yield from tables(cells(members, _cell))
    if compared:
        yield plain(_legend(compared), most=LINE)


def counted(records: Iterable[Record], margins: Mapping[str, float], alpha: float | None) -> str:
    """How many verdicts of each kind, and what they rest on; empty where there is none."""
    found = Counter(record["verdict"] for record in records if record["verdict"] in VERDICTS)
    if not found:
        return ""
    words = ", ".join(f"{found[word]} {word}" for word in VERDICTS if found[word])
    each = ", ".join(f"{cut(name)} {100 * margin:g} %" for name, margin in margins.items())
    rests = [f"margin: {each}"] if margins else []
    rests += [] if alpha is None else [f"α = {alpha:g} over a group"]
    return f"verdicts: {words}" + (f" ({'; '.join(rests)})" if rests else "")


def stops(stopped: Mapping[str, str], asked: float) -> str:
    """In how many groups the asked precision was reached, and why the others stopped."""
    found = Counter(stopped.values())
    compared = sum(found.values()) - found["nothing to compare"]
    text = f"precision {100 * asked:g} %: reached in {found['precision']} of {compared} groups"
    why = {"launches": "at the last launch allowed", "time": "at the time limit of a group"}
    return text + "".join(f"; {found[k]} stopped {said}" for k, said in why.items() if found[k])


def title(members: Sequence[Record], last: str = "") -> Text:
    """What the cells of a table have in common: framework, mode, size, kind and usual phase."""
    first = members[0]
    parts = [f"{first['framework']} {first['mode']}", first["size"]]
    parts += [f"{first['kind']}, phase {_usual_phase(members)}"]
    if first["device"] != "cpu" or first["dtype"] != "float32":
        parts += [f"{first['device']} {first['dtype']}"]
    return plain(" · ".join(map(cut, [*parts, *filter(None, [last])])), "bold", LINE)


def cells(
    members: Sequence[Record], shown: Callable[[Record], Text]
) -> dict[tuple[Names, str], Text]:
    """Each record as ``shown`` has it, by problem and strategy; an unusual phase is named."""
    usual = _usual_phase(members)
    return {(problem(record), _column(record, usual)): shown(record) for record in members}


def problem(record: Record) -> Names:
    """What a row goes by."""
    return tuple(record[name] for name in ROW)


def _column(record: Record, usual: str) -> str:
    strategy, phase = cut(record["strategy"]), record["phase"]
    return strategy if phase == usual else f"{strategy} ({cut(phase)})"


def _usual_phase(members: Sequence[Record]) -> str:
    return Counter(record["phase"] for record in members).most_common(1)[0][0]


def untimed(record: Record) -> Text | None:
    """What stands where a figure of a cell would: why there is none. None where it is ok."""
    if record["outcome"] == "unsupported":
        return plain(NOTHING, "dim")
    return None if record["outcome"] == "ok" else plain(record["outcome"], "bold red")


def _cell(record: Record) -> Text:
    ratio, verdict = record["ratio"], record["verdict"]
    if (why := untimed(record)) is not None:
        return why
    if ratio is None or ratio["estimate"] is None:
        return plain("no ratio", "dim")
    text = plain(_measured(ratio["estimate"], ratio["high"]), most=2 * FIGURE)
    text.pad_right(max(0, 12 - len(text)))
    text.append(" ").append(MARKS.get(verdict, " "), style=STYLES.get(verdict, ""))
    predicted = record["predicted_ratio"]
    text.append(f" {cut(significant(predicted), FIGURE) if predicted else NOTHING}", style="dim")
    return text


def _measured(estimate: float, high: float | None) -> str:
    """As many decimals as the interval bears: 1.46 ±0.03, 1.002 ±0.004."""
    if high is None:
        return f"{estimate:.2f}"
    decimals = 3 if high - estimate < 0.005 else 2
    return f"{estimate:.{decimals}f} ±{high - estimate:.{decimals}f}"


def _legend(compared: Sequence[Record]) -> str:
    levels = {r["ratio"]["confidence"] for r in compared if r["ratio"]} - {None}
    level = f"{100 * levels.pop():g} % " if len(levels) == 1 else ""
    marks = "  ".join(f"{mark} {word}" for word, mark in MARKS.items())
    if all(r["verdict"] is None for r in compared):
        return "ratio, predicted ratio (FLOPs); intervals and verdicts need 6 launches"
    return f"ratio ± half its {level}interval · {marks} · ratio of FLOPs"


def by(records: Iterable[Record], fields: Sequence[str]) -> dict[tuple[str, ...], list[Record]]:
    """The records by these fields, in first-seen order."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        found.setdefault(tuple(record[name] for name in fields), []).append(record)
    return found
