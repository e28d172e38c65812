"""The report as files in a folder: page, Markdown, charts, tidy data."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

from results.records.record import RecordError, Run
from results.records.storage import write_whole
from results.report.build import build
from results.report.export import write_tables
from results.report.html import charts, html
from results.report.images import Workshop
from results.report.markdown import PICTURES, markdown

NEEDED = {
    "jinja2": "jinja2",
    "altair": "altair",
    "vl_convert": "vl-convert-python",
    "pyarrow": "pyarrow",
}


def write(load: Callable[[], Sequence[Run]], folder: Path) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``charts/``, ``cells.csv`` and ``cells.parquet``.

    Args:
        load: what brings the runs; another process begins to work meanwhile.

    Returns:
        What was written, the page first.

    Raises:
        RecordError: a run cannot be read, the folder cannot be written, or what draws the charts
            is not installed.
    """
    demand_libraries()
    with Workshop() as workshop:
        runs = load()
        report = build(runs)
        pictures = workshop.draw(charts(report))
        tables = write_tables(runs, folder)
        contents = {
            folder / "report.html": html(report, workshop.scripts.result()).encode(),
            folder / "report.md": markdown(report).encode(),
        }
        contents |= {folder / PICTURES / name: data for name, data in pictures.result().items()}
    write_whole(contents)
    return [*contents, *tables]


def demand_libraries(found: Callable[[str], object] = importlib.util.find_spec) -> None:
    """Say what is not installed, all of it at once."""
    lacking = [name for module, name in NEEDED.items() if not found(module)]
    if lacking:
        raise RecordError(
            f"the report needs {', '.join(lacking)}, not installed here; install what it needs: "
            "pip install -e '.[report]', or print it as Markdown: cascade-bench report --markdown"
        )
