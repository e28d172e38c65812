"""The notebook in ``examples``: it runs as it stands, and what it shows names no machine."""

from __future__ import annotations

import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT

NOTEBOOK = ROOT / "examples" / "your_own_code.ipynb"
SECONDS = 300
PATH = re.compile(r"(?:/[\w.~-]+){2,}|[A-Z]:\\")  # absolute, of any system
CALLED = (
    "compare(", ".to_pandas()", ".plot()", ".report(", ".ratio(", ".flow",
    "assert_flow(", "assert_frozen(", "assert_no_findings(",
)  # fmt: skip


def cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the cells that hold code."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def source(cell: dict[str, Any]) -> str:
    """Return the text of a cell."""
    return "".join(cell["source"])


def shown(cell: dict[str, Any], kind: str = "") -> str:
    """Return what a cell shows as text, or in another form, such as ``text/html``."""
    parts = [
        text if isinstance(text, str) else "".join(text)
        for output in cell["outputs"]
        for form, text in {"stream": output.get("text", ""), **output.get("data", {})}.items()
        if kind in ("", form) and not form.startswith("image/")
    ]
    return "\n".join(parts)


@pytest.fixture(scope="module")
def kept() -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(NOTEBOOK.read_text())
    return notebook


@pytest.mark.smoke
def test_notebook_shows_each_part_and_no_path_of_a_machine(kept: dict[str, Any]) -> None:
    text = "\n".join(map(source, cells(kept)))
    assert [name for name in CALLED if name not in text] == []
    for cell in cells(kept):
        compile(source(cell), NOTEBOOK.name, "exec")
        assert not PATH.search(re.sub(r"<[^>]*>", "", shown(cell)))
        assert all(output["output_type"] != "error" for output in cell["outputs"])
    assert set(kept["metadata"]) == {"kernelspec", "language_info"}  # no version, no machine


@pytest.mark.smoke
def test_notebook_is_kept_with_what_it_shows(kept: dict[str, Any]) -> None:
    table, chart = (
        next(c for c in cells(kept) if name in source(c)) for name in ("compare(", "plot")
    )
    assert "separate_retained" in shown(table, "text/html")
    assert any("image/png" in output.get("data", {}) for output in chart["outputs"])
    assert "CB101" in shown(cells(kept)[-1])


def test_notebook_runs_as_it_stands(
    kept: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("torch", "altair", "vl_convert", "ipykernel"):
        pytest.importorskip(package)
    nbclient = pytest.importorskip("nbclient", reason="pip install '.[notebook]'")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    ran = nbformat.read(NOTEBOOK, as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the kernel and of what carries its messages
        resources = {"metadata": {"path": str(tmp_path)}}
        nbclient.NotebookClient(ran, timeout=SECONDS, resources=resources).execute()
    assert "What came out" in (tmp_path / "page.html").read_text()
    for now, before in zip(cells(ran), cells(kept), strict=True):
        if source(before).startswith(("columns", "result")):
            assert now["outputs"]
        elif "compare(" not in source(before):  # words that no time changes
            assert bool(now["outputs"]) == bool(before["outputs"])
        assert not PATH.search(re.sub(r"<[^>]*>", "", shown(now)))
    assert list((tmp_path / ".cascade-bench").glob("*.json"))
