"""Name the folders of this project: its root, and those of runs, reports and comparisons."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNS = ROOT / "results" / "runs"
REPORTS = ROOT / "results" / "reports"
REGRESSIONS = ROOT / "results" / "regressions"
