"""What a run's files may hold, and what they may be: everything else is one line, and no harm."""

from __future__ import annotations

import copy
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.records import samples as samples_module
from results.records import storage
from results.records.files import Unreadable, read_regular
from results.records.record import VERDICTS, RecordError, Run, sample_key
from results.records.samples import samples_path
from results.records.storage import find_runs, load_run, save_run
from results.statistics import verdict
from tests.helpers.factories.records import CELL, record, run
from tests.helpers.factories.report_runs import whole_run
from tests.helpers.terminal_text import unprintable

ESTIMATE = {"estimate": 1.5, "low": 1.4, "high": 1.6, "confidence": 0.95, "launches": 6}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save_run(whole_run(variants=("n2",), sizes=("seed",)), tmp_path / "runs")


def refused(path: Path, change: Callable[[Any], None]) -> str:
    """Change the JSON of a run; return the line by which it is refused."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(RecordError) as caught:
        load_run(path)
    said = str(caught.value)
    assert said.startswith(str(path))
    assert unprintable(said) == ""
    assert len(said) < 1000
    return said


def at(*place: Any, value: Any) -> Callable[[Any], None]:
    """Return a change that puts a value at a place of a document."""

    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = copy.deepcopy(value)

    return change


RECORD = ("records", 1)
WRONG: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "a negative time": (
        (*RECORD, "seconds", "estimate"),
        -1.0,
        "seconds.estimate is -1.0; allowed",
    ),
    "a time of 0": (
        (*RECORD, "seconds", "low"),
        0,
        "seconds.low is 0; allowed: a number from 1e-12",
    ),
    "a time of 1e308": ((*RECORD, "seconds", "high"), 1e308, "seconds.high is 1e.308; allowed"),
    "a ratio below 0": ((*RECORD, "ratio", "estimate"), -0.5, "ratio.estimate is -0.5"),
    "a huge ratio": ((*RECORD, "predicted_ratio"), 1e308, "predicted_ratio is 1e.308"),
    "an inverted interval": ((*RECORD, "ratio"), ESTIMATE | {"low": 1.55}, "low ≤ estimate ≤ high"),
    "half an interval": ((*RECORD, "ratio"), ESTIMATE | {"low": None}, "half an interval"),
    "confidence 1": (
        (*RECORD, "ratio"),
        ESTIMATE | {"confidence": 1.0},
        "confidence is 1.0; .*betw",
    ),
    "launches": ((*RECORD, "ratio"), ESTIMATE | {"launches": -1}, "launches is -1; .* an integer"),
    "a count that is none": ((*RECORD, "peak_bytes"), 1.5, "peak_bytes is 1.5; .* an integer"),
    "flops below 0": ((*RECORD, "flops"), -1, "flops is -1"),
    "a verdict": ((*RECORD, "verdict"), "better", "allowed: one of slower, faster, equal, inconcl"),
    "a path": (
        (*RECORD, "framework"),
        "../../outside",
        "framework is .*allowed: a name of at most 50",
    ),
    "a control character": (
        (*RECORD, "scenario"),
        "a\x1b[2J",
        r"scenario is .a\\u001b\[2J.; allowed",
    ),
    "half a pair": ((*RECORD, "size"), "\ud83d", r"size is .\\ud83d"),
    "a long name": ((*RECORD, "variant"), "x" * 300, "variant is .x{59}…"),
    "record of a later schema": ((*RECORD, "schema"), 2, "schema is 2"),
    "the id": (("id",), "../x", "id is .*allowed: an id such as"),
    "the start": (("started",), "yesterday", "started is .*ISO 8601"),
    "the machine": (("machine", "id"), "a/b", "machine.id is"),
    "its load": (("machine", "load"), "high", r"machine.load is .high.; allowed: a list"),
    "text in alpha": (("settings", "alpha"), "0.01", "settings.alpha is .0.01.; allowed: a number"),
    "alpha 1": (("settings", "alpha"), 1, "settings.alpha is 1; allowed: a number between 0 and 1"),
    "flows": (
        ("settings", "flows"),
        [],
        "settings.flows is a list of 0; allowed: an object",
    ),
    "a flow": (("settings", "flows"), {"a/b": {"torch": 3}}, "settings.flows.a/b.torch is 3"),
    "canaries": (("settings", "canaries"), "ok", "settings.canaries is"),
    "a canary": (("settings", "canaries"), [3], r"settings.canaries\[0\] is 3; allowed: an object"),
    "time spent": (("settings", "spent_seconds"), {"x": -1}, "settings.spent_seconds.x is -1"),
    "nested": (("settings", "x"), json.loads("[" * 40 + "]" * 40), "is nested too deeply"),
}


@pytest.mark.parametrize(("place", "value", "words"), WRONG.values(), ids=WRONG)
def test_what_a_key_may_not_hold_is_said_with_its_place(
    path: Path, place: tuple[Any, ...], value: Any, words: str
) -> None:
    said = refused(path, at(*place, value=value))
    assert re.search(words, said), said


def test_two_records_of_one_cell_are_refused_with_its_name(path: Path) -> None:
    said = refused(path, lambda d: d["records"].append(d["records"][1]))
    assert "2 records are of one cell, backward/stacked_cascade-n2-seed-torch-eager" in said


def test_texts_of_a_file_are_clean_once_it_is_read(path: Path) -> None:
    document = json.loads(path.read_text())
    evil = "\x1b]0;owned\x07\u202e\udc80"
    document["records"][0]["rerun"] = evil
    document["settings"]["flows"] = {evil: {evil: {evil: {evil: evil}}}}
    document["machine"]["unknown"] = [evil, {evil: "y" * 10**5}]
    path.write_text(json.dumps(document))
    loaded = load_run(path)
    assert [one for one in texts_in([loaded.settings, loaded.machine, loaded.records])
            if unprintable(one)] == []  # fmt: skip
    (cut,) = loaded.machine["unknown"][1].values()
    assert len(cut) == 4000


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text inside a value of JSON, the keys of objects included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from texts_in(item)


def test_verdicts_are_those_that_are_given() -> None:
    assert VERDICTS == verdict.VERDICTS


# What the files may be


@pytest.mark.parametrize("samples", [False, True], ids=["the run", "its samples"])
@pytest.mark.parametrize("kind", ["fifo", "folder", "loop", "zero", "null", "dangling"])
def test_what_is_no_regular_file_is_one_line_and_never_waited_for(
    path: Path, kind: str, samples: bool
) -> None:
    place = samples_path(path) if samples else path
    place.unlink()
    {
        "fifo": lambda: os.mkfifo(place),
        "folder": place.mkdir,
        "loop": lambda: place.symlink_to(place.name),
        "zero": lambda: place.symlink_to("/dev/zero"),
        "null": lambda: place.symlink_to("/dev/null"),
        "dangling": lambda: place.symlink_to("nowhere"),
    }[kind]()
    words = {
        "folder": "is a folder",
        "loop": "cannot be read .*symbolic links",
        "dangling": "does not exist",
    }
    with pytest.raises(RecordError, match=words.get(kind, "no regular file")):
        load_run(path)


def test_size_and_number_of_values_are_bounded_before_anything_is_parsed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "results.records.storage.json.loads", lambda *_, **__: pytest.fail("was parsed")
    )
    monkeypatch.setattr(storage, "MOST_VALUES", 100)
    path.write_text("[" + "[]," * 100)
    with pytest.raises(RecordError, match="holds more than 100 values"):
        load_run(path)
    monkeypatch.setattr(storage, "MOST_BYTES_OF_UNICODE", 100)
    path.write_text("é" * 51)
    with pytest.raises(RecordError, match="and no plain ASCII"):
        load_run(path)
    monkeypatch.setattr(storage, "MOST_BYTES", 2**20)
    path.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(RecordError, match="is larger than 1 MiB"):
        load_run(path)


def test_a_file_that_tells_no_size_is_bounded_as_it_is_read() -> None:
    assert Path("/proc/self/status").stat().st_size == 0
    with pytest.raises(Unreadable, match="larger than"):
        read_regular("/proc/self/status", 10)
    assert read_regular("/proc/self/status", 10**6)


def test_files_and_folders_with_names_that_no_run_has_are_no_runs(path: Path) -> None:
    odd = path.parent.with_name("b\x1b[2J")
    odd.mkdir()
    (odd / path.name).write_bytes(path.read_bytes())
    assert find_runs(path.parent.parent) == [path]


# Samples


def packed(entries: dict[str, bytes], path: Path, method: int = zipfile.ZIP_DEFLATED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)


def array(values: Any) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(values), allow_pickle=False)
    return buffer.getvalue()


BAD_ROWS = {
    "of another type": array(np.ones(3, np.float32)),
    "of two dimensions": array(np.ones((2, 2))),
    "of none": array(1.0),
    "without samples": array(np.ones(0)),
    "not finite": array([1.0, np.nan]),
    "of 0": array([1.0, 0.0]),
    "of 1e308": array([1e308]),
    "shorter than its header says": array(np.ones(4))[:-8],
    "longer than its header says": array(np.ones(4)) + bytes(8),
    "no array": b"hello",
    "of a later version": b"\x93NUMPY\x03\x00" + array(np.ones(4))[8:],
}


@pytest.mark.parametrize("row", BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_row_that_is_none_is_refused(path: Path, row: bytes) -> None:
    key = sample_key(load_run(path).records[0])
    packed({f"{key}/0.npy": row}, samples_path(path))
    with pytest.raises(RecordError, match="cannot be read as the samples of a run"):
        load_run(path)
    assert load_run(path, samples=False).samples == {}


@pytest.mark.parametrize("name", ["x.npy", "x/-1.npy", "x/².npy", "x/1e0.npy"])
def test_an_entry_of_another_name_is_refused(path: Path, name: str) -> None:
    packed({name: array([1.0])}, samples_path(path))
    with pytest.raises(RecordError, match="is not a row of times"):
        load_run(path)


def test_an_entry_that_stands_there_twice_is_refused(path: Path) -> None:
    with zipfile.ZipFile(samples_path(path), "w") as archive:
        archive.writestr("x/0.npy", array([1.0]))
        archive.writestr("x/00.npy", array([2.0]))
    with pytest.raises(RecordError, match="stands there twice"):
        load_run(path)


def test_an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed({f"x/{i}.npy": array(np.zeros(10**6)) for i in range(20)}, samples_path(path))
    assert samples_path(path).stat().st_size < 10**6
    monkeypatch.setattr(zipfile.ZipFile, "open", lambda *_: pytest.fail("was unpacked"))
    with pytest.raises(RecordError, match="unpacks to more than 128 MiB"):
        load_run(path)


def test_an_archive_of_too_many_entries_is_refused_before_its_directory_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "MOST_ROWS", 10)
    packed({f"x/{i}.npy": array([1.0]) for i in range(11)}, samples_path(path))
    monkeypatch.setattr(zipfile, "ZipFile", lambda *_: pytest.fail("was read"))
    with pytest.raises(RecordError, match="more than 10 entries"):
        load_run(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_way_of_packing_is_refused(path: Path, method: int) -> None:
    packed({"x/0.npy": array([1.0])}, samples_path(path), method)
    with pytest.raises(RecordError, match="is not a row of times"):
        load_run(path)


# What a session saves can always be read again


def test_a_figure_out_of_its_range_is_saved_as_null_with_the_reason(tmp_path: Path) -> None:
    cell = record(flops=-1.0, ratio=ESTIMATE | {"high": 1e300}, peak_share=0.5)
    loaded = load_run(save_run(run(records=[cell]), tmp_path)).records[0]
    assert (loaded["flops"], loaded["ratio"], loaded["peak_share"]) == (None, None, 0.5)
    assert loaded["missing"]["flops"].startswith("flops is -1.0; allowed: a number from 0")
    assert loaded["missing"]["ratio"].startswith("ratio.high is 1e+300")


def test_samples_with_a_time_of_0_are_not_saved_and_the_others_are(tmp_path: Path) -> None:
    other = record(CELL | {"strategy": "summed"})
    cells: dict[str, Any] = {
        sample_key(CELL): [np.array([1.0, 0.0])],
        sample_key(other): [np.array([1.0])],
    }
    made: Run = run(records=[record(), other], samples=cells)
    assert list(load_run(save_run(made, tmp_path)).samples) == [sample_key(other)]
