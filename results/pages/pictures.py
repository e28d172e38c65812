"""Charts as files: SVG and PNG from the very specifications of the page."""

from __future__ import annotations

import copy
from typing import Any

from results.pages.layout import Chart

WIDTH = 760  # pixels, where there is no page to fill
SCALE = 2.0  # PNG pixels for each
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans, Helvetica, Arial, sans-serif",
    "legend": {"orient": "bottom", "labelLimit": 240, "columns": 4},
    "axis": {"gridColor": "#e1e5ea", "titleFontWeight": 500},
    "view": {"stroke": "#d5dae0"},
}


def svg(chart: Chart) -> str:
    """The chart as SVG text. Needs vl-convert."""
    import vl_convert

    drawn: str = vl_convert.vegalite_to_svg(_fixed(chart))
    return drawn


def png(chart: Chart) -> bytes:
    """The chart as PNG, two pixels for each of SVG's. Needs vl-convert."""
    import vl_convert

    drawn: bytes = vl_convert.vegalite_to_png(_fixed(chart), scale=SCALE)
    return drawn


def _fixed(chart: Chart) -> dict[str, Any]:
    """The specification with a width of its own, colours for white paper, and its title on it."""
    spec = copy.deepcopy(chart.spec)
    return spec | {
        "width": WIDTH,
        "config": CONFIG,
        "title": {"text": chart.title, "anchor": "start"},
    }
