"""Test the exported table: its columns, and that CSV and Parquet files give it back."""

from __future__ import annotations

import csv
import os
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest
from pandas.testing import assert_frame_equal

from results.records.record import FIGURES, RECORD_KEYS, RecordError, Run, cell_id
from results.report import export as module
from results.report.export import COLUMNS, read_csv, tidy, write_tables
from tests.helpers.factories.records import CELL, record, run
from tests.helpers.factories.whole_runs import whole_run
from tests.helpers.hostile_names import NAMES

FIGURE = {"estimate": 1e-3, "low": 9e-4, "high": 1.1e-3, "confidence": 0.95, "launches": 6}


@pytest.fixture(scope="module")
def whole() -> Run:
    return whole_run()


@pytest.fixture
def write_and_read(tmp_path: Path) -> Any:
    """Return a function that writes runs, and returns both files as tables, and `tidy` of them."""
    pytest.importorskip("pyarrow")

    def write(*runs: Run) -> Any:
        csv_file, parquet = write_tables(runs, tmp_path)
        return read_csv(csv_file), pandas.read_parquet(parquet), tidy(*runs)

    return write


def test_row_holds_the_flat_figures() -> None:
    known: dict[str, Any] = {
        "seconds": FIGURE,
        "ratio": FIGURE | {"estimate": 1.5, "low": 1.4, "high": 1.6},
        "gradient_error": {"relative": 2.1e-7, "tensor": "net1.weight", "allowed": 1e-5},
        "predicted_ratio": 1.45, "verdict": "slower", "steady": False, "peak_bytes": 3,
    }  # fmt: skip
    machine = {"id": "m", "commit": "e7177d6", "dirty": True}
    measured = run(records=[record(**known)], machine=machine, started="2026-11-21T01:02:03+00:00")
    (row,) = tidy(measured).to_dict("records")
    known_values = {name: value for name, value in row.items() if not pandas.isna(value)}
    assert known_values == CELL | {
        "run": measured.id,
        "machine": "m",
        "started": "2026-11-21T01:02:03+00:00",
        "commit": "e7177d6",
        "dirty": True,
        "cell": cell_id(CELL),
        "family": "cascade",
        "baseline": "summed",
        "seconds": 1e-3,
        "seconds_low": 9e-4,
        "seconds_high": 1.1e-3,
        "ratio": 1.5,
        "ratio_low": 1.4,
        "ratio_high": 1.6,
        "confidence": 0.95,
        "launches": 6,
        "verdict": "slower",
        "predicted_ratio": 1.45,
        "steady": False,
        "peak_bytes": 3,
        "gradient_error": 2.1e-7,
        "gradient_error_tensor": "net1.weight",
        "gradient_error_allowed": 1e-5,
        "outcome": "ok",
        "rerun": "pytest -k x",
    }


def test_every_figure_of_a_record_has_a_column() -> None:
    assert set(RECORD_KEYS) - set(COLUMNS) == {"schema", "missing"}


def test_columns_are_explained_at_the_head_of_the_module() -> None:
    explained = str(module.__doc__)
    ends = ("_low", "_high", "_tensor")
    unexplained = [
        name for name in COLUMNS if f"``{name}``" not in explained and not name.endswith(ends)
    ]
    assert unexplained == [name for name in CELL if name != "kind"][:-1]  # "kind to dtype"


@pytest.mark.parametrize("runs", [[], [run()], [run(records=[])], [run(), run()]])
def test_columns_and_types_are_the_same_for_every_run(runs: list[Run]) -> None:
    table = tidy(*runs)
    kinds = {"seconds": "float64", "launches": "Int64", "steady": "boolean", "rerun": "string"}
    assert COLUMNS | kinds == COLUMNS
    assert {name: str(kind) for name, kind in table.dtypes.items()} == COLUMNS
    assert len(table) == sum(len(one.records) for one in runs)


def test_a_missing_figure_is_null_and_never_0_or_empty() -> None:
    failed = record(outcome="timeout", missing=dict.fromkeys(FIGURES, "120 s passed"))
    table = tidy(run(records=[failed, record()]))
    for name in ("seconds", "flops", "launches", "peak_bytes", "steady", "verdict", "commit"):
        assert table[name].isna().all(), name
    assert table["reason"][0] == "120 s passed"
    assert table["reason"].isna().tolist() == [False, True]


