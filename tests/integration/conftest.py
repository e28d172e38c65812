"""Fixtures that several integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import environment
from benchmarks.regression import session, worktrees
from tests.helpers.fake_comparisons import Measure, measure_comparisons


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Return a function that measures cells; ``base`` and ``head`` are the faults of that side."""
    yield from measure_comparisons(tmp_path, monkeypatch)


@cache
def _machine() -> dict[str, Any]:
    """Describe this machine once: reading what is installed takes a third of a second."""
    return environment.describe()


def _link_tree(repo: Path, into: Path) -> None:
    """Put links to the repository's files into a new folder; to copy them takes half a second."""
    into.mkdir(parents=True)
    for path in repo.iterdir():
        (into / path.name).symlink_to(path)


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that replaces the session by one that ends with this document.

    Such a session runs no code of either side, so that links stand for the copied files.
    """
    machine = _machine()
    monkeypatch.setattr(environment, "describe", lambda: deepcopy(machine))
    monkeypatch.setattr(worktrees, "copy_work_tree", _link_tree)

    def set_up(document: dict[str, Any], error: BaseException | None = None) -> Path:
        def run(self: session.ComparisonSession) -> None:
            filled = {k: document[k] for k in ("cells", "design", "pairs")}
            self.document |= filled | {"stopped": "every cell was decided"}
            self.save(self.document)
            if error:
                raise error

        monkeypatch.setattr(session.ComparisonSession, "run", run)
        return tmp_path / "kept"

    return set_up
