"""Test that the tests themselves hold where a shell runs them in the background."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.paths import ROOT


def test_tests_of_ctrl_c_hold_where_the_shell_has_it_ignored() -> None:
    tests = "-m pytest -q tests/unit/client/test_compare.py -k ctrl_c -p no:cacheprovider"
    done = subprocess.run(
        ["sh", "-c", f"trap '' INT; exec {sys.executable} {tests}"],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
