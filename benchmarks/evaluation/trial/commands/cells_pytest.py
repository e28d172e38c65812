"""Define the cells as a user of pytest-benchmark writes them."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.evaluation.trial import cell


@pytest.mark.parametrize("name", cell.names())
def test_cell(name: str, request: pytest.FixtureRequest) -> None:
    """Time the real cell, or replay each recorded sample once."""
    call, timer, count = cell.open_cell(name)
    request.node.add_marker(pytest.mark.benchmark(timer=timer))
    benchmark: Any = request.getfixturevalue("benchmark")
    if count:
        benchmark.pedantic(call, rounds=count, iterations=1)
    else:
        benchmark(call)
