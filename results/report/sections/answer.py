"""Build the first screen of a report: a headline, a picture for each question, and five facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from results.formatting import significant
from results.records import canary_status
from results.records.record import AnyRecord
from results.report import answer_charts
from results.report.collection import Machine
from results.report.losses import growth
from results.report.model import Answer, Fact, Panel, Question
from results.report.questions import (
    FREEZING,
    SERIES,
    TOPICS,
    TopicAnswer,
    answers,
    of_strategy,
    ratio_range,
)
from results.report.ranking import StrategySummary
from results.report.vocabulary import FRAMEWORK_NAMES, SEPARATE, code_of
from results.statistics.verdict import INCONCLUSIVE
from results.ways import way_title

_VERSIONS = ("torch", "jax", "flax", "optax")
KEY = (
    "Large dots: mean over the networks; small ones: one network each, with its 95 % interval; in "
    "colour: what to write. (2 of 7): timed on fewer networks alone."
)
# what to write, as the end of a sentence
PHRASES = {
    "summed": "sum the losses",
    "multi_root": "run one backward pass from all losses",
    "boundary_split": "cut the graph between the networks",
    "requires_grad_false": "call requires_grad_(False)",
    "no_grad_forward": "run the frozen part under no_grad",
    "grad_of_trainable": "differentiate by the trained part alone",
    "stop_gradient": "put stop_gradient on the frozen parameters",
    "partition": "use optax.partition with set_to_zero",
}


def answer(machine: Machine) -> Answer:
    """Return the first screen on one machine."""
    topic_answers = answers(machine.records)
    first, more = headline(machine, topic_answers)
    domain = answer_charts.common_domain(topic_answers)
    return Answer(
        first,
        more,
        _about(machine),
        _questions(topic_answers, domain),
        facts(machine),
        answer_charts.picture(topic_answers, domain, first) if topic_answers else None,
        KEY,
    )


def headline(machine: Machine, topic_answers: Sequence[TopicAnswer]) -> tuple[str, str]:
    """Return the main result in a sentence or two, computed from the verdicts.

    Where a canary failed or gradients are wrong, the headline says that instead. The second
    sentence may be empty.
    """
    if any(canary_status.failed(run.settings) for run in machine.runs):
        return "Do not use these figures: the clock misread work of known length.", ""
    wrong = sum(record["outcome"] == "wrong_gradients" for record in machine.records)
    if wrong:
        return f"Wrong gradients in {wrong} of {len(machine.records)} cells: see the failures.", ""
    series = _series_sentence(topic_answers, machine.losses)
    sentences = [s for s in (series, _freezing_sentence(topic_answers)) if s]
    first, *more = sentences or [_why_no_advice(machine.records)]
    return first, "".join(more)


def _why_no_advice(records: Sequence[AnyRecord]) -> str:
    """Return in a sentence why no way is recommended: what was timed has none, or too few times."""
    ratios = [r["ratio"] for r in records if r["ratio"] and r["strategy"] != r["baseline"]]
    if not ratios:
        return "Nothing was timed here that has two ways to compare."
    if all(ratio["low"] is None for ratio in ratios):
        return (
            "No way can be recommended yet: without an interval a ratio may be noise, and an "
            "interval takes 6 launches (--launches 6)."
        )
    return "No way can be recommended: what was timed does not tell the ways apart."


def _series_sentence(topic_answers: Sequence[TopicAnswer], losses: Mapping[str, int]) -> str:
    """Return the sentence on networks in series, with what a pass for each loss costs.

    Args:
        losses: "scenario/variant" → number of its losses, by which that cost grows.
    """
    advice = _advice(topic_answers, SERIES)
    if not advice:
        return ""
    separate = of_strategy(topic_answers, SERIES, SEPARATE)
    cost = ratio_range(separate)
    if cost is None:
        return f"{_capital(advice)}."
    times = f"a backward pass for each loss takes {_times(cost)} as long"
    return f"{_capital(advice)}: {times}{_growth_clause(separate, losses)}."


def _growth_clause(separate: Sequence[StrategySummary], losses: Mapping[str, int]) -> str:
    """Return how the cost of a pass for each loss grows with their number, as a clause.

    It names the mean ratio at the smallest and at the largest number. Empty where one number was
    measured, or where the cost does not grow.
    """
    means = growth((record for way in separate for record in way.records), losses)
    if len(means) < 2 or means[0].mean >= means[-1].mean:
        return ""
    few, many = means[0], means[-1]
    return (
        f", more with more losses: on average ×{significant(few.mean, 2)} with {few.losses}, "
        f"×{significant(many.mean, 2)} with {many.losses}"
    )


def _freezing_sentence(topic_answers: Sequence[TopicAnswer]) -> str:
    """Return the sentence on freezing a part, with what the recommended ways save."""
    advice = _advice(topic_answers, FREEZING)
    if not advice:
        return ""
    bests = [one.recommendation.best for one in topic_answers if one.topic == FREEZING]
    cost = ratio_range(best for best in bests if best)
    share = f": {_times(cost)} the time of a step with nothing frozen" if cost else ""
    return f"To freeze a part for good, {advice}{share}."


def _advice(topic_answers: Sequence[TopicAnswer], topic: str) -> str:
    """Return what to write, for both frameworks at once where it is the same in both."""
    best = {
        FRAMEWORK_NAMES.get(one.framework, one.framework): one.recommendation.best.strategy
        for one in topic_answers
        if one.topic == topic and one.recommendation.best
    }
    phrases = {name: PHRASES.get(way, f"use {way}") for name, way in best.items()}
    if len(set(phrases.values())) == 1:
        return next(iter(phrases.values()))
    return ", ".join(f"{phrase} in {name}" for name, phrase in phrases.items())


def _capital(text: str) -> str:
    """Return the text with a capital first letter."""
    return text[:1].upper() + text[1:]


def _times(ends: tuple[float, float]) -> str:
    """Return a range of ratios in words: ``1.0 to 8.7 times``."""
    low, high = (significant(end, 2) for end in ends)
    return f"{low} times" if low == high else f"{low} to {high} times"


def _about(machine: Machine) -> str:
    """Return in one line what was measured, on what, and when."""
    about, newest = machine.newest.machine, machine.newest
    cores = f"{about['cores']} cores" if about.get("cores") is not None else ""
    versions = ", ".join(f"{name} {about[name]}" for name in _VERSIONS if about.get(name))
    parts = [about.get("cpu") or "unknown processor", cores, about.get("gpu"), versions]
    return ", ".join(str(part) for part in parts if part) + (
        f". Measured {newest.started[:10]}, each network at its largest size."
    )


def _questions(topic_answers: Sequence[TopicAnswer], domain: tuple[float, float]) -> list[Question]:
    """Return the questions that have an answer, each with a panel for every framework.

    Args:
        domain: the ends of the axis, the same in every panel.
    """
    return [
        Question(
            topic,
            TOPICS[topic].title,
            TOPICS[topic].baseline,
            [_panel(one, domain) for one in topic_answers if one.topic == topic],
        )
        for topic in TOPICS
        if any(one.topic == topic for one in topic_answers)
    ]


def _panel(topic_answer: TopicAnswer, domain: tuple[float, float]) -> Panel:
    """Return the panel of one question and framework.

    Args:
        domain: the ends of the axis, the same in every panel.
    """
    best = topic_answer.recommendation.best.strategy if topic_answer.recommendation.best else ""
    return Panel(
        FRAMEWORK_NAMES.get(topic_answer.framework, topic_answer.framework),
        way_title(best) if best else "",
        code_of(topic_answer.framework, best) if best else "",
        _figures(topic_answer),
        answer_charts.panel_chart(topic_answer, domain),
    )


def _figures(topic_answer: TopicAnswer) -> str:
    """Return the ratios of a panel in words: each way with its range over the networks."""
    ranges = [(way, ratio_range([way])) for way in topic_answer.ways]
    texts = [f"{way_title(way.strategy)} {_times(ends)}" for way, ends in ranges if ends]
    return f"Time relative to {TOPICS[topic_answer.topic].baseline}: {'; '.join(texts)}."


def facts(machine: Machine) -> list[Fact]:
    """Return the strip of facts: gradients, comparisons, canaries, noise, and how to reproduce."""
    return [
        _gradients(machine.records),
        _comparisons(machine.records),
        _canaries(machine),
        Fact(f"{len(machine.runs)}", _runs(machine), section="absent"),
        Fact("pytest benchmarks --benchmark-only", "measures it again", "code"),
    ]


def _runs(machine: Machine) -> str:
    """Return what the number of runs counts, and how many cells have no time."""
    absent = sum(record["outcome"] != "ok" for record in machine.records)
    lacking = f"; {absent} cells have no time: why" if absent else ""
    return f"run{'s' * (len(machine.runs) > 1)} on one machine{lacking}"


def _gradients(records: Sequence[AnyRecord]) -> Fact:
    """Return in how many of the cells that were checked the gradients are right."""
    outcomes = Counter(record["outcome"] for record in records)
    right, wrong = outcomes["ok"], outcomes["wrong_gradients"]
    about = "timed cells have right gradients"
    return Fact(f"{right} of {right + wrong}", about, "bad" if wrong else "good", "gradients")


def _comparisons(records: Sequence[AnyRecord]) -> Fact:
    """Return how many comparisons with a baseline are decided."""
    verdicts: Mapping[str, int] = Counter(r["verdict"] for r in records if r["verdict"])
    total = sum(verdicts.values())
    decided = total - verdicts.get(INCONCLUSIVE, 0)
    about = "comparisons are decided: faster, slower or equal"
    return Fact(f"{decided} of {total}", about, section="cells")


def _canaries(machine: Machine) -> Fact:
    """Return whether work of known length was read right in every run."""
    failed = sum(bool(canary_status.failed(run.settings)) for run in machine.runs)
    took = sum(canary_status.summary(run.settings) is not None for run in machine.runs)
    if failed:
        return Fact(f"{failed} of {took}", "runs misread work of known length", "bad", "belief")
    about = "runs read work of known length right"
    return Fact(f"{took} of {len(machine.runs)}", about, "good" if took else "", "belief")
