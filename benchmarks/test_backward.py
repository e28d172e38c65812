"""Time summed against separate backward passes: one cell a test, after its gradients passed."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.session.replay import replay


def test_backward(timed_cell: Any, benchmark: Any) -> None:
    """Report the cell's measured samples through pytest-benchmark."""
    replay(timed_cell, benchmark)
