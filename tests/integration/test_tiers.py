"""Tests on several cores: what they share, and that a session that they start measures."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import conftest as tiers
from benchmarks.paths import ROOT

pytest.importorskip("xdist")

CHILD = """
import os

def test_it_is_pinned_and_no_process_of_xdist():
    assert len(os.sched_getaffinity(0)) == 1
    assert not [name for name in os.environ if name.startswith("PYTEST_XDIST_")]
"""


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system pins nothing")
def test_each_process_is_pinned_and_hands_on_nothing_of_xdist(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text((ROOT / "conftest.py").read_text())
    (tmp_path / "test_child.py").write_text(CHILD)
    command = [sys.executable, "-m", "pytest", "-q", "-n", "1", "-p", "no:cacheprovider", "."]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make")
def test_what_the_tests_compile_is_kept_where_the_environment_forbids_it(tmp_path: Path) -> None:
    (tmp_path / "installed").touch()
    print_it = 'echo "[$$PYTHONDONTWRITEBYTECODE]";:'  # the colon takes pytest's arguments
    done = subprocess.run(
        ["make", "--silent", "test", f"VENV={tmp_path}", f"TESTS={print_it}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["[]", "[]"]


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("benchmarks/test_equivalence.py::test_a[gan-turn_d-seed-jax]", "gan"),
        ("benchmarks/test_training.py::test_a[two_player-b_then_a]", "two_player"),
        ("benchmarks/test_training.py::test_a[torch-gan]", "gan"),
        ("benchmarks/test_counts.py::test_a[torch]", "benchmarks/test_counts.py"),
        ("benchmarks/test_runtime.py::test_a", "benchmarks/test_runtime.py"),
        ("tests/unit/test_a.py::test_b[gan-turn_d]", "tests/unit/test_a.py"),
    ],
)
def test_checks_of_a_scenario_share_a_process_and_other_tests_their_file(
    nodeid: str, scope: str
) -> None:
    assert tiers.scope(nodeid) == scope


def test_there_is_a_process_for_each_core_that_may_be_used_and_memory_for_each() -> None:
    count = tiers.pytest_xdist_auto_num_workers()
    assert 1 <= count <= (os.cpu_count() or 1)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert count == 1 or count * tiers.BYTES_PER_PROCESS <= memory


def test_tests_are_not_pinned_and_as_many_run_as_there_are_cores_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("sched_getaffinity", "sched_setaffinity"):  # Linux alone has them
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(os, "sysconf", lambda name: 2**12 if name == "SC_PAGE_SIZE" else 2**24)
    tiers.pin_to_core(0)
    assert tiers.pytest_xdist_auto_num_workers() == 3
