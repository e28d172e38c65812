"""Render charts as SVG and PNG files, from the specifications that the page uses.

vl-convert holds the global interpreter lock while it renders, so `ChartRenderer` runs it in
processes of its own.
"""

from __future__ import annotations

import copy
import multiprocessing
import signal
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

from results.report.model import Chart

WIDTH = 760  # pixels of the SVG; on the page a chart is as wide as its container
PROCESSES = 2  # that render: a report has some twenty charts, of which each takes 0.2 s
SCALE = 2.0  # PNG pixels for each of them
CONFIG: dict[str, Any] = {
    "background": "white",
    "font": "DejaVu Sans, Helvetica, Arial, sans-serif",
    "legend": {"orient": "bottom", "labelLimit": 250, "columns": 3},
    "axis": {"gridColor": "#e1e5ea", "titleFontWeight": 500},
    "view": {"stroke": "#d5dae0"},
}
# colours of the page, which CSS resolves in the light and in the dark scheme
PAGE_CONFIG: dict[str, Any] = {
    "background": "transparent",
    "font": "system-ui, sans-serif",
    "axis": {
        "labelColor": "var(--ink)",
        "labelFontSize": 11,
        "gridColor": "var(--line)",
        "domain": False,
        "tickColor": "var(--line)",
    },
    "view": {"stroke": None},
}


class ChartRenderer:
    """Render charts in other processes while this one goes on; use it as a context manager.

    Attributes:
        scripts: the scripts that a page with charts embeds. They take two seconds, so the process
            starts with them.
    """

    def __init__(self) -> None:
        self._pool = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))
        self.scripts: Future[str] = self._submit(vega_scripts)

    def __enter__(self) -> ChartRenderer:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:  # as by Ctrl-C: what is still drawn is of no use
            for process in multiprocessing.active_children():
                process.terminate()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, draw: Callable[..., Any], *arguments: object) -> Future[Any]:
        """Start to run a function in one of the processes, which this may start.

        Ctrl-C in a terminal goes to every process. It is blocked while one is started, which
        inherits that: this process alone is to be interrupted, and say so.
        """
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return self._pool.submit(draw, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def drawings(self, charts: Iterable[Chart]) -> Future[dict[str, str]]:
        """Start to draw these charts for the page; the result maps a chart's name to its SVG."""
        return self._submit(render_drawings, {chart.name: chart.spec for chart in charts})

    def render(self, charts: Iterable[Chart]) -> list[Future[dict[str, bytes]]]:
        """Start to render these charts; each result maps names of files to their contents."""
        specs = [(chart.name, fixed_size_spec(chart)) for chart in charts]
        shares = [dict(specs[first::PROCESSES]) for first in range(PROCESSES)]
        return [self._submit(render_files, share) for share in shares]


def vega_scripts() -> str:
    """Return Vega, Vega-Lite and Vega-Embed in one script, from the copies in vl-convert."""
    import altair
    import vl_convert

    version = ".".join(altair.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    bundle: Any = (
        vl_convert.javascript_bundle
    )  # its type stub requires a snippet, the function does not
    script: str = bundle(vl_version=version)
    return script.replace("</script", "<\\/script")


def render_files(specs: Mapping[str, dict[str, Any]]) -> dict[str, bytes]:
    """Render each specification as SVG, and the SVG as PNG at twice its resolution.

    Args:
        specs: the name of a chart → its Vega-Lite specification.

    Returns:
        The name of each file, ``<chart>.svg`` and ``<chart>.png`` → its bytes.
    """
    import vl_convert

    files = {}
    for name, spec in specs.items():
        svg = vl_convert.vegalite_to_svg(spec)
        files[f"{name}.svg"] = svg.encode()
        files[f"{name}.png"] = vl_convert.svg_to_png(svg, scale=SCALE)
    return files


def render_drawings(specs: Mapping[str, dict[str, Any]]) -> dict[str, str]:
    """Render each specification as an SVG that takes its colours and font from the page.

    Args:
        specs: the name of a chart → its Vega-Lite specification, of a fixed width.
    """
    import vl_convert

    return {
        name: vl_convert.vegalite_to_svg({**spec, "config": PAGE_CONFIG})
        for name, spec in specs.items()
    }


def fixed_size_spec(chart: Chart) -> dict[str, Any]:
    """Return a chart's specification for a file: fixed width, colours for white paper, a title."""
    spec = copy.deepcopy(chart.spec)
    width = {"width": WIDTH} if spec.get("width") == "container" else {}
    return {
        **spec,
        **width,
        "config": CONFIG,
        "title": {"text": chart.title, "anchor": "start", "offset": 12},
    }
