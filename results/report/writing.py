"""Write the report into a folder: page, Markdown, charts, and tables for other programs."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from results.records.installing import install_command
from results.records.record import RecordError, Run
from results.records.storage import write_whole
from results.report.build import build
from results.report.export import write_tables
from results.report.html import answer_charts_of, html, pictures_of
from results.report.images import ChartRenderer
from results.report.markdown import PICTURES, markdown

# module → the package to install
NEEDED = {
    "jinja2": "jinja2",
    "altair": "altair",
    "vl_convert": "vl-convert-python",
    "pyarrow": "pyarrow",
}


def write(
    load: Callable[[], Sequence[Run]], folder: Path, catalogue: Sequence[str] = ()
) -> list[Path]:
    """Write ``report.html``, ``report.md``, ``charts/``, ``cells.csv`` and ``cells.parquet``.

    Args:
        load: loads the runs. Another process prepares the scripts of the page meanwhile.
        folder: to write into.
        catalogue: names of the suite's scenarios, see `build`.

    Returns:
        The paths of the files, the page first.

    Raises:
        RecordError: a run cannot be read, the folder cannot be written, or a package that draws
            the charts is not installed.
    """
    demand_libraries()
    with ChartRenderer() as renderer:
        runs = load()
        report = build(runs, catalogue)
        drawings = renderer.drawings(answer_charts_of(report))
        pictures = renderer.render(pictures_of(report))
        tables = write_tables(runs, folder)
        contents = {
            folder / "report.html": html(
                report, renderer.scripts.result(), drawings.result()
            ).encode(),
            folder / "report.md": markdown(report).encode(),
        }
        for share in pictures:
            contents |= {folder / PICTURES / name: data for name, data in share.result().items()}
    write_whole(contents)
    return [*contents, *tables]


def absent_packages(
    needed: Mapping[str, str], find: Callable[[str], object] = importlib.util.find_spec
) -> list[str]:
    """Return the packages that are not installed.

    Args:
        needed: module → the package to install for it.
        find: returns a false value for a module that cannot be imported.
    """
    return [package for module, package in needed.items() if not find(module)]


def demand_libraries(find: Callable[[str], object] = importlib.util.find_spec) -> None:
    """Check that the packages of the report are installed.

    Args:
        find: returns a false value for a module that cannot be imported.

    Raises:
        RecordError: names all packages that are not installed.
    """
    if absent := absent_packages(NEEDED, find):
        raise RecordError(
            f"the report needs {', '.join(absent)}, not installed here; install what it needs: "
            f"{install_command('report')}, or print it as Markdown: cascade-bench report --markdown"
        )
