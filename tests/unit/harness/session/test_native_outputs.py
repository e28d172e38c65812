"""Test what pytest-benchmark may write, before a session, and what it may break, after it."""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.session import native_outputs, summary
from results.records.record import RecordError


def config(native: Any = None, **options: Any) -> Any:
    """Return a configuration of pytest with these options, and pytest-benchmark's session."""
    return SimpleNamespace(
        getoption=lambda name, default=None: options.get(name, default),
        pluginmanager=SimpleNamespace(getplugin={"pytest-benchmark": native}.get),
    )


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"benchmark_json": "none/out.json"}, "--benchmark-json .*does not exist"),
        ({"xmlpath": "file/x.xml"}, "--junitxml: cannot write"),
        ({"benchmark_save": "a", "benchmark_storage": "file"}, "--benchmark-storage: cannot write"),
        (
            {"benchmark_autosave": "a", "benchmark_storage": "file://file/b"},
            "--benchmark-storage: cannot write",
        ),
    ],
)
def test_file_of_each_option_is_tried_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(RecordError, match=f"^{said}"):
        native_outputs.check(config(**options))


def test_files_that_can_be_written_are_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folders = {"benchmark_save": "a", "benchmark_storage": "elasticsearch+http://x/y"}
    native_outputs.check(config(benchmark_json="out.json", xmlpath="new/x.xml", **folders))
    assert list(tmp_path.iterdir()) == [tmp_path / "new"]


def test_histogram_needs_what_draws_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(RecordError, match="--benchmark-histogram needs pygal, not installed"):
        native_outputs.check(config(benchmark_histogram=["a"]))


def test_exception_at_the_end_becomes_a_line() -> None:
    native = SimpleNamespace(
        handle_saving=failing(OSError(28, "No space")), finish=failing(KeyError("x"))
    )
    failures = native_outputs.guard(config(native))
    native.handle_saving()
    native.finish()
    assert failures == [
        "pytest-benchmark could not do its part: OSError: [Errno 28] No space",
        "pytest-benchmark could not do its part: KeyError: 'x'",
    ]


def test_comparison_with_nothing_is_refused_at_the_beginning() -> None:
    native = SimpleNamespace(compare_fail=["min:5%"], compared_mapping={})
    with pytest.raises(pytest.UsageError, match="give --benchmark-compare as well"):
        native_outputs.guard(config(native))
    native.compared_mapping = {"a run": {}}
    assert native_outputs.guard(config(native)) == []


@pytest.mark.parametrize(("given", "named"), [(True, ""), ("0007", " that matches '0007'")])
def test_comparison_without_a_stored_run_says_what_to_do(given: Any, named: str) -> None:
    said: list[str] = []
    native = SimpleNamespace(
        compare=given, compared_mapping={}, storage="file://x", autosave=None, save=None
    )
    native.logger = SimpleNamespace(info=said.append)
    missing = f"--benchmark-compare has nothing to compare with: no stored run{named} in file://x; "
    with pytest.raises(pytest.UsageError) as refused:
        native_outputs.guard(config(native))
    assert str(refused.value) == missing + "store one first, by --benchmark-autosave"
    native.autosave = "a name"
    assert native_outputs.guard(config(native)) == []
    assert said == [missing + "the next session can compare with this one, which is stored"]
    native.compare_fail = ["min:5%"]
    with pytest.raises(pytest.UsageError, match=r"^--benchmark-compare-fail has .*; store one"):
        native_outputs.guard(config(native))


def test_command_of_a_report_can_be_pasted(tmp_path: Path) -> None:
    path = tmp_path / "a b$HOME 'c'" / "run.json"
    command = summary.report_command(path).removeprefix("its report: ")
    assert shlex.split(command) == ["cascade-bench", "report", str(path)]


def test_environment_that_nobody_has_activated_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a b" / "bin").mkdir(parents=True)
    script = tmp_path / "a b" / "bin" / "activate"
    script.touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "a b"))
    monkeypatch.setenv("PATH", str(tmp_path))
    hint = summary.activation_hint()
    assert hint is not None
    assert shlex.split(hint.partition(": ")[2]) == [".", str(script)]
    (tmp_path / "cascade-bench").touch(mode=0o755)
    assert summary.activation_hint() is None
