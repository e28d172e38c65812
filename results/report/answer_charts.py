"""Draw the pictures of the first screen: the ways of a question on an axis of relative time.

Each way has a line. A small dot is one network, with its interval; the large dot is the geometric
mean over the networks. The way to write has the framework's colour, the others are grey.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from results.grouping import group_by
from results.report.drawing import FACTOR_LABELS, FRAMEWORK_COLOURS, Mark, record_mark
from results.report.model import Chart
from results.report.questions import TOPICS, TopicAnswer
from results.report.ranking import StrategySummary
from results.report.vocabulary import FRAMEWORK_NAMES, PRICES, code_of
from results.ways import way_title

WIDTH, LINE = 256, 18  # pixels: of the plot without its labels, and of a line
LABELS_WIDTH = 268  # pixels, the same in every panel, so that their axes stand below each other
GREY = "#7d8590"  # readable on white and on black
TICKS = (0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32, 64)
FINE_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.3, 1.5, 1.7, 2)  # of a short axis


def common_domain(topic_answers: Sequence[TopicAnswer]) -> tuple[float, float]:
    """Return the ends of an axis that holds the interval of every ratio, and 1."""
    return domain_of(
        record["ratio"] for one in topic_answers for way in one.ways for record in way.records
    )


def domain_of(ratios: Iterable[Mapping[str, Any]]) -> tuple[float, float]:
    """Return the ends of an axis that holds the intervals of these ratios, and 1."""
    ends = [1.0]
    for ratio in ratios:
        ends += [ratio[key] for key in ("low", "estimate", "high") if ratio[key]]
    return 0.9 * min(ends), 1.1 * max(ends)


def panel_chart(topic_answer: TopicAnswer, domain: tuple[float, float]) -> Chart:
    """Return the chart of one question in one framework.

    Args:
        domain: the ends of the axis, lowest first.
    """
    title = f"{TOPICS[topic_answer.topic].title}, {topic_answer.framework}"
    about = f"Time relative to {TOPICS[topic_answer.topic].baseline}."
    name = f"answer-{topic_answer.topic}-{topic_answer.framework}"
    return Chart(name, title, about, lambda: _specification(topic_answer, domain, about))


def picture(topic_answers: Sequence[TopicAnswer], domain: tuple[float, float], title: str) -> Chart:
    """Return the panels of all questions as one chart, for files and for other pages.

    Args:
        domain: the ends of the axis, lowest first.
        title: of the whole picture: what it shows.
    """
    about = "Time of each way relative to the baseline of its question, in both frameworks."
    return Chart("answer", title, about, lambda: _picture_specification(topic_answers, domain))


def _picture_specification(
    topic_answers: Sequence[TopicAnswer], domain: tuple[float, float]
) -> dict[str, Any]:
    """Return the Vega-Lite specification of the picture: a row for each question."""
    rows = []
    datasets: dict[str, Any] = {}  # must stand at the top of a specification
    for topic, members in group_by(topic_answers, lambda one: one.topic).items():
        title = f"{TOPICS[topic].title} (time ÷ {TOPICS[topic].baseline})"
        panels = [_titled_panel(one, domain) for one in members]
        for panel in panels:
            datasets |= panel.pop("datasets")
        rows.append({"hconcat": panels, "title": {"text": title, "anchor": "start", "offset": 8}})
    return {"vconcat": rows, "spacing": 24, "datasets": datasets}


def _titled_panel(topic_answer: TopicAnswer, domain: tuple[float, float]) -> dict[str, Any]:
    """Return a panel below a title: the framework, and the line of code to write."""
    best = topic_answer.recommendation.best
    code = code_of(topic_answer.framework, best.strategy) if best else "nothing can be recommended"
    name = FRAMEWORK_NAMES.get(topic_answer.framework, topic_answer.framework)
    title = {"text": f"{name}: {code}", "anchor": "start", "fontWeight": "normal", "fontSize": 12}
    return _specification(topic_answer, domain, "") | {"title": title}


def panel_marks(topic_answer: TopicAnswer) -> list[Mark]:
    """Return a mark for each ratio of each way, the baseline first among equals.

    Each has the fields of `record_mark`, and ``label`` and ``best``, whether to recommend the way.
    """
    return [
        record_mark(record)
        | {"label": way_label(topic_answer, way), "best": _is_best(topic_answer, way)}
        for way in _drawn(topic_answer)
        for record in way.records
    ]


def mean_marks(topic_answer: TopicAnswer) -> list[Mark]:
    """Return a mark for the geometric mean of each way, and one for the baseline at 1."""
    baseline = topic_answer.recommendation.baseline
    best = topic_answer.recommendation.best
    marks = [
        {
            "label": way_label(topic_answer, way),
            "mean": way.mean_ratio,
            "best": _is_best(topic_answer, way),
        }
        for way in _drawn(topic_answer)
    ]
    marks.append(
        {
            "label": way_title(baseline),
            "mean": 1.0,
            "best": bool(best and best.strategy == baseline),
        }
    )
    return sorted(marks, key=lambda mark: float(mark["mean"]))


def way_label(topic_answer: TopicAnswer, way: StrategySummary) -> str:
    """Return the name of a way; with a count where it was timed on fewer networks than others.

    The mean of such a way is over other networks, so that it does not compare with the rest.
    """
    most = max(len(other.records) for other in topic_answer.ways)
    count = len(way.records)
    return way_title(way.strategy) + (f" ({count} of {most})" if count < most else "")


def _drawn(topic_answer: TopicAnswer) -> list[StrategySummary]:
    """Return the ways of a panel: those that somebody might take, or all if there is no such."""
    ways = topic_answer.ways
    return [way for way in ways if way.strategy not in PRICES] or ways


def _is_best(topic_answer: TopicAnswer, way: Any) -> bool:
    """Return whether this way is the recommended one."""
    return topic_answer.recommendation.best is way


def _specification(
    topic_answer: TopicAnswer, domain: tuple[float, float], about: str
) -> dict[str, Any]:
    """Return the Vega-Lite specification of a panel, of a fixed width."""
    return specification(
        panel_marks(topic_answer), mean_marks(topic_answer), topic_answer.framework, domain, about
    )


def specification(
    marks: Sequence[Mark],
    means: Sequence[Mark],
    framework: str,
    domain: tuple[float, float],
    about: str,
) -> dict[str, Any]:
    """Return the Vega-Lite specification of ways on an axis of relative time, of a fixed width.

    Args:
        marks: small dots with intervals: ``label``, ``best``, ``low``, ``ratio`` and ``high``.
        means: large dots, the fastest first: ``label``, ``best`` and ``mean``.
        framework: decides the colour of the best.
        domain: the ends of the axis, lowest first.
        about: the description of the chart, for readers who cannot see it.
    """
    import altair as alt

    order = [mark["label"] for mark in sorted(means, key=lambda mark: float(mark["mean"]))]
    colour = FRAMEWORK_COLOURS.get(framework, GREY)
    colours = alt.condition("datum.best", alt.value(colour), alt.value(GREY))
    wide, fine = (
        [t for t in ticks if domain[0] <= t <= domain[1]] for ticks in (TICKS, FINE_TICKS)
    )
    ticks = wide if len(wide) > 2 else fine
    x_axis = alt.Axis(values=ticks, labelExpr=FACTOR_LABELS, title=None, grid=True)
    scale = alt.Scale(type="log", domain=list(domain), nice=False)
    y = alt.Y(
        "label:N",
        sort=order,
        title=None,
        axis=alt.Axis(labelLimit=LABELS_WIDTH, minExtent=LABELS_WIDTH, ticks=False),
    )

    def x(field: str) -> alt.X:
        return alt.X(f"{field}:Q", scale=scale, axis=x_axis)

    networks = alt.Chart(alt.InlineData(values=list(marks))).encode(y=y, color=colours)
    bars = networks.mark_rule(opacity=0.45).encode(x=x("low"), x2="high:Q")
    dots = networks.mark_point(filled=True, size=16, opacity=0.55).encode(x=x("ratio"))
    centre = alt.Chart(alt.InlineData(values=list(means))).encode(y=y, x=x("mean"), color=colours)
    centres = centre.mark_point(filled=True, size=95, opacity=1)
    line = alt.Chart(alt.InlineData(values=[{"one": 1}])).mark_rule(strokeDash=[3, 3], color=GREY)
    spec: dict[str, Any] = alt.layer(line.encode(x=x("one")), bars, dots, centres).to_dict()
    spec.pop("config", None)
    return spec | {"width": WIDTH, "height": LINE * len(order), "description": about}
