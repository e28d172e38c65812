"""Time strategies in several ranks, each with its share of the batch: one cell a test."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.session.replay import replay


def test_distributed(timed_cell: Any, benchmark: Any) -> None:
    """Report the cell's measured samples through pytest-benchmark."""
    replay(timed_cell, benchmark)
