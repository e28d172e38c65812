"""Test which files are refused before measuring, and that trying them changes nothing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from results.records.outputs import check_file, check_replaceable
from results.records.record import RecordError


@pytest.mark.parametrize("check", [check_file, check_replaceable])
def test_file_that_can_be_written_is_left_as_it_is(tmp_path: Path, check: object) -> None:
    assert callable(check)
    (tmp_path / "old.json").write_text("kept")
    check(tmp_path / "new.json", "--json")
    check(tmp_path / "old.json", "--json")
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "kept"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "is a folder; give a file in it"),
        ("none/out.json", "the folder .*none does not exist; create it first"),
        ("file/out.json", "the folder .*file is no folder"),
        ("pipe", "is a pipe"),
        ("x" * 300, "File name too long"),
        ("a\0b", "null (byte|character)"),
    ],
)
def test_file_that_cannot_be_written_is_refused_in_one_line(
    tmp_path: Path, name: str, said: str
) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(RecordError, match=f"^--json .*{said}") as raised:
        check_file(tmp_path / name, "--json")
    assert "\n" not in str(raised.value)


def test_device_is_asked_whether_it_takes_what_is_written() -> None:
    check_file("/dev/null", "--json")
    with pytest.raises(RecordError, match=r"--json /dev/full: cannot be written \(No space left"):
        check_file("/dev/full", "--json")


@pytest.mark.parametrize("device", ["/dev/null", "/dev/full"])
def test_device_is_never_replaced_by_a_file(device: str) -> None:
    with pytest.raises(RecordError, match=f"--json {device}: is no regular file"):
        check_replaceable(device, "--json")
    assert not Path(device).is_file()


def test_folder_of_a_file_to_replace_is_created_and_must_be_one(tmp_path: Path) -> None:
    check_replaceable(tmp_path / "new" / "out.json", "--json")
    assert (tmp_path / "new").is_dir()
    with pytest.raises(RecordError, match="is a folder"):
        check_replaceable(tmp_path / "new", "--json")
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"cannot write .*file: File exists"):
        check_replaceable(tmp_path / "file" / "out.json", "--json")
