"""What a worker takes off its own process before a user's case is imported there."""

from __future__ import annotations

import sys

import pytest

from benchmarks.harness.worker.case_files import SUITE, leave_process_to
from benchmarks.paths import ROOT


@pytest.mark.parametrize(
    ("variable", "before", "after"),
    [
        ("", [SUITE, SUITE, "/lib"], ["/lib"]),
        ("/mine", [SUITE, SUITE, "/mine", "/lib"], ["/mine", "/lib"]),
        (f"/mine:{SUITE}", [SUITE, SUITE, "/mine", SUITE, "/lib"], ["/mine", SUITE, "/lib"]),
        (f"{SUITE}:/mine", [SUITE, SUITE, SUITE, "/mine"], [SUITE, "/mine"]),
    ],
)
def test_suite_s_folder_hides_no_package_of_the_user_s(
    monkeypatch: pytest.MonkeyPatch, variable: str, before: list[str], after: list[str]
) -> None:
    """Leave the suite's folder on the path only where the user has put it there."""
    monkeypatch.setenv("PYTHONPATH", variable)
    monkeypatch.setattr(sys, "argv", ["worker", "--device", "cpu"])
    monkeypatch.setattr(sys, "path", list(before))
    for _ in range(2):  # each request of a worker does it
        leave_process_to({"module": "cases"})
        assert sys.path == after
    assert str(ROOT) == SUITE


@pytest.mark.parametrize(
    ("source", "word"),
    [({"file": "/my case.py"}, "/my case.py"), ({"module": "cases"}, "cases"), ({}, "")],
)
def test_command_line_of_the_worker_is_not_the_user_s(
    monkeypatch: pytest.MonkeyPatch, source: dict[str, str], word: str
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", ["worker", "--device", "cpu", "--dtype", "float64"])
    leave_process_to(source)  # type: ignore[arg-type]
    assert sys.argv == [word]
