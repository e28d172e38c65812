"""Draw the ways of a user's own case: a dot at each ratio, with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.formatting import ratio_text, seconds_text, significant
from results.report.drawing import (
    Mark,
    chart_factory,
    factor_axis,
    filtered_chart,
    framework_scale,
    height_of_lines,
    line_at_ratio_1,
    tooltip,
)
from results.report.model import Chart
from results.ways import way_title

ABOUT = (
    "Time of each way ÷ its baseline with its interval; left of the dashed line is faster. "
    "A grey tick is the ratio that counted FLOPs predict."
)
TITLES = {
    "way": "way",
    "phase": "phase",
    "framework": "framework",
    "ratio_text": "ratio [interval]",
    "predicted_text": "counted ratio",
    "time_text": "time",
    "verdict": "verdict",
}


def ways_chart(pairs: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Chart | None:
    """Return the chart of the rows that have a ratio; None where none has.

    Args:
        pairs: the part of the document that a row stands in, and the row.
    """
    marks = [_mark(part, row) for part, row in pairs if row.get("ratio")]
    return _ways("ways", "What each way costs", ABOUT, marks) if marks else None


def _mark(part: Mapping[str, Any], row: Mapping[str, Any]) -> Mark:
    """Return the data of a row's mark."""
    ratio, seconds, predicted = row["ratio"], row.get("seconds") or {}, row.get("predicted_ratio")
    return {
        "line": f"{way_title(str(row['way']))} ({row['phase']})",
        "way": row["way"],
        "phase": row["phase"],
        "framework": part["framework"],
        "ratio": ratio["estimate"],
        "low": ratio["low"],
        "high": ratio["high"],
        "predicted": predicted,
        "verdict": row.get("verdict") or "not told",
        "ratio_text": ratio_text(ratio),
        "predicted_text": significant(predicted) if predicted else "not counted",
        "time_text": seconds_text(seconds.get("estimate")),
    }


@chart_factory
def _ways(marks: Sequence[Mark]) -> tuple[Any, int]:
    """Draw a line for each way and phase, on a logarithmic axis."""
    import altair as alt

    base = filtered_chart(marks).encode(
        y=alt.Y("line:N", title=None, sort=None, axis=alt.Axis(labelLimit=340)),
        yOffset=alt.YOffset("framework:N", sort=None),
        color=alt.Color("framework:N", title="framework", scale=framework_scale(), sort=None),
        tooltip=tooltip(TITLES),
    )
    axis, scale = factor_axis("time ÷ baseline"), alt.Scale(type="log", nice=False, padding=14)
    dots = base.mark_point(filled=True, size=60).encode(x=alt.X("ratio:Q", axis=axis, scale=scale))
    bars = base.mark_rule(strokeWidth=2).encode(x=alt.X("low:Q", axis=None), x2="high:Q")
    ticks = base.mark_tick(thickness=1.5, size=11).encode(
        x=alt.X("predicted:Q", axis=None), color=alt.value("gray")
    )
    counted = [ticks] if any(mark["predicted"] for mark in marks) else []
    layered = alt.layer(line_at_ratio_1(), bars, *counted, dots).resolve_axis(x="independent")
    return layered, height_of_lines(marks, "line", 26)
