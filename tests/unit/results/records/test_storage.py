"""What a run is on the disk: saved, loaded, found, and refused when it is broken."""

from __future__ import annotations

import json
import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from results.records.record import SCHEMA, RecordError, sample_key, utc_now
from results.records.samples import samples_path
from results.records.storage import check_writable, find_runs, latest_run, load_run, save_run
from tests.helpers.factories.records import CELL, record, run


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_run_comes_back_from_the_disk_as_it_was(tmp_path: Path) -> None:
    given = run()
    path = save_run(given, tmp_path)
    back = load_run(path)
    assert path == tmp_path / "box-1" / "20261121T010203-ab12cd.json"
    assert replace(back, samples={}) == replace(given, samples={})
    assert list(back.samples) == list(given.samples)
    for key, launches in given.samples.items():
        for ours, theirs in zip(launches, back.samples[key], strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_twelve_launches_come_back_in_the_order_measured(tmp_path: Path) -> None:
    key = sample_key(CELL)
    launches = [np.array([float(index + 1)]) for index in range(12)]
    back = load_run(save_run(run(samples={key: launches}), tmp_path))
    assert [float(row[0]) for row in back.samples[key]] == [float(i + 1) for i in range(12)]


def test_the_samples_are_an_npz_that_numpy_reads_without_pickle(tmp_path: Path) -> None:
    source = samples_path(save_run(run(), tmp_path))
    with np.load(source, allow_pickle=False) as archive:
        assert archive.files == [f"{sample_key(CELL)}/0", f"{sample_key(CELL)}/1"]
        np.testing.assert_array_equal(archive[f"{sample_key(CELL)}/1"], [3e-3])


def test_what_is_saved_is_strict_json_also_with_nan_and_numpy_scalars(tmp_path: Path) -> None:
    cell = record(flops=np.float64("nan"), peak_bytes=np.int64(3), steady=np.bool_(True))
    path = save_run(run(records=[cell], settings={"limit": math.inf}), tmp_path)

    def refuse(name: str) -> None:
        raise AssertionError(name)

    saved = json.loads(path.read_text(), parse_constant=refuse)
    assert saved["settings"] == {"limit": None}
    assert saved["records"][0]["flops"] is None
    assert "nan" in saved["records"][0]["missing"]["flops"]
    assert saved["records"][0]["peak_bytes"] == 3
    assert saved["records"][0]["steady"] is True


def test_a_checkpoint_replaces_the_one_before_and_leaves_nothing_else(tmp_path: Path) -> None:
    save_run(run(), tmp_path)
    path = save_run(run(finished=utc_now(), interrupted=True, samples={}), tmp_path)
    assert load_run(path).interrupted
    assert load_run(path).samples == {}
    name = "box-1/20261121T010203-ab12cd"
    assert files_under(tmp_path) == [f"{name}.json", f"{name}.samples.npz"]


def test_runs_saved_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    runs = [run(), run(), run("20261121T010203-ffffff")] * 5
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda one: save_run(one, tmp_path), runs))
    assert all(load_run(path).samples for path in paths)
    assert len(files_under(tmp_path)) == 2 * len(paths) == 4


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_full_disk_is_said_in_one_line_and_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = save_run(run(), tmp_path)
    before = path.read_bytes(), samples_path(path).read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(RecordError, match=r"cannot write results to .*: No space left.*; free"):
        save_run(run(interrupted=True, samples={}), tmp_path)
    assert (path.read_bytes(), samples_path(path).read_bytes()) == before
    assert len(files_under(tmp_path)) == 2


def test_space_is_asked_for_only_where_it_is_what_lacks(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="name a folder that can be written") as caught:
        save_run(run(), tmp_path / "file" / "below")
    assert "free some space" not in str(caught.value)


def test_the_json_appears_only_after_the_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    move = os.replace

    def watch(source: Path, destination: Path) -> None:
        moved.append(destination.suffix)
        move(source, destination)

    monkeypatch.setattr(os, "replace", watch)
    save_run(run(), tmp_path)
    assert moved == [".npz", ".json"]


def test_samples_without_their_record_are_left_out(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"records": []}))
    assert load_run(path).samples == {}


