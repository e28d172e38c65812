"""The ratios of a run as tables for a terminal: a line a problem, readable at 100 columns."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, significant
from results.records import Record
from results.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER, VERDICTS

MARKS = {SLOWER: "▲", FASTER: "▼", EQUAL: "=", INCONCLUSIVE: "?"}
STYLES = {SLOWER: "red", FASTER: "green", EQUAL: "bold", INCONCLUSIVE: "dim"}
COLUMNS = 3  # strategies side by side; further ones stand in a table of their own below

_TABLE = ("kind", "framework", "mode", "size", "device", "dtype")
_ROW = ("scenario", "variant")
_COLUMN = ("strategy", "phase")


def ratios(records: Iterable[Record], width: int = 100, *, colour: bool = False) -> str:
    """Every compared cell: its ratio ± half the interval, its verdict, the predicted ratio.

    A table holds what differs only in problem and strategy. Empty where nothing is compared.
    """
    from rich.console import Console  # here: it takes a moment to import

    compared = [r for r in records if r["baseline"] and r["strategy"] != r["baseline"]]
    console = Console(
        file=io.StringIO(), width=width, force_terminal=colour, no_color=not colour, highlight=False
    )
    for members in _by(compared, _TABLE).values():
        console.print(_title(members), style="bold", soft_wrap=True)
        columns = list(_by(members, _COLUMN))
        for start in range(0, len(columns), COLUMNS):
            console.print(_table(members, columns[start : start + COLUMNS]))
            console.print()
    if compared:
        console.print(_legend(compared), soft_wrap=False)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in text.splitlines())


def counted(records: Iterable[Record], margins: Mapping[str, float], alpha: float) -> str:
    """How many verdicts of each kind, and what they rest on; empty where there is none."""
    found = Counter(record["verdict"] for record in records if record["verdict"])
    if not found:
        return ""
    words = ", ".join(f"{found[word]} {word}" for word in VERDICTS if found[word])
    each = ", ".join(f"{name} {100 * margin:g} %" for name, margin in margins.items())
    return f"verdicts: {words} (margin: {each}; α = {alpha:g} over a group)"


def stops(stopped: Mapping[str, str], asked: float) -> str:
    """In how many groups the asked precision was reached, and why the others stopped."""
    found = Counter(stopped.values())
    compared = sum(found.values()) - found["nothing to compare"]
    text = f"precision {100 * asked:g} %: reached in {found['precision']} of {compared} groups"
    why = {"launches": "at the last launch allowed", "time": "at the time limit of a group"}
    return text + "".join(f"; {found[k]} stopped {said}" for k, said in why.items() if found[k])


def _title(members: Sequence[Record]) -> Any:
    first = members[0]
    parts = [f"{first['framework']} {first['mode']}", first["size"]]
    parts += [f"{first['kind']}, phase {_usual_phase(members)}"]
    if first["device"] != "cpu" or first["dtype"] != "float32":
        parts += [f"{first['device']} {first['dtype']}"]
    names = sorted({record["baseline"] for record in members})
    return _plain(" · ".join([*parts, f"ratio to {' or '.join(names)}"]))


def _table(members: Sequence[Record], columns: Sequence[tuple[str, ...]]) -> Any:
    from rich.table import Table

    phase = _usual_phase(members)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("", overflow="fold")
    for strategy, its_phase in columns:
        table.add_column(_plain(strategy if its_phase == phase else f"{strategy} ({its_phase})"))
    for row, cells in _by(members, _ROW).items():
        at = {tuple(r[n] for n in _COLUMN): r for r in cells}
        label = " ".join(part for part in row if part != "-")
        table.add_row(_plain(label), *(_cell(at.get(column)) for column in columns))
    return table


def _usual_phase(members: Sequence[Record]) -> str:
    return Counter(record["phase"] for record in members).most_common(1)[0][0]


def _cell(record: Record | None) -> Any:
    from rich.text import Text

    if record is None or record["outcome"] == "unsupported":
        return Text(NOTHING, style="dim")
    if record["outcome"] != "ok":
        return Text(record["outcome"], style="bold red")
    ratio, verdict = record["ratio"], record["verdict"]
    if ratio is None:
        return Text("no ratio", style="dim")
    text = Text(f"{_measured(ratio['estimate'], ratio['high']):<11} ")
    predicted = record["predicted_ratio"]
    text.append(MARKS.get(verdict, " "), style=STYLES.get(verdict, ""))
    text.append(f" {significant(predicted) if predicted else NOTHING}", style="dim")
    return text


def _measured(estimate: float, high: float | None) -> str:
    """As many decimals as the interval bears: 1.46 ±0.03, 1.002 ±0.004."""
    if high is None:
        return f"{estimate:.2f}"
    decimals = 3 if high - estimate < 0.005 else 2
    return f"{estimate:.{decimals}f} ±{high - estimate:.{decimals}f}"


def _plain(text: str) -> Any:
    """Names may come from a user's files: none is markup."""
    from rich.text import Text

    return Text(text)


def _legend(compared: Sequence[Record]) -> Any:
    levels = {r["ratio"]["confidence"] for r in compared if r["ratio"]}
    level = f"{100 * levels.pop():g} % " if len(levels) == 1 else ""
    marks = "  ".join(f"{mark} {word}" for word, mark in MARKS.items())
    text = f"ratio ± half its {level}interval · {marks} · ratio of FLOPs"
    if all(r["verdict"] is None for r in compared):
        text = "ratio, predicted ratio (FLOPs); intervals and verdicts need 6 launches"
    return _plain(text)


def _by(records: Iterable[Record], fields: Sequence[str]) -> dict[tuple[str, ...], list[Record]]:
    """The records by these fields, in first-seen order."""
    found: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        found.setdefault(tuple(record[name] for name in fields), []).append(record)
    return found
