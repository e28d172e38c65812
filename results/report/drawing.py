"""Provide what all charts share: data, tooltip, filters and sizes.

Charts are made with Altair and passed on as plain Vega-Lite dictionaries. Colours of text and axes,
and fonts, come from the page, which has a light and a dark scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

from results.formatting import (
    bytes_text,
    flops_text,
    ratio_text,
    seconds_text,
    share_text,
    significant,
)
from results.records.limits import predicted_ratio
from results.records.record import AnyRecord
from results.report.model import FILTERS, Chart
from results.report.record_cells import framework_and_mode, network_name
from results.report.vocabulary import size_rank
from results.ways import way_title

if TYPE_CHECKING:
    import altair

Mark = dict[str, Any]  # the data of one mark of a chart: field → value
LINE_HEIGHT = 15  # pixels
FACTOR_LABELS = "'×' + format(datum.value, '~g')"
# two of Okabe and Ito's colours (2008): distinct for colour-blind readers, on white and on black
FRAMEWORK_COLOURS = {"torch": "#d55e00", "jax": "#0072b2"}
SHAPES = ("triangle-up", "cross", "diamond", "circle", "square", "triangle-down")  # as `SIZES`


def record_mark(record: AnyRecord) -> Mark:
    """Return the data of a record's mark in a chart: names, figures, and texts of its tooltip."""
    ratio, seconds = record["ratio"] or {}, record["seconds"] or {}
    predicted = predicted_ratio(record)
    return {
        "problem": network_name(record),
        "scenario": record["scenario"],
        "variant": record["variant"],
        "size": record["size"],
        "framework": record["framework"],
        "way": framework_and_mode(record),
        "strategy": record["strategy"],
        "named": way_title(record["strategy"]),
        "phase": record["phase"],
        "ratio": ratio.get("estimate"),
        "low": ratio.get("low"),
        "high": ratio.get("high"),
        "predicted": predicted,
        "verdict": record["verdict"] or "no verdict",
        "seconds": seconds.get("estimate"),
        "ratio_text": ratio_text(record["ratio"]),
        "predicted_text": significant(predicted) if predicted else "not counted",
        "time_text": seconds_text(seconds.get("estimate")),
        "flops_text": flops_text(record["flops"]),
        "reached_text": reached_text(record),
        "saved_text": bytes_text(record["residual_bytes"]),
    }


def reached_text(record: AnyRecord) -> str:
    """Return the share of its limit that a record reached; without a limit, that of the peak."""
    if record["limit_share"]:
        return f"{share_text(record['limit_share'])} of the limit"
    if record["peak_share"]:
        return f"{share_text(record['peak_share'])} of the peak of matrix products"
    return share_text(None)


# field of a mark → its title in the tooltip
TOOLTIP_TITLES = {
    "problem": "network",
    "size": "size",
    "way": "framework",
    "named": "written as",
    "phase": "phase",
    "ratio_text": "ratio [interval]",
    "predicted_text": "predicted ratio",
    "verdict": "verdict",
    "time_text": "time",
    "flops_text": "FLOPs",
    "reached_text": "reaches",
    "saved_text": "saved for backward",
}


def tooltip(titles: Mapping[str, str] = TOOLTIP_TITLES) -> list[altair.Tooltip]:
    """Return the tooltip of a mark.

    Args:
        titles: the fields of the mark to show → their titles.
    """
    import altair

    return [altair.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def filtered_chart(marks: Sequence[Mark]) -> altair.Chart:
    """Return a chart of these marks that obeys the filters of the page.

    The page sets a signal ``wanted_<field>`` for each of `FILTERS`; an empty one shows all marks.
    """
    import altair

    known = [name for name in FILTERS if marks and name in marks[0]]
    filters = [
        altair.FilterTransform(f"wanted_{name} == '' || datum.{name} == wanted_{name}")
        for name in known
    ]
    # given at once: each `transform_filter` would copy the chart with all of its marks
    chosen: dict[str, Any] = {"transform": filters} if filters else {}
    return altair.Chart(altair.InlineData(values=list(marks)), **chosen)


def chart_factory(make: Callable[..., tuple[Any, int]]) -> Callable[..., Chart]:
    """Decorate a function that draws marks, so that it returns a `Chart`.

    Args:
        make: a function of (marks, **options) that returns an Altair chart and its height in
            pixels.

    Returns:
        A function of (name, title, about, marks, **options). It calls ``make`` only when the
        specification of the chart is needed.
    """

    @wraps(make)
    def chart(name: str, title: str, about: str, marks: Sequence[Mark], **options: Any) -> Chart:
        return Chart(name, title, about, lambda: _specification(about, *make(marks, **options)))

    return chart


def _specification(about: str, chart: altair.TopLevelMixin, height: int) -> dict[str, Any]:
    """Return a chart as a Vega-Lite dictionary that fits the page: its width, height and filters.

    Args:
        about: the description of the chart, for readers who cannot see it.
        height: pixels.
    """
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("config", None)  # colours are the page's
    signals = [{"name": f"wanted_{field}", "value": ""} for field in FILTERS]
    return spec | {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [*signals, *spec.get("params", [])],
        "description": about,
    }


def height_of_lines(marks: Sequence[Mark], field: str, line_height: int = LINE_HEIGHT) -> int:
    """Return the height in pixels of a chart with a line for each different value of a field."""
    return line_height * len({mark[field] for mark in marks}) + 40


def framework_scale() -> altair.Scale:
    """Return the colour scale of frameworks, which is the same in every chart."""
    import altair

    names, colours = list(FRAMEWORK_COLOURS), list(FRAMEWORK_COLOURS.values())
    return altair.Scale(domain=names, range=colours)


def size_scale(marks: Iterable[Mark]) -> altair.Scale:
    """Return the scale of shapes for the sizes of these marks, which is the same in every chart."""
    import altair

    sizes = sorted({str(mark["size"]) for mark in marks}, key=lambda s: (size_rank(s), s))
    return altair.Scale(domain=sizes, range=[SHAPES[size_rank(s) % len(SHAPES)] for s in sizes])


def line_at_ratio_1(title: str | None = None) -> altair.Chart:
    """Return a dashed vertical line at ratio 1, with the axis of factors above the plot.

    Args:
        title: of the axis.
    """
    import altair

    data = altair.InlineData(values=[{"one": 1}])
    x = altair.X("one:Q", axis=factor_axis(title, orient="top"))
    return altair.Chart(data).mark_rule(strokeDash=[4, 3], opacity=0.6).encode(x=x)


def log_scale(marks: Sequence[Mark], *fields: str) -> altair.Scale:
    """Return a logarithmic scale that holds these fields of all marks, whatever a filter leaves.

    Without a fixed domain Vega takes that of the marks that are shown, of which there may be none.
    """
    import altair

    values = [mark[field] for mark in marks for field in fields if mark.get(field)]
    domain = [0.95 * min(values), 1.05 * max(values)] if values else [0.5, 2.0]
    return altair.Scale(type="log", nice=False, domain=domain)


def factor_axis(title: str | None, **options: Any) -> altair.Axis:
    """Return an axis that labels ratios as factors: ×0.5, ×1, ×2.

    Args:
        title: of the axis; None for none.
        options: of `altair.Axis`.
    """
    import altair

    return altair.Axis(title=title, labelExpr=FACTOR_LABELS, **options)
