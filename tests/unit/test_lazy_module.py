"""Collecting the tests imports no framework: each process of pytest-xdist collects them all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.lazy_module import LazyModule

COLLECT = """
import sys, pytest
pytest.main([*sys.argv[1:], "--collect-only", "-q", "-p", "no:cacheprovider"])
print("LOADED", sorted({"torch", "jax", "flax", "optax"} & set(sys.modules)))
"""


def loaded_by_collecting(folder: str) -> str:
    """Return the line of the frameworks that a pytest which only collects has imported."""
    done = subprocess.run(
        [sys.executable, "-c", COLLECT, folder],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert " collected" in done.stdout
    return done.stdout.splitlines()[-1]


def test_module_is_imported_when_an_attribute_is_read_and_not_by_a_look_of_pytest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_late.py").write_text("value = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    module = LazyModule("imported_late")
    for name in ("__test__", "__wrapped__", "__bases__", "_mock_name"):
        assert not hasattr(module, name)
    assert "imported_late" not in sys.modules
    assert module.value == 3
    monkeypatch.delitem(sys.modules, "imported_late")


def test_test_of_a_module_that_is_not_installed_is_skipped() -> None:
    with pytest.raises(pytest.skip.Exception, match="not_installed_anywhere"):
        _ = LazyModule("not_installed_anywhere").value


@pytest.mark.slow
def test_collecting_the_tests_imports_no_framework() -> None:
    assert loaded_by_collecting("tests") == "LOADED []"