def test_rows_of_several_runs_stand_below_each_other(whole: Run) -> None:
    other = run("20270101T000000-000000")
    table = tidy(whole, other)
    assert table["run"].tolist() == [whole.id] * 308 + [other.id]
    assert table["machine"].tolist()[-1] == "box-1"


@pytest.mark.parametrize("count", [10**30, -(10**30)])
def test_count_that_no_integer_of_64_bits_holds_is_null(count: int) -> None:
    assert tidy(run(records=[record(peak_bytes=count)]))["peak_bytes"].isna().all()


def test_tables_come_back_as_they_were(write_and_read: Any, whole: Run) -> None:
    from_csv, from_parquet, table = write_and_read(whole, run())
    assert len(table) == 309
    assert_frame_equal(from_csv, table, check_exact=True)
    assert_frame_equal(from_parquet, table, check_exact=True)


@pytest.mark.parametrize("runs", [[], [run(records=[])], [run()]])
def test_tables_without_rows_or_figures_come_back_too(write_and_read: Any, runs: list[Run]) -> None:
    from_csv, from_parquet, table = write_and_read(*runs)
    assert_frame_equal(from_csv, table)
    assert_frame_equal(from_parquet, table)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_any_name_comes_back(write_and_read: Any, name: str) -> None:
    cells = [record(CELL | {"scenario": name}), record(CELL | {"variant": "NA", "size": "null"})]
    from_csv, from_parquet, table = write_and_read(run(records=cells))
    assert_frame_equal(from_csv, table)
    assert_frame_equal(from_parquet, table)
    assert table["scenario"][0] == name.replace("\0", "?").replace("\ud83d", "?")


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_strict_csv_reader_finds_the_same_columns(
    write_and_read: Any, tmp_path: Path, name: str
) -> None:
    write_and_read(run(records=[record(CELL | {"scenario": name}), record()]))
    with (tmp_path / "cells.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file, strict=True))
    assert rows[0] == list(COLUMNS)
    assert [len(row) for row in rows] == [len(COLUMNS)] * 3


@pytest.mark.parametrize(
    ("text", "in_csv"),
    [
        ("=1+1", "'=1+1"), ("+1", "'+1"), ("@SUM(A1)", "'@SUM(A1)"), ("\t=1", "'\t=1"),
        ("＝1", "'＝1"), ("'quoted'", "''quoted'"), ("-", "-"), ("a=1", "a=1"),
    ],
)  # fmt: skip
def test_no_text_is_a_formula_to_a_spreadsheet(
    write_and_read: Any, tmp_path: Path, text: str, in_csv: str
) -> None:
    from_csv, from_parquet, _ = write_and_read(run(records=[record(CELL | {"scenario": text})]))
    with (tmp_path / "cells.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["scenario"] == in_csv
    assert from_csv["scenario"][0] == from_parquet["scenario"][0] == text


def test_minus_of_a_command_from_a_file_is_no_formula(write_and_read: Any, tmp_path: Path) -> None:
    write_and_read(run(records=[record() | {"rerun": "-2+3"}]))
    assert ",'-2+3\r\n" in (tmp_path / "cells.csv").read_bytes().decode()


def test_tables_replace_those_before_and_leave_nothing_else(
    write_and_read: Any, tmp_path: Path
) -> None:
    write_and_read(run(), run())
    assert len(write_and_read(run())[0]) == 1
    assert sorted(os.listdir(tmp_path)) == ["cells.csv", "cells.parquet"]


def test_full_disk_keeps_the_tables_before(
    write_and_read: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_and_read(run())

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RecordError, match=r"cannot write .*: No space left on device; free"):
        write_tables([run(), run()], tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordError, match=r"^cannot write results to [^\n]*file[^\n]*$"):
        write_tables([run()], tmp_path / "file")


def test_folder_is_made(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    paths = write_tables([run()], tmp_path / "new" / "tables")
    assert [path.name for path in paths] == ["cells.csv", "cells.parquet"]
    assert all(path.is_file() for path in paths)


def test_without_pyarrow_the_csv_is_written_and_the_extra_to_install_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(RecordError, match=r"cells.parquet needs pyarrow.*-e '\.\[report\]'$"):
        write_tables([run()], tmp_path)
    assert os.listdir(tmp_path) == ["cells.csv"]
    assert len(read_csv(tmp_path / "cells.csv")) == 1
