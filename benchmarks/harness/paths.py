"""Where runs and reports are kept."""

from __future__ import annotations

from pathlib import Path

RUNS = Path(__file__).resolve().parents[2] / "results" / "runs"
REPORTS = RUNS.parent / "reports"
REGRESSIONS = RUNS.parent / "regressions"
