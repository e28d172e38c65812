"""Section 3: separate backward passes against the summed loss, and the crossover map."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, ratio_text, significant
from results.records.record import Record
from results.report import charts
from results.report.collection import Machine
from results.report.drawing import Mark, mark_of
from results.report.model import Cell, Chart, Row, Section, Table, about, missing, problem, way
from results.report.sections.recommendations import MARKS

MAPPED = ("n2", "n4", "n8", "n16", "front4", "back4")
STACKED, SEPARATE = "stacked_cascade", "separate_retained"


def section(machine: Machine, sizes: Mapping[str, Mapping[str, Any]]) -> Section | None:
    """None where no strategy was measured beside its baseline.

    ``sizes`` says what the sizes of `STACKED` are: size → width and batch.
    """
    records = [r for r in machine.records if r["kind"] == "backward" and r["baseline"]]
    compared = [r for r in records if r["strategy"] != r["baseline"]]
    if not compared:
        return None
    blocks: list[Any] = [
        [
            "Ratios to the summed loss's one backward pass, measured side by side in the same "
            "processes. In brackets the ratio of counted FLOPs: XLA's cost analysis, torch's "
            "FlopCounterMode. A ratio far from its count is dispatch, memory or the library. "
            "▲ slower, ▼ faster, = equal within the margin, ? inconclusive.",
        ]
    ]
    marks = [mark_of(record) for record in compared if record["ratio"]]
    counted = [mark for mark in marks if mark["predicted"]]
    if counted:
        blocks.append(_scatter(counted))
    blocks += [_table(name, members) for name, members in _by_way(compared).items()]
    blocks += crossover(machine.records, sizes)
    return Section("passes", "Separate backward passes against the summed loss", blocks)


def _scatter(marks: Sequence[Mark]) -> Chart:
    return charts.predicted(
        "passes",
        "What the other ways cost, measured and counted",
        "Each mark is a strategy on one network: how its time compares with the summed loss's, "
        "over how its FLOPs compare. On the dashed line the count tells the time.",
        marks,
    )


def _by_way(records: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(way(record), []).append(record)
    return found


def _table(name: str, records: Sequence[Record]) -> Table:
    """A row a problem, a column a strategy."""
    strategies = list(dict.fromkeys(r["strategy"] for r in records if r["outcome"] == "ok"))
    rows: dict[tuple[str, ...], dict[str, Record]] = {}
    for record in records:
        key = problem(record), record["size"], record["phase"]
        rows.setdefault(key, {})[record["strategy"]] = record
    body = []
    for names, members in rows.items():
        first = next(iter(members.values()))
        cells = [_cell(members.get(strategy)) for strategy in strategies]
        if any(cell.kind != "missing" for cell in cells):
            body.append(Row([*map(Cell, names), *cells], about(first)))
    return Table(name, ["network", "size", "phase", *strategies], body)


def _cell(record: Record | None) -> Cell:
    if record is None:
        return missing("not measured in this phase")
    if record["outcome"] != "ok":
        kind = "missing" if record["outcome"] == "unsupported" else "failed"
        text = NOTHING if kind == "missing" else record["outcome"]
        return Cell(text, str(record["missing"].get("seconds", "")), kind)
    if record["ratio"] is None:
        return missing(str(record["missing"].get("ratio", "no ratio")))
    predicted, verdict = record["predicted_ratio"], record["verdict"]
    counted = f"({significant(predicted)})" if predicted else ""
    text = " ".join(filter(None, [ratio_text(record["ratio"]), MARKS.get(verdict), counted]))
    return Cell(text, "" if verdict else record["missing"].get("verdict", ""), verdict or "")


def crossover(records: Sequence[Record], sizes: Mapping[str, Mapping[str, Any]]) -> list[Any]:
    """Separate over summed by depth ratio and number of losses, batch and width; empty if few."""
    mapped = [
        r for r in records
        if r["scenario"] == STACKED and r["strategy"] == SEPARATE and r["ratio"]
        and r["variant"] in MAPPED and r["phase"] == "backward"
    ]  # fmt: skip
    if len({record["variant"] for record in mapped}) < 2:
        return []
    blocks: list[Any] = [[_about_map({record["variant"] for record in mapped})]]
    for name, members in _by_way(mapped).items():
        marks = [mark_of(r) | _mapped(r, sizes) for r in members]
        order = [variant for variant in MAPPED if variant in {m["variant"] for m in marks}]
        title = f"Separate over summed, {name}"
        text = "Rows are sizes, columns the number of stages or the depth ratio."
        chart = charts.heat(
            f"crossover-{name.replace(' ', '-')}", title, text, marks, x=order, y="size"
        )
        blocks += [chart, _map_table(title, members, order, sizes)]
    return blocks


def _about_map(variants: Collection[str]) -> str:
    """Of what the map is, naming nothing that was not measured."""
    said = (
        "The crossover map: what separate passes cost by the number of losses; n2 is two stages of "
        "three layers each."
    )
    if {"front4", "back4"} & set(variants):
        said += (
            " In front4 the first of two stages has 12 layers and the second 3, in back4 the other "
            "way round: a separate pass walks every stage before its loss again, so depth in "
            "front costs much and depth behind little."
        )
    return said


def _mapped(record: Record, sizes: Mapping[str, Mapping[str, Any]]) -> Mark:
    return {
        "line": size_text(record["size"], sizes),
        "told_short": significant(record["ratio"]["estimate"]),
    }


def size_text(size: str, sizes: Mapping[str, Mapping[str, Any]]) -> str:
    """The size with what it means: ``large (width 1024, batch 512)``."""
    told = sizes.get(size)
    known = ", ".join(f"{k} {v}" for k, v in (told if isinstance(told, Mapping) else {}).items())
    return f"{size} ({known})" if known else size


def _map_table(
    title: str,
    records: Sequence[Record],
    order: Sequence[str],
    sizes: Mapping[str, Mapping[str, Any]],
) -> Table:
    at = {(record["size"], record["variant"]): record for record in records}
    rows = [
        Row(
            [Cell(size_text(size, sizes)), *(_cell(at.get((size, variant))) for variant in order)],
            {"scenario": STACKED, "size": size, "framework": records[0]["framework"]},
        )
        for size in dict.fromkeys(record["size"] for record in records)
    ]
    return Table(title, ["size", *order], rows, folded=True)
