"""Draw measured ratios against those of the limits, both axes logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from results.report.drawing import (
    TOOLTIP_TITLES,
    Mark,
    chart_factory,
    factor_axis,
    filtered_chart,
    framework_scale,
    log_scale,
    tooltip,
)

TITLES = {
    **TOOLTIP_TITLES,
    "told_operation": "longest operation",
}


@chart_factory
def measured_against_limits(marks: Sequence[Mark], *, within: float) -> tuple[Any, int]:
    """Draw a dot for each comparison, on a band in which the prediction is near enough.

    Args:
        within: how far a measured ratio may be from the predicted one, relative: 0.1 is 10 %.
    """
    import altair as alt

    scale = log_scale(marks, "limit", "low", "ratio", "high")  # one for both: the band is straight
    x_axis, y_axis = factor_axis("ratio of the limits"), factor_axis("measured")
    base = filtered_chart(marks).encode(
        x=alt.X("limit:Q", scale=scale, axis=x_axis),
        color=alt.Color("framework:N", title=None, scale=framework_scale()),
        tooltip=tooltip(TITLES),
    )
    dots = base.mark_point(filled=True, size=40, opacity=0.8).encode(
        y=alt.Y("ratio:Q", scale=scale, axis=y_axis)
    )
    bars = base.mark_rule().encode(y=alt.Y("low:Q", axis=y_axis), y2="high:Q")
    ends = [mark["limit"] for mark in marks]
    corner = alt.InlineData(
        values=[
            {"end": end, "least": end / (1 + within), "most": end * (1 + within)}
            for end in (min(ends), max(ends))
        ]
    )
    x = alt.X("end:Q", scale=scale, axis=x_axis)
    grey = alt.value("gray")
    band = (
        alt.Chart(corner)
        .mark_area(opacity=0.2)
        .encode(x=x, y=alt.Y("least:Q", scale=scale, axis=y_axis), y2="most:Q", color=grey)
    )
    line = alt.Chart(corner).mark_line(strokeDash=[4, 3], opacity=0.6)
    diagonal = line.encode(x=x, y=alt.Y("end:Q", axis=y_axis), color=grey)
    return alt.layer(band, diagonal, bars, dots), 380
