"""The precision mode of a record: absent in old files, part of a cell's name where it is lower."""

from __future__ import annotations

import json
from pathlib import Path

from results.records.record import Run, sample_key
from results.records.storage import load_run, save_run
from results.regression.validation import load as load_comparison
from tests.helpers.factories.comparisons import comparison
from tests.helpers.factories.records import CELL, record, run

LOWER = CELL | {"precision_mode": "bf16"}


def saved_without(run_: Run, folder: Path) -> Path:
    """Save a run as before there were precision modes."""
    path = save_run(run_, folder)
    document = json.loads(path.read_text())
    for one in document["records"]:
        del one["precision_mode"]
    path.write_text(json.dumps(document))
    return path


def test_old_file_is_read_as_full_float32_with_its_samples(tmp_path: Path) -> None:
    loaded = load_run(saved_without(run(), tmp_path))
    assert [one["precision_mode"] for one in loaded.records] == ["ieee"]
    assert list(loaded.samples) == [sample_key(loaded.records[0])]


def test_new_file_keeps_the_mode_and_two_modes_of_a_cell_beside_each_other(tmp_path: Path) -> None:
    both = run(records=[record(), record(LOWER)], samples={})
    loaded = load_run(save_run(both, tmp_path))
    assert [one["precision_mode"] for one in loaded.records] == ["ieee", "bf16"]


def test_name_of_samples_holds_a_lower_precision_alone() -> None:
    old = {name: value for name, value in CELL.items() if name != "precision_mode"}
    assert sample_key(old) == sample_key(CELL)
    assert sample_key(LOWER) == f"{sample_key(CELL)}-bf16"


def test_old_comparison_is_read_as_full_float32(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps(comparison()))
    cells = [entry["cell"] for entry in load_comparison(path)["cells"]]
    assert {cell["precision_mode"] for cell in cells} == {"ieee"}
