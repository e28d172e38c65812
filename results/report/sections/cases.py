"""Build "your case": what to write and what else costs, by question, framework and size."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence

from results.formatting import rounded_ratio, seconds_text
from results.grouping import group_by
from results.records.record import AnyRecord
from results.report.collection import Machine
from results.report.model import Case, Cases, Cell, Code, Paragraph, Row, Table
from results.report.questions import SERIES, TOPICS, TopicAnswer, answers_at, topic_of
from results.report.ranking import largest_size
from results.report.record_cells import network_name
from results.report.snippets import snippet
from results.report.vocabulary import (
    FRAMEWORK_NAMES,
    USUAL_MODES,
    WITH_CONVOLUTIONS,
    layers_of,
    size_rank,
)
from results.ways import JOINT, way_title

MASKED = (
    " optax.masked alone does not freeze: what it leaves out gets its raw gradient as its update. "
    "The way timed here adds set_to_zero for the frozen part, which does."
)


def cases(machine: Machine) -> Cases | None:
    """Return a case for each question, framework and size that was measured; None without any."""
    by_size = group_by(machine.records, lambda record: str(record["size"]))
    sizes = sorted(by_size, key=size_rank, reverse=True)
    answers = [(size, one, by_size[size]) for size in sizes for one in answers_at(by_size[size])]
    if not answers:
        return None
    answers.sort(key=lambda case: list(TOPICS).index(case[1].topic))
    fields = {
        "question": {topic: TOPICS[topic].title for _, one, _ in answers for topic in [one.topic]},
        "framework": {
            one.framework: FRAMEWORK_NAMES.get(one.framework, one.framework)
            for _, one, _ in answers
        },
        "size": {size: size for size in sizes if any(size == case[0] for case in answers)},
    }
    all_cases = [_case(size, one, records, machine.records) for size, one, records in answers]
    return Cases("case", "Your case", fields, all_cases)


def _case(
    size: str,
    topic_answer: TopicAnswer,
    records: Sequence[AnyRecord],
    everything: Sequence[AnyRecord],
) -> Case:
    """Return the page's card that answers one question in one framework at one size.

    Args:
        records: all records of this size.
        everything: the records of all sizes, for the table.
    """
    best = topic_answer.recommendation.best
    return Case(
        {"question": topic_answer.topic, "framework": topic_answer.framework, "size": size},
        _about(topic_answer, _of_topic(topic_answer, records)),
        snippet(topic_answer.framework, best.strategy) if best else "",
        _table(topic_answer, size, _of_topic(topic_answer, everything)),
        _rerun(best.strategy if best else None, _of_topic(topic_answer, records)),
    )


def _rerun(best: str | None, records: Sequence[AnyRecord]) -> str:
    """Return the command that measures a cell of the recommended way again, else of any way."""
    chosen = [record for record in records if record["strategy"] == best] or records
    return str(chosen[-1]["rerun"] or "") if chosen else ""


def _of_topic(topic_answer: TopicAnswer, records: Sequence[AnyRecord]) -> list[AnyRecord]:
    """Return the records that answer the same question in the same framework and mode."""
    mode = topic_answer.recommendation.mode
    return [
        record
        for record in records
        if topic_of(record) == topic_answer.topic
        and (record["framework"], record["mode"]) == (topic_answer.framework, mode)
    ]


def _about(topic_answer: TopicAnswer, records: Sequence[AnyRecord]) -> Paragraph:
    """Return what to write, in how many groups it is in front, and whether gradients were right."""
    best = topic_answer.recommendation.best
    wrong = [record for record in records if record["outcome"] == "wrong_gradients"]
    timed = sum(record["outcome"] == "ok" for record in records)
    checked = f"Gradients were right in all {timed} cells of this choice that were timed."
    if wrong:
        names = ", ".join(sorted({way_title(record["strategy"]) for record in wrong}))
        checked = f"Gradients were wrong in {len(wrong)} cells, which have no time: {names}."
    mode = topic_answer.recommendation.mode
    usual = USUAL_MODES.get(topic_answer.framework) == mode
    run = "" if usual else f" In mode {mode}."
    if best is None:
        return [f"No way can be recommended: none has an interval to compare with.{run} {checked}"]
    front = f", among the fastest in {best.front} of {best.groups} networks.{run} {checked}"
    masked = MASKED if topic_answer.framework == "jax" and topic_answer.topic != SERIES else ""
    name, joint, words = way_title(best.strategy).partition(JOINT)
    return ["Write ", Code(name), joint + words + front + masked]


def _table(topic_answer: TopicAnswer, size: str, of_all_sizes: Sequence[AnyRecord]) -> Table:
    """Return the table of the ways of a case: a row for each network, a column for each way.

    Args:
        of_all_sizes: the records of the question, framework and mode at every size.
    """
    best, baseline = topic_answer.recommendation.best, topic_answer.recommendation.baseline
    ways = [way.strategy for way in topic_answer.ways]
    networks: dict[str, dict[str, AnyRecord]] = {}
    for way in topic_answer.ways:
        for record in way.records:
            networks.setdefault(network_name(record), {})[way.strategy] = record
    rows = [
        Row(
            [
                Cell(name, kind="code"),
                *(_ratio(by_way.get(way), way == (best and best.strategy)) for way in ways),
            ]
        )
        for name, by_way in sorted(networks.items(), key=lambda item: _natural(item[0]))
    ]
    title = f"Time of each way ÷ {way_title(baseline)}, size {size}"
    columns = ["network", *map(way_title, ways)]
    about = (
        f"1 is {TOPICS[topic_answer.topic].baseline}; below 1 is faster. ± is half the 95 % "
        "interval. Green: faster, red: slower, bold: equal, grey: inconclusive."
    )
    texts = [about, _with_convolutions(networks), _other_sizes(networks, size, of_all_sizes)]
    about = " ".join(filter(None, texts))
    return Table(title, columns, rows, numbers=range(1, len(columns)), about=about)


def _with_convolutions(networks: Iterable[str]) -> str:
    """Return which of these networks hold convolutions; empty where none of them does."""
    names = sorted({n.partition(" ")[0] for n in networks if layers_of(n) == WITH_CONVOLUTIONS})
    return f"{WITH_CONVOLUTIONS.capitalize()}: {', '.join(names)}." if names else ""


def _other_sizes(networks: Collection[str], size: str, of_all_sizes: Sequence[AnyRecord]) -> str:
    """Return how many networks of the question were not timed at this size, and where they were.

    Args:
        networks: those that were timed at this size.
        size: the size of the case.
        of_all_sizes: the records of the question, framework and mode at every size.

    Returns:
        A sentence; empty where every network was timed at this size.
    """
    timed = [record for record in of_all_sizes if record["ratio"]]
    others = group_by(
        (record for record in timed if network_name(record) not in networks), network_name
    )
    if not others:
        return ""
    tops = Counter(largest_size(members)[0]["size"] for members in others.values())
    places = ", ".join(
        f"of {count} other{'s' * (count > 1)} is {top}" for top, count in tops.most_common()
    )
    total = len(networks) + len(others)
    return f"Timed at {size}: {len(networks)} of {total} networks; the largest size {places}."


def _natural(name: str) -> list[tuple[str, int]]:
    """Return a sort key by which ``n2`` stands before ``n16``."""
    return [(text, int(part or 0)) for text, part in re.findall(r"(\D+)(\d*)", name)]


def _ratio(record: AnyRecord | None, is_best: bool) -> Cell:
    """Return the cell of a way on a network: its ratio, styled by its verdict.

    Args:
        is_best: whether the way is the recommended one, which the note then says.
    """
    if record is None:
        return Cell("", "not measured for this network", "missing")
    verdict = record["verdict"] or ""
    seconds = record["seconds"] or {}
    note = f"{verdict or 'no verdict'}; {seconds_text(seconds.get('estimate'))} a call"
    return Cell(rounded_ratio(record["ratio"]), note + ("; recommended" * is_best), verdict)
