"""Fixtures that several integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.regression import session
from tests.helpers.fake_comparisons import Measure, measure_comparisons


@pytest.fixture
def measure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Return a function that measures cells; ``base`` and ``head`` are the faults of that side."""
    yield from measure_comparisons(tmp_path, monkeypatch)


@pytest.fixture
def ending(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Return a function that replaces the session by one that ends with this document."""

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
