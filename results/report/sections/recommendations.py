"""Section 1: the verdict in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.formatting import NOTHING, ratio_text, significant
from results.records.record import Record
from results.report.answers import Answer, Way, answers, largest, largest_of_each, usual
from results.report.collection import Machine
from results.report.model import Cell, Points, Row, Section, Table, problem
from results.report.sections import credibility, glossary, headlines
from results.report.vocabulary import FAMILIES, KINDS, code_of
from results.statistics.verdict import EQUAL, FASTER, INCONCLUSIVE, SLOWER

IN_FRONT = (
    "Of each network its largest size counts here, where arithmetic has its largest share of the "
    "time; smaller ones stand under every cell. A group is what was measured side by side: one "
    "network, size, framework, mode and phase. In front of it is each way whose interval reaches "
    "the lowest ratio there, if it is the baseline or has a verdict other than inconclusive; it "
    "counts over all groups that the way was timed in. Of ways that are in front equally often the "
    "plainest to write is named first. Ratios are to the baseline of the group, the mean over "
    "launches of the log ratio within a launch, with 95 % intervals. In the tables the mean over "
    "several groups is the geometric one, each way over its own groups, so that two ways may be "
    "means over different networks: the last table of each kind has them network by network. A "
    "verdict is a test over all ways of a group at 1 %, and asks for a difference beyond the "
    "margin: an interval at 95 % that leaves out 1 may well be inconclusive."
)
MARKS = {SLOWER: "▲", FASTER: "▼", EQUAL: "=", INCONCLUSIVE: "?"}


def section(machine: Machine, scenarios: glossary.About) -> Section:
    """What to write in each framework for each kind of network, and what the other ways cost.

    ``scenarios`` says what they are: name → its ``summary`` and its ``sizes``.
    """
    families = dict.fromkeys(record["family"] for record in machine.records)
    blocks: list[Any] = [
        Points(headlines.of(machine.records)),
        credibility.section(machine),
        glossary.section(machine.records, scenarios),
        [IN_FRONT],
    ]
    summaries = {name: about.get("summary", "") for name, about in scenarios.items()}
    for family in families:
        members = [
            record for record in largest_of_each(machine.records) if record["family"] == family
        ]
        inside = [*_ways(members), by_network(members, summaries)]
        blocks.append(Section(f"write-{family}", FAMILIES.get(family, family), inside))
    return Section("write", "What to write", blocks)


def _ways(records: Sequence[Record]) -> list[Table]:
    """A table for each framework and mode: every way, what it is, what it costs."""
    return [_table(answer) for answer in answers(records)]


def _table(answer: Answer) -> Table:
    ways = [answer.best, *answer.others] if answer.best else list(answer.others)
    columns = [
        "recipe" if answer.kind == "freeze" else "strategy", "in code", "in front",
        f"mean ÷ {answer.baseline}", "counted", "from", "to", "▲ / ▼ / = / ?",
    ]  # fmt: skip
    return Table(
        title=f"{answer.framework} {answer.mode}, {KINDS.get(answer.kind, answer.kind)}, phase "
        f"{answer.phase}",
        columns=columns,
        rows=[_row(answer, way) for way in ways if way],
        numbers=(2, 3, 4),
        folded=answer.mode not in ("eager", "jit") or (answer.framework, answer.mode) == UNUSUAL,
    )


UNUSUAL = ("jax", "eager")


def _row(answer: Answer, way: Way) -> Row:
    told = "write this" if way is answer.best else ""
    first = Cell(way.strategy, told, "best" if told else "")
    front = f"{way.front} of {way.groups}" if way.groups else NOTHING
    about = {"framework": answer.framework}
    code = Cell(code_of(answer.framework, way.strategy), "", "code")
    if not way.records:
        return Row([first, code, Cell(front), Cell("1"), *[Cell("")] * 4], about)
    verdicts = " / ".join(str(way.verdicts[v]) for v in (SLOWER, FASTER, EQUAL, INCONCLUSIVE))
    cells = [
        first,
        code,
        Cell(front),
        Cell(significant(way.middle or 1.0)),
        Cell(significant(way.counted) if way.counted else NOTHING),
        _placed(way.records[0]),
        _placed(way.records[-1]),
        Cell(verdicts if sum(way.verdicts.values()) else "no verdicts: too few launches"),
    ]
    return Row(cells, about)


def _placed(record: Record) -> Cell:
    where = f"{problem(record)}, {record['size']}"
    return Cell(f"{ratio_text(record['ratio'])} ({where})", record["phase"])


def by_network(records: Sequence[Record], summaries: dict[str, str]) -> Table:
    """Each scenario: what to write in torch and in jax, and what the other ways cost there.

    At the largest size that was measured, in the mode that is used most.
    """
    keys = ("scenario", "variant", "kind")
    names = dict.fromkeys(tuple(record[key] for key in keys) for record in records)
    rows = [
        _network(
            [r for r in records if tuple(r[key] for key in keys) == name],
            summaries.get(name[0], ""),
        )
        for name in names
    ]
    return Table(
        title="Network by network, at the largest size measured",
        columns=["network", "", "in torch", "in jax"],
        rows=[row for row in rows if row],
        about="The way in front, then the others: ratio [interval] verdict (ratio of FLOPs). "
        "▲ slower, ▼ faster, = equal within the margin, ? inconclusive.",
    )


def _network(records: Sequence[Record], summary: str) -> Row:
    top = largest(records)
    found = {answer.framework: answer for answer in usual(answers(top))}
    first = records[0]
    name = Cell(problem(first), summary)
    phases = ", ".join(dict.fromkeys(answer.phase for answer in found.values()))
    what = Cell(f"{KINDS.get(first['kind'], first['kind'])}, {top[0]['size']}, phase {phases}")
    cells = [_told(found.get(framework)) for framework in ("torch", "jax")]
    return Row([name, what, *cells], {"scenario": first["scenario"]})


def _told(answer: Answer | None) -> Cell:
    if answer is None:
        return Cell(NOTHING, "not measured, or nothing to compare", "missing")
    best, others = answer.best, [_others(way) for way in answer.others if way.records]
    write = "not told" if best is None else _others(best) if best.records else best.strategy
    return Cell("; ".join([write, *others]))


def _others(way: Way) -> str:
    """The ratio in the middle of those there are, with its verdict."""
    record = way.records[len(way.records) // 2]
    mark, predicted = MARKS.get(record["verdict"]), record["predicted_ratio"]
    counted = f"({significant(predicted)})" if predicted else ""
    told = [way.strategy, ratio_text(record["ratio"]), mark, counted]
    return " ".join(filter(None, told))
