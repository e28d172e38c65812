"""Charts as files: SVG and PNG from the very specifications of the page.

vl-convert holds the interpreter while it works, so `Workshop` has it work in a process of its own.
"""

from __future__ import annotations

import copy
import multiprocessing
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from results.report.model import Chart

WIDTH = 760  # pixels, where there is no page to fill
SCALE = 2.0  # PNG pixels for each
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans, Helvetica, Arial, sans-serif",
    "legend": {"orient": "bottom", "labelLimit": 240, "columns": 4},
    "axis": {"gridColor": "#e1e5ea", "titleFontWeight": 500},
    "view": {"stroke": "#d5dae0"},
}


class Workshop:
    """A process that draws while this one goes on; use as a context.

    ``scripts`` is what a page with charts embeds, begun at once: it takes two seconds.
    """

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
        self.scripts: Future[str] = self._pool.submit(library)

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def draw(self, charts: Iterable[Chart]) -> Future[dict[str, bytes]]:
        """The files of these charts: name with suffix → content."""
        specs = {chart.name: fixed(chart) for chart in charts}
        return self._pool.submit(drawn, specs)


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed in one script, as vl-convert brings them."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    bundle: Any = vl_convert.javascript_bundle  # its stub calls for a snippet, which it needs not
    script: str = bundle(vl_version=version)
    return script.replace("</script", "<\\/script")


def drawn(specs: Mapping[str, dict[str, Any]]) -> dict[str, bytes]:
    """Each specification as SVG, and that as PNG with two pixels for each of its own."""
    import vl_convert

    found = {}
    for name, spec in specs.items():
        svg = vl_convert.vegalite_to_svg(spec)
        found[f"{name}.svg"] = svg.encode()
        found[f"{name}.png"] = vl_convert.svg_to_png(svg, scale=SCALE)
    return found


def fixed(chart: Chart) -> dict[str, Any]:
    """The specification with a width of its own, colours for white paper, and its title on it."""
    spec = copy.deepcopy(chart.spec)
    return spec | {
        "width": WIDTH,
        "config": CONFIG,
        "title": {"text": chart.title, "anchor": "start"},
    }
