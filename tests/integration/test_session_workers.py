"""The workers of the checks that all tests of a pytest session share."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.harness.launches import session_workers
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.machine import frameworks

PROBLEM = ("linear_cascade", "-", "seed")


@pytest.mark.usefixtures("measured")  # lets workers import the fake framework
def test_problem_is_opened_anew_after_its_worker_was_borrowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frameworks, "why_missing", lambda name: None)
    ends: list[Callable[[], None]] = []
    config: Any = SimpleNamespace(stash=pytest.Stash(), add_cleanup=ends.append)
    workers = session_workers.of_session(config)
    opened: list[str] = []
    open_in = ProblemFiles.open_in

    def watch(files: ProblemFiles, *rest: Any) -> None:
        opened.append(files.problem[0])
        open_in(files, *rest)

    monkeypatch.setattr(ProblemFiles, "open_in", watch)
    try:
        launch = workers.open(PROBLEM, "fake")
        assert workers.open(PROBLEM, "fake") is launch
        assert opened == ["linear_cascade"]
        assert workers.borrow("fake") is launch
        assert workers.open(PROBLEM, "fake") is launch
        assert opened == ["linear_cascade"] * 2
        assert session_workers.of_session(config) is workers
    finally:
        for end in ends:
            end()
    assert launch.dead
    assert len(ends) == 1
