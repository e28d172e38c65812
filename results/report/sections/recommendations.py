"""Build the tables of recommendations: what to write, and the costs of all other strategies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.formatting import NOTHING, ratio_text, significant
from results.grouping import group_by, group_by_fields
from results.records.record import AnyRecord
from results.report.model import Cell, Row, Section, Table
from results.report.ranking import (
    Recommendation,
    StrategySummary,
    first_of_each,
    largest_size,
    largest_size_of_each_scenario,
    recommend,
)
from results.report.record_cells import network_name, ratio_summary
from results.report.vocabulary import FAMILIES, FREEZE, KINDS, USUAL_MODES, code_of
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


def blocks(records: Sequence[AnyRecord], summaries: Mapping[str, str]) -> list[Any]:
    """Return the blocks on what to write: an explanation, and a section for each scenario family.

    Args:
        records: the newest records of one machine.
        summaries: the name of a scenario → its description, in a line.
    """
    largest = largest_size_of_each_scenario(records)
    members = group_by(largest, lambda record: str(record["family"]))
    families = dict.fromkeys(record["family"] for record in records)
    return [[IN_FRONT], *(_family(name, members[name], summaries) for name in families)]


def _family(name: str, records: Sequence[AnyRecord], summaries: Mapping[str, str]) -> Section:
    """Return the section of one family: a table a recommendation, then one network by network.

    Args:
        name: the family, such as ``cascade``.
        records: its records, at the largest size of each scenario.
        summaries: the name of a scenario → its description, in a line.
    """
    tables = [_table(recommendation) for recommendation in recommend(records)]
    title = FAMILIES.get(name, name)
    return Section(f"write-{name}", title, [*tables, _table_by_network(records, summaries)])


def _table(recommendation: Recommendation) -> Table:
    """Return the table of all strategies in one framework, mode, kind and phase."""
    one = recommendation
    summaries = [one.best, *one.others] if one.best else list(one.others)
    columns = [
        "recipe" if one.kind == FREEZE else "strategy",
        "in code",
        "in front",
        f"mean ÷ {one.baseline}",
        "counted",
        "from",
        "to",
        "▲ / ▼ / = / ?",
    ]
    return Table(
        title=f"{one.framework} {one.mode}, {KINDS.get(one.kind, one.kind)}, phase {one.phase}",
        columns=columns,
        rows=[_row(one, summary) for summary in summaries],
        numbers=(2, 3, 4),
        folded=USUAL_MODES.get(one.framework) != one.mode,
    )


def _row(recommendation: Recommendation, summary: StrategySummary) -> Row:
    """Return the row of one strategy in `_table`: code, ranking, mean and extreme ratios, verdicts.

    The strategy that the recommendation names as best is marked.
    """
    is_best = summary is recommendation.best
    filters = {"framework": recommendation.framework}
    front = f"{summary.front} of {summary.groups}" if summary.groups else NOTHING
    names = [
        Cell(summary.strategy, *(("write this", "best") if is_best else ())),
        Cell(code_of(recommendation.framework, summary.strategy), "", "code"),
        Cell(front),
    ]
    if not summary.records:  # the baseline, or a strategy without a ratio
        return Row([*names, Cell("1"), *[Cell("")] * 4], filters)
    counts = [str(summary.verdicts[name]) for name in (SLOWER, FASTER, EQUAL, INCONCLUSIVE)]
    judged = sum(summary.verdicts.values())
    predicted = summary.mean_predicted_ratio
    cells = [
        *names,
        Cell(significant(summary.mean_ratio or 1.0)),
        Cell(significant(predicted) if predicted else NOTHING),
        _extreme(summary.records[0]),
        _extreme(summary.records[-1]),
        Cell(" / ".join(counts) if judged else "no verdicts: too few launches"),
    ]
    return Row(cells, filters)


def _extreme(record: AnyRecord) -> Cell:
    """Return the cell of a strategy's lowest or highest ratio, and the network that has it.

    Args:
        record: the record with that ratio.
    """
    network = f"{network_name(record)}, {record['size']}"
    return Cell(f"{ratio_text(record['ratio'])} ({network})", record["phase"])


def _table_by_network(records: Sequence[AnyRecord], summaries: Mapping[str, str]) -> Table:
    """Return the table with a row for each network and a column for each framework.

    A field lists the recommended strategy and all others with their ratios, at the largest size and
    in the framework's usual mode.

    Args:
        summaries: the name of a scenario → its description, in a line.
    """
    networks = group_by_fields(records, ("scenario", "variant", "kind"))
    return Table(
        title="Network by network, at the largest size measured",
        columns=["network", "", "in torch", "in jax"],
        rows=[
            _network_row(members, summaries.get(name, ""))
            for (name, _, _), members in networks.items()
        ],
        about="The way in front, then the others: ratio [interval] verdict (ratio of FLOPs). "
        "▲ slower, ▼ faster, = equal within the margin, ? inconclusive.",
    )


def _network_row(records: Sequence[AnyRecord], summary: str) -> Row:
    """Return a network's row: its strategies with their ratios in torch and in jax.

    The figures are those of its largest size, in each framework's usual mode; the recommended
    strategy comes first.

    Args:
        records: all records of the network and one kind of cell.
        summary: the description of its scenario, shown as a note on the name; may be empty.
    """
    largest = largest_size(records)
    by_framework = {one.framework: one for one in first_of_each(recommend(largest))}
    first = records[0]
    kind = KINDS.get(first["kind"], first["kind"])
    phases = ", ".join(dict.fromkeys(one.phase for one in by_framework.values()))
    cells = [
        Cell(network_name(first), summary),
        Cell(f"{kind}, {largest[0]['size']}, phase {phases}"),
        *(_strategies_cell(by_framework.get(framework)) for framework in ("torch", "jax")),
    ]
    return Row(cells, {"scenario": first["scenario"]})


def _strategies_cell(recommendation: Recommendation | None) -> Cell:
    """Return the cell that lists all strategies of one network, the recommended one first."""
    if recommendation is None:
        return Cell(NOTHING, "not measured, or nothing to compare", "missing")
    best = recommendation.best
    others = [_strategy_text(one) for one in recommendation.others if one.records]
    first = "not told" if best is None else _strategy_text(best)
    return Cell("; ".join([first, *others]))


def _strategy_text(summary: StrategySummary) -> str:
    """Return a strategy's name with its median ratio, verdict and FLOPs: ``batched 1.20 ▲ (1.15)``.

    The baseline, which has no ratio, is named alone.
    """
    if not summary.records:
        return summary.strategy
    return f"{summary.strategy} {ratio_summary(summary.records[len(summary.records) // 2])}"
