"""Name the folders of this project: its root, and those of runs, reports, comparisons and traces.

In a clone they are kept below ``results``. Installed from a wheel the suite is data inside the
package `cascade_bench`, and what it measures is kept in the folder that it was started in: nothing
is ever written into site-packages.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALLED = ROOT.name == "_suite"  # as setup.py lays it out
OUTPUT_NAME = ".cascade-bench"  # of the folder that keeps what was measured of a user's own code
OUTPUT = Path.cwd() / OUTPUT_NAME if INSTALLED else ROOT / "results"
RUNS = OUTPUT / "runs"
REPORTS = OUTPUT / "reports"
REGRESSIONS = OUTPUT / "regressions"
PROFILES = OUTPUT / "profiles"
