"""Group records by the question that they answer, and recommend a way for each question.

The questions are those that people ask: how to write the backward pass of networks in series, how
to freeze a part, and how to lock one network while another takes its turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from results.grouping import group_by
from results.records.record import AnyRecord
from results.report.ranking import (
    Recommendation,
    StrategySummary,
    first_of_each,
    largest_size_of_each_scenario,
    recommend,
)
from results.report.vocabulary import FREEZE


class Topic(NamedTuple):
    """Hold a question: its title, and the baseline that its times are divided by."""

    title: str
    baseline: str


SERIES, FREEZING, TURNS = "series", "freezing", "turns"
TOPICS = {
    SERIES: Topic("Networks in series, a loss after each", "one backward pass of the summed loss"),
    FREEZING: Topic("Freezing a part of the network", "a training step with nothing frozen"),
    TURNS: Topic("Taking turns, one network locked", "a training step with nothing locked"),
}


@dataclass(frozen=True)
class TopicAnswer:
    """Hold the recommendation for one question in one framework, at the sizes that were chosen.

    Attributes:
        topic: a key of `TOPICS`.
        recommendation: the best way and the others, with their records.
    """

    topic: str
    recommendation: Recommendation

    @property
    def framework(self) -> str:
        """Return the framework that this answer is about."""
        return self.recommendation.framework

    @property
    def ways(self) -> list[StrategySummary]:
        """Return every way with a ratio but the baseline, fastest first."""
        one = self.recommendation
        ways = [*([one.best] if one.best else []), *one.others]
        timed = [way for way in ways if way.records and way.strategy != one.baseline]
        return sorted(timed, key=lambda way: way.mean_ratio or 1.0)


def topic_of(record: AnyRecord) -> str:
    """Return the question that a record helps to answer, a key of `TOPICS`.

    Freezing in an alternating training belongs to `TURNS`, other freezing to `FREEZING`, and all
    the rest to `SERIES`.
    """
    if record["kind"] != FREEZE:
        return SERIES
    return TURNS if record["family"] == "alternation" else FREEZING


def answers(records: Iterable[AnyRecord]) -> list[TopicAnswer]:
    """Return the answers at the largest size of each scenario, by question and framework.

    Each is for the usual mode of the framework and the first phase that was timed: the backward
    pass alone where there is one. A question without a second way to compare has no answer.
    """
    return answers_at(largest_size_of_each_scenario(records))


def answers_at(records: Iterable[AnyRecord]) -> list[TopicAnswer]:
    """Return the answers that these records give, as `answers` does, whatever their sizes."""
    by_topic = group_by(records, topic_of)
    topic_answers = [
        TopicAnswer(topic, one)
        for topic in TOPICS
        for one in first_of_each(recommend(by_topic.get(topic, [])))
    ]
    return sorted(
        [one for one in topic_answers if one.ways],
        key=lambda one: (list(TOPICS).index(one.topic), one.framework != "torch"),
    )


def ratio_range(ways: Iterable[StrategySummary]) -> tuple[float, float] | None:
    """Return the lowest and the highest ratio to the baseline of these ways; None without any."""
    ratios = [record["ratio"]["estimate"] for way in ways for record in way.records]
    return (min(ratios), max(ratios)) if ratios else None


def of_strategy(answers: Sequence[TopicAnswer], topic: str, name: str) -> list[StrategySummary]:
    """Return a strategy's summaries, one for each framework that has it, for one question."""
    return [
        way for one in answers if one.topic == topic for way in one.ways if way.strategy == name
    ]
