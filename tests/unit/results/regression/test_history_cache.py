"""The cache of the history is only a copy: one that no run could have made is made anew."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from results.records.storage import save_run
from tests.helpers.factories.report_runs import later, whole_run

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
history = pytest.importorskip("results.regression.history")
cache = pytest.importorskip("results.regression.history_cache")

SMALL: Any = {"variants": ("n2",), "sizes": ("seed",)}


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    save_run(whole_run(**SMALL), tmp_path)
    assert history.load(tmp_path).runs_read == 1
    assert history.load(tmp_path).runs_read == 0
    return tmp_path


def with_column(table: Any, name: str, values: Any) -> Any:
    return table.set_column(table.column_names.index(name), name, values)


def text_of(table: Any, name: str, text: str | None) -> Any:
    return with_column(table, name, pa.array([text] * len(table), pa.string()).dictionary_encode())


def numbers(table: Any, value: float) -> Any:
    return with_column(table, "seconds", pa.array([value] * len(table), pa.float64()))


def with_stamps(table: Any, **other: Any) -> Any:
    stored = json.loads(table.schema.metadata[cache.METADATA.encode()])
    return table.replace_schema_metadata({cache.METADATA: json.dumps(stored | other)})


TAMPERED: dict[str, Callable[[Any], Any]] = {
    "a negative time": lambda table: numbers(table, -1.0),
    "a time that is none": lambda table: numbers(table, float("nan")),
    "an infinite time": lambda table: numbers(table, float("inf")),
    "an escape sequence": lambda table: text_of(table, "scenario", "\x1b[2J"),
    "a text that is null": lambda table: text_of(table, "run", None),
    "a column of another type": lambda table: with_column(
        table, "commit", pa.array(range(len(table)))
    ),
    "a column more": lambda table: table.append_column("x", pa.array(range(len(table)))),
    "a column less": lambda table: table.drop_columns(["high"]),
    "stamps of another type": lambda table: with_stamps(table, stamps=[1]),
    "stamps of numbers": lambda table: with_stamps(table, stamps={"a": 1}),
    "another layout": lambda table: with_stamps(table, layout=cache.LAYOUT - 1),
    "no metadata": lambda table: table.replace_schema_metadata({}),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED)
def test_a_cache_that_no_run_could_have_made_is_made_anew(
    runs: Path, change: Callable[[Any], Any]
) -> None:
    path = runs / history.CACHE
    pq.write_table(change(pq.read_table(path)), path)
    assert history.load(runs).runs_read == 1
    assert history.load(runs).runs_read == 0


@pytest.mark.parametrize("kind", ["fifo", "loop", "zero", "folder"])
def test_a_cache_that_is_no_regular_file_is_never_waited_for(runs: Path, kind: str) -> None:
    path = runs / history.CACHE
    path.unlink()
    {
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path.name),
        "zero": lambda: path.symlink_to("/dev/zero"),
        "folder": path.mkdir,
    }[kind]()
    assert history.load(runs).runs_read == 1


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_ROWS", "MOST_UNPACKED"])
def test_a_cache_that_is_too_large_is_not_read(
    runs: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(cache, limit, 10)
    assert history.load(runs).runs_read == 1


def test_a_link_among_the_runs_that_leads_to_itself_is_named_each_time(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = runs / "box-1" / f"{later().id}.json"
    loop.symlink_to(loop.name)
    for _ in range(2):
        assert main(["history", f"--results={runs}"]) == 0
        told = capsys.readouterr()
        assert f"left out box-1/{loop.name}: {loop} cannot be read" in told.err
        assert "machine box-1: 1 runs" in told.out
