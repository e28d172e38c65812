"""A spec that changes the controlling process leaves it as it was: its workers inherit from it."""

from __future__ import annotations

import builtins
import gc
import locale
import os
import random
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import kept_state, loading
from tests.helpers.external_scenarios import write

FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
# what to do to the process, and how to read what it does
CHANGES: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "variable": (lambda: os.environ.update(OMP_NUM_THREADS="7"), lambda: dict(os.environ)),
    "variable_gone": (lambda: os.environ.pop("PATH"), lambda: dict(os.environ)),
    "folder": (lambda: os.chdir("/"), os.getcwd),
    "permissions": (lambda: os.umask(0o077), kept_state._umask),
    "limit": (
        lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (200, FILES[1])),
        lambda: resource.getrlimit(resource.RLIMIT_NOFILE),
    ),
    "cores": (
        # another core: where tests run on one each, this one alone would be no change
        lambda: os.sched_setaffinity(
            0,
            set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
            or {min(os.sched_getaffinity(0))},
        ),
        lambda: os.sched_getaffinity(0),
    ),
    "signal": (
        lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
        lambda: signal.getsignal(signal.SIGTERM),
    ),
    "recursion": (lambda: sys.setrecursionlimit(5000), sys.getrecursionlimit),
    "interval": (lambda: sys.setswitchinterval(0.5), sys.getswitchinterval),
    "profile": (lambda: sys.setprofile(print_nothing), sys.getprofile),
    "collector": (gc.disable, gc.isenabled),
    "thresholds": (lambda: gc.set_threshold(1, 2, 3), gc.get_threshold),
    "warnings": (lambda: warnings.simplefilter("ignore"), lambda: list(warnings.filters)),
    "errors": (lambda: np.seterr(all="raise"), np.geterr),
    "locale": (
        lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
        lambda: locale.setlocale(locale.LC_ALL),
    ),
    "dice": (lambda: random.seed(1), random.getstate),
    "numpy_dice": (lambda: np.random.seed(1), kept_state._numpy_state),
    "stdout": (lambda: setattr(sys, "stdout", None), lambda: sys.stdout),
    "clock": (lambda: setattr(time, "monotonic", lambda: 0.0), lambda: time.monotonic),
    "builtin": (lambda: setattr(builtins, "sorted", list), lambda: builtins.sorted),
    "imports": (lambda: sys.path.insert(0, "/nowhere"), lambda: sys.path[0]),
}


@pytest.fixture(autouse=True)
def _path() -> Iterator[None]:
    """Restore the folders of imports, of which those that were added stay."""
    before = list(sys.path)
    yield
    sys.path[:] = before


def print_nothing(*_: Any) -> None:
    """Do nothing."""


@pytest.mark.parametrize("name", CHANGES)
def test_what_a_block_of_code_changes_is_put_back(name: str) -> None:
    change, read = CHANGES[name]
    before = read()
    with kept_state.unchanged():
        change()
        changed = read() != before
    assert read() == before
    assert changed or name == "locale"  # it may have been this one


def test_it_is_put_back_after_an_error_too() -> None:
    def fail() -> None:
        os.environ["LEFT"] = "1"
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        kept_state.restoring(fail)()
    assert "LEFT" not in os.environ


def test_folders_of_imports_that_code_adds_stay_at_the_end() -> None:
    before = list(sys.path)
    with kept_state.unchanged():
        sys.path.insert(0, "/nowhere")
    assert sys.path == [*before, "/nowhere"]


SPEC = """
import os

def leave(name):
    os.environ[name] = "left"
    os.umask(0o077)

leave("AT_IMPORT")
"""


def test_neither_reading_a_spec_nor_drawing_from_it_leaves_anything(tmp_path: Path) -> None:
    file = write(
        tmp_path, "mine", spec=("    shape = (batch", '    leave("AT_DATA")\n    shape = (batch')
    )
    text = file.read_text().replace(
        "*, width, **_):\n", '*, width, **_):\n    leave("AT_WEIGHTS")\n'
    )
    file.write_text(SPEC + text)
    catalogue, before = dict(CATALOGUE), (dict(os.environ), kept_state._umask())
    try:
        (scenario,) = loading.load([file])
        scenario.draw("-", "seed")
        scenario.problem_spec("-", "seed")
    finally:
        CATALOGUE.clear()
        CATALOGUE.update(catalogue)
    assert (dict(os.environ), kept_state._umask()) == before
