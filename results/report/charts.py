"""Draw the charts of the report.

The page, the SVG and the PNG files share one specification a chart. Each function below takes the
marks of its chart; the decorator adds name, title and explanation, see `drawing.chart_factory`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.report.drawing import (
    Mark,
    chart_factory,
    factor_axis,
    filtered_chart,
    framework_scale,
    height_of_lines,
    line_at_ratio_1,
    log_scale,
    size_scale,
    tooltip,
)
from results.report.vocabulary import VERDICT_COLOURS
from results.report.way_marks import way_scales

# what a function below returns: an Altair chart and its height in pixels
Drawing = tuple[Any, int]
# an id such as 20261121T185417-922fdd as 11-21 18:54; any other name as it is
RUN_LABELS = (
    "test(/^\\d{8}T\\d{6}/, datum.value) ? slice(datum.value, 4, 6) + '-' +"
    " slice(datum.value, 6, 8) + ' ' + slice(datum.value, 9, 11) + ':' +"
    " slice(datum.value, 11, 13) : datum.value"
)
LEVEL_LABELS = 8  # runs whose names stand side by side on an axis


@chart_factory
def ratios(
    marks: Sequence[Mark],
    *,
    axis: str,
    colour: str = "named",
    colours: Mapping[str, str] | None = None,
) -> Drawing:
    """Draw the ratios and intervals of each network in one line, on a logarithmic axis.

    The axis stands above and below the lines, so that it can be read wherever one looks.

    Args:
        axis: the title of the axis.
        colour: the field of the marks that decides their colour: by default the way, which has a
            shape too.
        colours: the values of that field → their colours; needed for another field than the way.
    """
    import altair as alt

    chosen = alt.selection_point(fields=[colour], bind="legend", name="chosen")
    opacity = alt.condition(chosen, alt.value(1.0), alt.value(0.1))
    own = alt.Scale(domain=list(colours), range=list(colours.values())) if colours else None
    by_way, shapes = way_scales(marks)
    base = filtered_chart(marks).encode(
        y=alt.Y("line:N", title=None, sort=None, axis=alt.Axis(labelLimit=400)),
        color=alt.Color(f"{colour}:N", title=None, scale=own or by_way, sort=None),
        opacity=opacity,
        tooltip=tooltip(),
    )
    if not colours:  # several marks a line stand side by side
        base = base.encode(yOffset=alt.YOffset(f"{colour}:N", sort=None))
    # 1 is in it, where the dashed line stands
    scale = log_scale([*marks, {"ratio": 1.0}], "low", "ratio", "high", "predicted")
    dots = base.mark_point(filled=True, size=45).encode(
        x=alt.X("ratio:Q", scale=scale, axis=factor_axis(axis))
    )
    if not colours:
        dots = dots.encode(shape=alt.Shape("named:N", title=None, scale=shapes, sort=None))
    bars = base.mark_rule(strokeWidth=1.5).encode(x=alt.X("low:Q", axis=None), x2="high:Q")
    ticks = base.mark_tick(thickness=1.5, size=9, color="gray").encode(
        x=alt.X("predicted:Q", axis=None)
    )
    counted = [ticks] if any(mark["predicted"] for mark in marks) else []
    layers = [line_at_ratio_1(), bars, *counted, dots.add_params(chosen)]
    different = 1 if colours else len({mark[colour] for mark in marks})
    height = height_of_lines(marks, "line", 12 + 4 * min(different, 4))
    return alt.layer(*layers).resolve_axis(x="independent"), height


@chart_factory
def verdicts(marks: Sequence[Mark], *, lines: Sequence[str]) -> Drawing:
    """Draw how often each way was slower, equal, not told or faster, as a bar of counts.

    Args:
        marks: one for each comparison, with the fields ``line`` and ``verdict``.
        lines: the order of the lines.
    """
    import altair as alt

    order = list(VERDICT_COLOURS)
    scale = alt.Scale(domain=order, range=list(VERDICT_COLOURS.values()))
    ranked = [mark | {"rank": order.index(mark["verdict"])} for mark in marks]
    base = filtered_chart(ranked).encode(
        y=alt.Y("line:N", title=None, sort=list(lines), axis=alt.Axis(labelLimit=380)),
        x=alt.X(
            "count():Q",
            title="comparisons with the baseline",
            stack="zero",
            axis=alt.Axis(tickCount=8),
        ),
        color=alt.Color(
            "verdict:N", title=None, scale=scale, sort=order, legend=alt.Legend(columns=4)
        ),
        order=alt.Order("rank:Q"),
        tooltip=[
            alt.Tooltip("line:N", title="way"),
            alt.Tooltip("verdict:N", title="verdict"),
            alt.Tooltip("count():Q", title="comparisons"),
        ],
    )
    return base.mark_bar(height={"band": 0.75}), height_of_lines(marks, "line", 19)


@chart_factory
def half_widths(marks: Sequence[Mark]) -> Drawing:
    """Draw half the width of the interval of each ratio as a tick, a line a framework and size."""
    import altair as alt

    titles = {"problem": "network", "named": "written as", "line": "in", "half_text": "known to"}
    scale, axis = log_scale(marks, "half"), alt.Axis(labelExpr="'±' + format(datum.value, '~%')")
    base = (
        filtered_chart(marks)
        .mark_tick(thickness=2, opacity=0.7)
        .encode(
            x=alt.X("half:Q", title="half the interval of a ratio", scale=scale, axis=axis),
            y=alt.Y("line:N", title=None, sort=None, axis=alt.Axis(labelLimit=340)),
            color=alt.Color("framework:N", title=None, scale=framework_scale()),
            tooltip=tooltip(titles),
        )
    )
    return base, height_of_lines(marks, "line", 20)


@chart_factory
def predicted_ratios(marks: Sequence[Mark]) -> Drawing:
    """Draw measured against predicted ratios, both axes logarithmic.

    On the dashed diagonal the count of FLOPs predicts the ratio exactly.
    """
    import altair as alt

    chosen = alt.selection_point(fields=["named"], bind="legend", name="chosen")
    _, shapes = way_scales(marks)
    x_scale = log_scale(marks, "predicted")
    scale = log_scale(marks, "low", "ratio", "high", "predicted")  # the diagonal is drawn too
    x_axis, y_axis = factor_axis("predicted by counted FLOPs"), factor_axis("measured")
    base = filtered_chart(marks).encode(
        x=alt.X("predicted:Q", scale=x_scale, axis=x_axis),
        color=alt.Color("framework:N", title=None, scale=framework_scale()),
        opacity=alt.condition(chosen, alt.value(0.9), alt.value(0.08)),
        tooltip=tooltip(),
    )
    y = alt.Y("ratio:Q", scale=scale, axis=y_axis)
    dots = base.mark_point(filled=True, size=50).encode(
        y=y, shape=alt.Shape("named:N", title=None, scale=shapes, sort=None)
    )
    bars = base.mark_rule().encode(y=alt.Y("low:Q", axis=y_axis), y2="high:Q")
    ends = [mark["predicted"] for mark in marks]
    corner = alt.InlineData(values=[{"end": min(ends)}, {"end": max(ends)}])
    line = alt.Chart(corner).mark_line(strokeDash=[4, 3], opacity=0.6)
    diagonal = line.encode(x=alt.X("end:Q", axis=x_axis), y="end:Q", color=alt.value("gray"))
    layers = [diagonal, bars, dots.add_params(chosen)]
    return alt.layer(*layers), 340


@chart_factory
def heatmap(marks: Sequence[Mark], *, x: Sequence[str], y: str) -> Drawing:
    """Draw a field for each variant and line: the ratio as colour and as text.

    Args:
        x: the variants, in the order of the columns.
        y: the title of the lines.
    """
    import altair as alt

    base = filtered_chart(marks).encode(
        x=alt.X(
            "variant:N", title="stages, or depth ratio", sort=list(x), axis=alt.Axis(labelAngle=0)
        ),
        y=alt.Y("line:N", title=y, sort=None, axis=alt.Axis(labelLimit=340)),
        tooltip=tooltip(),
    )
    most = max(2.0, *_ratios(marks))  # at least 2, or noise alone would span all colours
    scale = alt.Scale(scheme="viridis", type="log", domain=[min(1.0, *_ratios(marks)), most])
    colour = alt.Color("ratio:Q", title="ratio", scale=scale, legend=None)
    fields = base.mark_rect().encode(color=colour)
    words = base.mark_text(fontWeight="bold").encode(
        text="short_text:N",
        color=alt.condition(f"datum.ratio > {most**0.6}", alt.value("black"), alt.value("white")),
    )
    height = 44 * len({mark["line"] for mark in marks}) + 50
    return alt.layer(fields, words), height


def _ratios(marks: Sequence[Mark]) -> list[float]:
    """Return the field ``ratio`` of these marks."""
    return [mark["ratio"] for mark in marks]


@chart_factory
def ratio_by_losses(marks: Sequence[Mark]) -> Drawing:
    """Draw ratios over the number of losses: measured ones solid, predicted ones dashed."""
    import altair as alt

    chosen = alt.selection_point(fields=["framework"], bind="legend", name="chosen")
    order = list(dict.fromkeys(mark["losses"] for mark in marks))
    axis = factor_axis("÷ one pass of the sum")
    scale = log_scale(marks, "low", "ratio", "high", "predicted")
    base = filtered_chart(marks).encode(
        x=alt.X("losses:O", title="losses (stages)", sort=order, axis=alt.Axis(labelAngle=0)),
        color=alt.Color("framework:N", title=None, scale=framework_scale()),
        detail="line:N",
        opacity=alt.condition(chosen, alt.value(0.9), alt.value(0.08)),
        tooltip=tooltip(),
    )
    measured = base.mark_line(point=True).encode(y=alt.Y("ratio:Q", scale=scale, axis=axis))
    bars = base.mark_rule().encode(y=alt.Y("low:Q", axis=axis), y2="high:Q")
    law = base.mark_line(strokeDash=[5, 4]).encode(y=alt.Y("predicted:Q", axis=axis))
    return alt.layer(law, bars, measured.add_params(chosen)), 340


@chart_factory
def time_by_flops(marks: Sequence[Mark], *, speeds: Mapping[str, float]) -> Drawing:
    """Draw times over counted FLOPs, both axes logarithmic, with the sizes of a network joined.

    Args:
        speeds: the highest FLOPs per second of each framework. A dashed line shows the time that
            arithmetic alone takes at that speed.
    """
    import altair as alt

    chosen = alt.selection_point(fields=["framework"], bind="legend", name="chosen")
    colour = alt.Color("framework:N", scale=framework_scale())
    least = min(mark["seconds"] for mark in marks)
    most = max(mark["flops"] for mark in marks)
    ends = [
        {"framework": name, "flops": flops, "seconds": flops / speed}
        for name, speed in speeds.items()
        for flops in (least * speed, most)
    ]
    axis = alt.Axis(format="~s", tickCount=8)
    x_scale, y_scale = (log_scale([*marks, *ends], field) for field in ("flops", "seconds"))
    x = alt.X("flops:Q", title="FLOPs of a call, counted", scale=x_scale, axis=axis)
    y = alt.Y("seconds:Q", title="seconds a call", scale=y_scale, axis=axis)
    base = filtered_chart(marks).encode(x=x, y=y, color=colour, tooltip=tooltip())
    base = base.encode(opacity=alt.condition(chosen, alt.value(0.9), alt.value(0.08)))
    shape = alt.Shape("size:N", scale=size_scale(marks), sort=None)
    dots = base.mark_point(filled=True, size=40).encode(shape=shape)
    joined = base.mark_line(strokeWidth=0.7).encode(detail="line:N", tooltip=alt.value(None))
    law = alt.Chart(alt.InlineData(values=ends)).mark_line(strokeDash=[5, 4])
    return alt.layer(law.encode(x=x, y=y, color=colour), joined, dots.add_params(chosen)), 380


@chart_factory
def gradient_errors(marks: Sequence[Mark]) -> Drawing:
    """Draw the gradient error of each parameter as a tick, in epsilons, with a line a network."""
    import altair as alt

    titles = {
        "problem": "network",
        "size": "size",
        "framework": "framework",
        "parameter": "parameter",
        "text": "error in eps",
        "allowed_text": "limit",
        "strategy": "worst in",
    }
    base = (
        filtered_chart(marks)
        .mark_tick(thickness=2)
        .encode(
            x=alt.X(
                "eps:Q",
                title="relative error, in roundings (eps of the type)",
                scale=log_scale(marks, "eps"),
            ),
            y=alt.Y("problem:N", title=None, sort=None, axis=alt.Axis(labelLimit=340)),
            color=alt.Color("framework:N", title=None, scale=framework_scale()),
            tooltip=tooltip(titles),
        )
    )
    return base, height_of_lines(marks, "problem")


@chart_factory
def drift(marks: Sequence[Mark]) -> Drawing:
    """Draw how the times of each line of cells, relative to its first run, change over the runs."""
    import altair as alt

    scale = alt.Scale(type="log", nice=False, padding=16)
    titles = {"run": "run", "line": "cells", "text": "time ÷ first run", "cells": "cells in common"}
    few = len({mark["run"] for mark in marks}) <= LEVEL_LABELS
    axis = alt.Axis(labelExpr=RUN_LABELS, labelLimit=120, labelAngle=0 if few else -90)
    base = filtered_chart(marks).encode(
        x=alt.X("run:O", title="run, by its start", sort=None, axis=axis),
        y=alt.Y("ratio:Q", title="time ÷ first run", scale=scale),
        color=alt.Color("framework:N", scale=framework_scale()),
        tooltip=tooltip(titles),
    )
    shape = alt.Shape("size:N", scale=size_scale(marks), sort=None)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(shape=shape)
    return alt.layer(base.mark_line().encode(detail="line:N"), points), 300


@chart_factory
def over_time(marks: Sequence[Mark]) -> Drawing:
    """Draw the times of each cell over the runs, with a dot where a new level begins."""
    import altair as alt

    titles = {
        "line": "cell",
        "run": "run",
        "commit": "commit",
        "text": "time",
        "begins": "level begins, times the one before",
    }
    chosen = alt.selection_point(fields=["line"], name="chosen", on="click")
    # the domain is fixed: a filter may hide all marks, and Vega has no range of none
    runs, ratios = sorted({mark["run"] for mark in marks}), _ratios(marks)
    scale = alt.Scale(type="log", nice=False, domain=[0.9 * min(ratios), 1.1 * max(ratios)])
    axis = alt.Axis(labelLimit=90, labelOverlap=True)
    base = filtered_chart(marks).encode(
        x=alt.X("run:O", title="run", sort=None, scale=alt.Scale(domain=runs), axis=axis),
        y=alt.Y("ratio:Q", title="time ÷ first runs", scale=scale),
        color=alt.Color("framework:N", scale=framework_scale()),
        detail="line:N",
        opacity=alt.condition(chosen, alt.value(0.85), alt.value(0.06)),
        tooltip=tooltip(titles),
    )
    drawn_lines = base.mark_line(point=alt.OverlayMarkDef(size=14))
    dots = base.mark_point(filled=True, size=90).transform_filter("datum.begins != ''")
    return alt.layer(drawn_lines.add_params(chosen), dots), 340
