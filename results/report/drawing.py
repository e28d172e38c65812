"""What every chart has in common: its data, its tooltip, its filters, its measures.

Charts are Altair's, handed on as plain Vega-Lite dictionaries; colours and fonts come from the
page, which has a light and a dark scheme.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
from results.records.record import Record
from results.report.model import FILTERS, Chart, problem, way

if TYPE_CHECKING:
    import altair

Mark = dict[str, Any]
STEP = 15  # height of a line in pixels, where it holds one mark
# Okabe and Ito's colours (2008), which the colour-blind tell apart, on white and on black
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c8c8c", "#b3a100")
FRAMEWORK_COLOURS = {"torch": "#d55e00", "jax": "#0072b2"}


def mark_of(record: Record) -> Mark:
    """A record as a mark of a chart: what it is, its ratio, and in words what its tooltip says."""
    ratio, seconds = record["ratio"] or {}, record["seconds"] or {}
    return {
        "problem": problem(record),
        "scenario": record["scenario"],
        "variant": record["variant"],
        "size": record["size"],
        "framework": record["framework"],
        "way": way(record),
        "strategy": record["strategy"],
        "phase": record["phase"],
        "ratio": ratio.get("estimate"),
        "low": ratio.get("low"),
        "high": ratio.get("high"),
        "predicted": record["predicted_ratio"],
        "verdict": record["verdict"] or "no verdict",
        "seconds": seconds.get("estimate"),
        "told_ratio": ratio_text(record["ratio"]),
        "told_predicted": significant(record["predicted_ratio"])
        if record["predicted_ratio"]
        else "not counted",
        "told_time": seconds_text(seconds.get("estimate")),
        "told_flops": flops_text(record["flops"]),
        "told_peak": share_text(record["peak_share"]),
        "told_saved": bytes_text(record["residual_bytes"]),
    }


TOLD = {
    "problem": "network", "size": "size", "way": "framework", "strategy": "strategy",
    "phase": "phase", "told_ratio": "ratio [interval]", "told_predicted": "counted ratio",
    "verdict": "verdict", "told_time": "time", "told_flops": "FLOPs",
    "told_peak": "share of the GEMM peak", "told_saved": "saved for backward",
}  # fmt: skip


def tooltip(titles: Mapping[str, str] = TOLD) -> list[altair.Tooltip]:
    """Field → what it is called, as Altair's tooltip."""
    import altair

    return [altair.Tooltip(f"{name}:N", title=title) for name, title in titles.items()]


def based_on(marks: Sequence[Mark]) -> altair.Chart:
    """A chart of these marks, which the page's filters reach."""
    import altair

    chart = altair.Chart(altair.InlineData(values=list(marks)))
    for name in FILTERS:
        if marks and name in marks[0]:
            chart = chart.transform_filter(f"wanted_{name} == '' || datum.{name} == wanted_{name}")
    return chart


def drawn(make: Callable[..., tuple[Any, int]]) -> Callable[..., Chart]:
    """Turn ``make(marks, **options)``, which returns an Altair chart and its height in pixels,
    into a function of (name, title, about, marks, **options) that returns a `Chart`."""

    @wraps(make)
    def chart(name: str, title: str, about: str, marks: Sequence[Mark], **options: Any) -> Chart:
        return Chart(name, title, about, lambda: _specification(about, *make(marks, **options)))

    return chart


def _specification(about: str, chart: altair.TopLevelMixin, height: int) -> dict[str, Any]:
    """As wide as the page, with the signals of the filters, the colours left to the page."""
    spec: dict[str, Any] = chart.to_dict()
    spec.pop("config", None)
    wanted = [{"name": f"wanted_{field}", "value": ""} for field in FILTERS]
    return spec | {
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "params": [*wanted, *spec.get("params", [])],
        "description": about,
    }


def lines_high(marks: Sequence[Mark], field: str, step: int = STEP) -> int:
    """Pixels for a line for each different value of a field."""
    return step * len({mark[field] for mark in marks}) + 40


def frameworks_scale() -> altair.Scale:
    """The same colour for a framework in every chart."""
    import altair

    names, colours = list(FRAMEWORK_COLOURS), list(FRAMEWORK_COLOURS.values())
    return altair.Scale(domain=names, range=colours)


def few_colours() -> altair.Scale:
    import altair

    return altair.Scale(range=list(COLOURS))


def one_line() -> altair.Chart:
    """A rule at ratio 1."""
    import altair

    data = altair.InlineData(values=[{"one": 1}])
    return altair.Chart(data).mark_rule(strokeDash=[4, 3], opacity=0.6).encode(x="one:Q")