def test_a_run_whose_samples_are_gone_still_loads(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    samples_path(path).unlink()
    assert load_run(path).samples == {}
    assert len(load_run(path).records) == 1


def test_a_folder_under_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for write in (check_writable, lambda folder: save_run(run(), folder)):
        with pytest.raises(RecordError, match=r"^cannot write results to [^\n]*$"):
            write(tmp_path / "file" / "runs")
    assert files_under(tmp_path) == ["file"]


def test_check_writable_makes_the_folder_and_leaves_nothing_in_it(tmp_path: Path) -> None:
    check_writable(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    assert files_under(tmp_path) == []


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"run_id": "../../escape"}, "use new_run_id"),
        ({"machine": {"id": "../up"}}, "machine id '../up'"),
        ({"machine": {}}, "machine id None"),
        ({"records": [record(), record()]}, "recorded twice: .'backward/"),
        ({"records": []}, "samples of no record: .'backward/"),
        ({"records": [{"schema": 1}]}, "it lacks kind"),
        ({"samples": {sample_key(CELL): [np.ones((2, 2))]}}, r"launch 0 has shape \(2, 2\)"),
    ],
)
def test_a_run_of_the_wrong_shape_is_not_saved(
    tmp_path: Path, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        save_run(run(**wrong), tmp_path)
    assert files_under(tmp_path) == []


# Bad files


def broken(change: Any) -> str:
    """The JSON of a good run with something changed in it."""
    document: dict[str, Any] = {
        "schema": SCHEMA, "id": "20261121T010203-ab12cd", "started": "2026-11-21T01:02:03+00:00",
        "finished": None, "interrupted": False, "settings": {}, "machine": {"id": "m"},
        "records": [record()],
    }  # fmt: skip
    change(document)
    return json.dumps(document)


def error(**more: Any) -> dict[str, Any]:
    return {"relative": 1e-7, "tensor": "net1.w"} | more


BAD_FILES = {
    "empty": ("", "is not JSON, or was cut short"),
    "cut short": (broken(lambda d: None)[:-40], "is not JSON, or was cut short"),
    "not text": (b"\xff\xfe\x00{", "is not JSON, or was cut short"),
    "nested without end": ("[" * 200_000, "is not JSON, or was cut short"),
    "nan": ('{"schema": 1, "id": NaN}', "is not JSON, or was cut short"),
    "a list": ("[1, 2]", "not a run of this suite"),
    "pytest-benchmark's": ('{"machine_info": {}, "benchmarks": []}', "not a run of this suite"),
    "schema true": (broken(lambda d: d.update(schema=True)), "not a run of this suite"),
    "newer": (broken(lambda d: d.update(schema=SCHEMA + 1)), r"newer version \(schema 2;.*upgrade"),
    "no records": (broken(lambda d: d.pop("records")), "it lacks records"),
    "no machine id": (broken(lambda d: d["machine"].clear()), "machine lacks id"),
    "record lacks keys": (
        broken(lambda d: d["records"][0].pop("flops")),
        r"records\[0\] lacks flops",
    ),
    "record no object": (
        broken(lambda d: d["records"].append(3)),
        r"records\[1\] is 3; allowed: an object",
    ),
    "outcome": (
        broken(lambda d: d["records"][0].update(outcome="fine")),
        r"records\[0\].outcome is \"fine\"; allowed: one of ok",
    ),
    "flops": (
        broken(lambda d: d["records"][0].update(flops="7")),
        r"flops is \"7\"; allowed: a number from 0 to 1e\+30 or null",
    ),
    "kind": (broken(lambda d: d["records"][0].update(kind=None)), "kind is null; allowed: a name"),
    "ratio": (broken(lambda d: d["records"][0].update(ratio={})), "ratio lacks estimate, low"),
    "parameters": (
        broken(lambda d: d["records"][0].update(gradient_error=error(parameters={"net1.w": "1"}))),
        r"gradient_error.parameters.net1.w is \"1\"; allowed: a number from 0 to",
    ),
}


@pytest.mark.parametrize(("content", "words"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_in_one_line(
    tmp_path: Path, content: str | bytes, words: str
) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RecordError, match=words) as caught:
        load_run(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_file_that_the_bad_ones_were_made_from_is_good(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(broken(lambda document: None))
    assert len(load_run(path).records) == 1


def test_run_from_before_each_parameter_had_its_error_loads(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    for given in (error(), error(parameters={"net1.w": 1e-7, "net2.w": None})):
        path.write_text(broken(lambda d, e=given: d["records"][0].update(gradient_error=e)))
        assert load_run(path).records[0]["gradient_error"] == given


def test_keys_of_a_later_version_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(broken(lambda document: document["records"][0].update(energy=1.0)))
    first: Any = load_run(path).records[0]
    assert first["energy"] == 1.0


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"none.json does not exist; give the JSON"):
        load_run(tmp_path / "none.json")
    with pytest.raises(RecordError, match=r" is a folder; give the JSON"):
        load_run(tmp_path)


def test_samples_with_pickled_objects_are_refused_unread(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    marker = tmp_path / "unpickled"

    class Bomb:
        def __reduce__(self) -> Any:
            return (Path.touch, (marker,))

    bomb = np.array([Bomb()], dtype=object)
    np.savez(samples_path(path), **{f"{sample_key(CELL)}/0": bomb})  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="cannot be read as the samples of a run"):
        load_run(path)
    assert not marker.exists()


def test_samples_cut_short_are_refused(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    whole = samples_path(path).read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 1):
        samples_path(path).write_bytes(whole[:length])
        with pytest.raises(RecordError, match="copy it again, or move it away"):
            load_run(path)


def test_samples_that_lack_a_launch_are_refused(tmp_path: Path) -> None:
    path = save_run(run(), tmp_path)
    rows: dict[str, Any] = {f"{sample_key(CELL)}/{index}": np.ones(2) for index in (0, 2)}
    np.savez(samples_path(path), **rows)
    with pytest.raises(RecordError, match=r"lacks a launch; it has \[0, 2\]"):
        load_run(path)


# Finding runs


def test_runs_are_found_newest_last_over_all_machines(tmp_path: Path) -> None:
    late, early = "20270101T000000-000000", "20261121T010203-ffffff"
    save_run(run(late, machine={"id": "a"}), tmp_path)
    save_run(run(early, machine={"id": "b"}), tmp_path)
    (tmp_path / "a" / "notes.json").write_text("{}")
    (tmp_path / "a" / f".{late}.json.123.tmp").write_text("half")
    assert [path.stem for path in find_runs(tmp_path)] == [early, late]
    assert latest_run(tmp_path).stem == late
    assert latest_run(tmp_path, "b").stem == early


def test_where_there_is_no_run_the_way_to_one_is_said(tmp_path: Path) -> None:
    assert find_runs(tmp_path / "nowhere") == []
    with pytest.raises(RecordError, match=r"^no run under .*: pytest benchmarks --benchmark-only$"):
        latest_run(tmp_path / "nowhere")
    save_run(run(), tmp_path)
    with pytest.raises(RecordError, match=r"^no run of machine other under "):
        latest_run(tmp_path, "other")
