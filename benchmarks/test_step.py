"""Whole training steps: forward, backward and update, one test a cell."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.session.replay import replay


def test_step(
    timed_cell: Any,
    benchmark: Any,
    scenario: str,
    variant: str,
    size: str,
    framework: str,
    mode: str,
    strategy: str,
    phase: str,
    device: str,
    dtype: str,
) -> None:
    replay(timed_cell, benchmark)
