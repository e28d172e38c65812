"""Whole sessions: the end of pytest-benchmark fails, the encoding is poor, folders have spaces."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.helpers.fake_sessions import only_run, session, shell


@pytest.mark.parametrize("fault", [{"FAKE_NATIVE_FAULT": "1"}, {}], ids=["fault", "none"])
def test_summary_comes_whatever_pytest_benchmark_does_at_its_end(
    tmp_path: Path, fault: dict[str, str]
) -> None:
    """Its JSON finds no room: the tables, the ratios and the run are there all the same."""
    exported = tmp_path / "out.json"
    done = session(f"--results={tmp_path}", f"--benchmark-json={exported}", **fault)
    assert done.returncode == (1 if fault else 0), done.stdout + done.stderr
    assert ("pytest-benchmark could not do its part: OSError: " in done.stdout) == bool(fault)
    assert exported.exists() != bool(fault)
    assert "benchmark 'linear_cascade seed torch eager backward cpu float32'" in done.stdout
    assert "= ratios =" in done.stdout
    assert "run saved:" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert only_run(tmp_path).finished


def test_summary_comes_where_a_comparison_of_pytest_benchmark_fails_the_session(
    tmp_path: Path,
) -> None:
    saved = f"--benchmark-storage={tmp_path / 'native'}"
    assert session(f"--results={tmp_path / 'a'}", saved, "--benchmark-autosave").returncode == 0
    (stored,) = (tmp_path / "native").rglob("*.json")
    document = json.loads(stored.read_text())
    for benchmark in document["benchmarks"]:  # so that every machine is slower than its past
        benchmark["stats"]["min"] /= 100
    stored.write_text(json.dumps(document))
    done = session(
        f"--results={tmp_path / 'b'}", saved, "--benchmark-compare",
        "--benchmark-compare-fail=min:10%",
    )  # fmt: skip
    assert "Performance has regressed" in done.stdout + done.stderr
    assert done.returncode != 0
    assert "run saved:" in done.stdout


def test_summary_in_a_poor_encoding_has_no_escapes(tmp_path: Path) -> None:
    done = session(f"--results={tmp_path}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "torch eager | small | backward" in done.stdout
    assert "\\x" not in done.stdout
    assert "\\u" not in done.stdout


def test_printed_command_can_be_pasted_whatever_the_folder_is_called(tmp_path: Path) -> None:
    folder = tmp_path / "a b$HOME 'c'"
    done = session(f"--results={folder}")
    (command,) = [
        line.removeprefix("its report: ")
        for line in done.stdout.splitlines()
        if line.startswith("its report: ")
    ]
    shown = shell(command.replace(" report ", " show ", 1))
    assert shown.returncode == 0, shown.stderr
    assert f"\nrun {only_run(folder).id} " in shown.stdout
