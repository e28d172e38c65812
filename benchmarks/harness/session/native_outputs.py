"""Check and guard what pytest and pytest-benchmark write at the end of a session.

They open their files after everything has been measured, and an exception there would cost the
summary of hours. So the files are tried before, and what fails all the same becomes a line.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.records import storage
from results.records.outputs import check_file
from results.records.record import RecordError

STEPS = ("handle_saving", "finish")  # of pytest-benchmark at its end, the inner one first


def check(config: pytest.Config) -> None:
    """Check that every file and folder that the options name can be written.

    Raises:
        RecordError: a line that names the option, and why it cannot.
    """
    option = config.getoption
    if option("benchmark_json", default=None):
        check_file(option("benchmark_json"), "--benchmark-json")
    if option("xmlpath", default=None):
        report = Path(os.path.expanduser(os.path.expandvars(option("xmlpath")))).absolute()
        _check_folder(report.parent, "--junitxml")  # pytest creates it
        check_file(report, "--junitxml")
    if option("benchmark_save", default=None) or option("benchmark_autosave", default=None):
        _check_storage(option("benchmark_storage"))
    _check_pictures(option("benchmark_histogram", default=None))


def _check_storage(storage_uri: str) -> None:
    """Check that pytest-benchmark's folder of saved runs can be written, if it is a folder."""
    kind, separator, path = storage_uri.rpartition("://")
    if not separator or kind == "file":
        _check_folder(Path(path), "--benchmark-storage")


def _check_pictures(prefixes: list[str] | None) -> None:
    """Check that the histograms can be drawn, and written into their folder."""
    if not prefixes:
        return
    if not importlib.util.find_spec("pygal"):
        raise RecordError(
            "--benchmark-histogram needs pygal, not installed here: "
            "pip install 'pytest-benchmark[histogram]'; charts of a run: cascade-bench report"
        )
    _check_folder(Path(prefixes[0]).absolute().parent, "--benchmark-histogram")


def _check_folder(folder: Path, option: str) -> None:
    """Check that a folder can be created and written to; name the option if not."""
    try:
        storage.check_writable(folder)
    except RecordError as error:
        raise RecordError(f"{option}: {error}") from None


def guard(config: pytest.Config) -> list[str]:
    """Keep an exception of pytest-benchmark at the end of a session from ending it.

    Returns:
        A list that gets a line for each exception.

    Raises:
        pytest.UsageError: there is nothing to compare with, see `_check_comparison`.
    """
    failures: list[str] = []
    native = config.pluginmanager.getplugin("pytest-benchmark")
    _check_comparison(native)
    for name in STEPS:
        step = getattr(native, name, None)
        if step is not None:
            setattr(native, name, _guarded(step, failures))
    return failures


def _check_comparison(native: Any) -> None:
    """Refuse to compare with nothing, or say so where this session's own run will be stored.

    Args:
        native: pytest-benchmark's session, which has looked for stored runs by now.

    Raises:
        pytest.UsageError: there is no stored run to compare with, and ``--benchmark-compare-fail``
            could fail nothing, or nothing is stored for the next comparison either.
    """
    given = getattr(native, "compare", None)
    failing = getattr(native, "compare_fail", None)
    if not (given or failing) or getattr(native, "compared_mapping", None):
        return
    option = "--benchmark-compare-fail" if failing else "--benchmark-compare"
    if not given:
        raise pytest.UsageError(
            f"{option} has nothing to compare with: give --benchmark-compare as well, and store a "
            "run first, by --benchmark-autosave"
        )
    named = "" if given is True else f" that matches {given!r}"
    missing = f"{option} has nothing to compare with: no stored run{named} in {native.storage}"
    if failing or not (native.autosave or native.save):
        raise pytest.UsageError(f"{missing}; store one first, by --benchmark-autosave")
    native.logger.info(f"{missing}; the next session can compare with this one, which is stored")


def _guarded(step: Callable[[], Any], failures: list[str]) -> Callable[[], None]:
    """Return a function that calls the step, and adds a line to the failures if it raises."""

    def call() -> None:
        try:
            step()
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            failures.append(f"pytest-benchmark could not do its part: {reason}")

    return call
