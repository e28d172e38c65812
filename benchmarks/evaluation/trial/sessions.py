"""Measure how much times differ from session to session, on unchanged code.

Run by ``python -m benchmarks.evaluation.trial.sessions [COUNT]``; the figures are in
docs/history.md.

COUNT short sessions measure the same cells, one after another. The figures say how far a cell's
time moves from session to session, how much of that all cells share, whether it gets less when the
machine reference is taken out (`results.statistics.change_points.level_of`), and how often two of
these runs are called different by ``cascade-bench regress --stored``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.paths import ROOT
from results.records import storage
from results.regression import stored_runs
from results.regression.history import Series, series_of_runs
from results.statistics.change_points import changes, level_of
from results.statistics.estimators import Array
from results.statistics.verdict import FASTER, SLOWER

COUNT = 26
SERIES_FILE = ROOT / "results" / "reference" / "sessions.json"
SESSION = [
    "benchmarks", "--benchmark-only", "--benchmark-quiet", "-q", "--kind=backward", "--size=small",
    "--scenario=linear_cascade,conv_cascade,three_network_cascade", "--phase=gradient",
    "--strategy=summed,separate_retained", "--launches=4", "--cell-seconds=0.1",
]  # fmt: skip
HEADINGS = (
    "framework", "cells", "frozen reference", "shared by all cells", "… reference out",
    "a cell's own", "a cell in all", "… reference out", "changes found", "… reference out",
)  # fmt: skip


def measure(count: int, folder: Path) -> None:
    """Run sessions until the folder has this many runs."""
    while len(storage.find_runs(folder)) < count:
        command = [sys.executable, "-m", "pytest", *SESSION, f"--results={folder}"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"{len(storage.find_runs(folder))} of {count} sessions", flush=True)


def load_series(folder: Path) -> list[dict[str, Any]]:
    """Return for each cell its times over the sessions, and those of the machine reference.

    The machine reference is work that never changes, timed beside the cells. Each entry has
    ``cell`` (its name), ``framework``, and in seconds by session ``seconds`` and ``frozen``, the
    reference. Only cells that all runs have are included.
    """
    runs = [storage.load_run(path, samples=False) for path in storage.find_runs(folder)]
    complete = [one for one in series_of_runs(runs) if len(one.runs) == len(runs)]
    return [_plain(one) for one in complete]


def compare_pairs(folder: Path) -> dict[str, int]:
    """Compare every two of the runs in a folder, the later with the earlier.

    Return the number of ``pairs``, and of those with any ``slower`` and any ``faster`` verdict. All
    runs are of the same code, so every such verdict is a false alarm or the machine's.
    """
    runs = [storage.load_run(path) for path in storage.find_runs(folder)]
    runs.sort(key=lambda run: run.id)
    analyses = [stored_runs.compare(*pair) for pair in itertools.combinations(runs, 2)]
    verdicts = [
        {finding.verdict for finding in one.findings} | {shift.verdict for shift in one.shifts}
        for one in analyses
    ]
    return {
        "pairs": len(analyses),
        "slower": sum(SLOWER in of_pair for of_pair in verdicts),
        "faster": sum(FASTER in of_pair for of_pair in verdicts),
    }


def _plain(series: Series) -> dict[str, Any]:
    """Return the series of one cell as JSON, as `load_series` describes it."""
    times = {"seconds": series.seconds.tolist(), "frozen": series.reference_seconds.tolist()}
    return {"cell": series.name, "framework": series.cell["framework"], **times}


def figures(series: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return for each framework standard deviations of log times from session to session.

    Args:
        series: the entries of `load_series`.

    Returns:
        framework → figure → value. ``frozen`` is of the machine reference, ``common`` of the part
        that all cells share, ``own`` of the rest, and ``cell`` of the whole; the last two are
        medians over the cells. ``changes`` counts cells with a change point. Names that end
        with ``_out`` are figures with the machine reference taken out.
    """
    by_framework = {}
    for framework in dict.fromkeys(one["framework"] for one in series):
        mine = [one for one in series if one["framework"] == framework]
        raw = np.array([np.log(one["seconds"]) for one in mine])
        out = np.array([level_of(one["seconds"], one["frozen"]) for one in mine])
        machine_reference = np.log(mine[0]["frozen"])
        by_framework[framework] = {
            "cells": len(mine),
            "frozen": _spread(machine_reference),
            "common": _spread(_common(raw)),
            "common_out": _spread(_common(out)),
            "own": _median_spread(raw - _common(raw)),
            "cell": _median_spread(raw),
            "cell_out": _median_spread(out),
            "changes": sum(bool(changes(row)) for row in raw),
            "changes_out": sum(bool(changes(row)) for row in out),
        }
    return by_framework


def _common(levels: Array) -> Array:
    """Return the part of the levels [cells, sessions] that all cells share, by session."""
    centred = levels - np.median(levels, axis=1, keepdims=True)
    shared: Array = np.median(centred, axis=0)
    return shared


def _spread(values: Array) -> float:
    """Return the standard deviation of these values."""
    return float(np.std(values, ddof=1))


def _median_spread(levels: Array) -> float:
    """Return the median over the cells of their standard deviations over the sessions.

    ``levels`` are log times [cells, sessions].
    """
    return float(np.median([_spread(row) for row in levels]))


def table(by_framework: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Yield the lines of a Markdown table of `figures`, a row for each framework."""
    yield f"| {' | '.join(HEADINGS)} |"
    yield f"|---|{'--:|' * (len(HEADINGS) - 1)}"
    spreads = ("frozen", "common", "common_out", "own", "cell", "cell_out")
    for framework, one in by_framework.items():
        percents = " | ".join(f"{100 * one[name]:.1f} %" for name in spreads)
        counts = " | ".join(f"{one[name]:.0f}" for name in ("changes", "changes_out"))
        yield f"| {framework} | {one['cells']:.0f} | {percents} | {counts} |"


def stored_text(counts: Mapping[str, int]) -> str:
    """Return a sentence with the counts of `compare_pairs`, for the page and the terminal."""
    return (
        f"Of {counts['pairs']} pairs of these runs `cascade-bench regress --stored` calls "
        f"{counts['slower']} slower in anything and {counts['faster']} faster."
    )


def main() -> int:
    """Measure the sessions that are missing, save their series, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help=f"sessions ({COUNT})")
    parser.add_argument("--runs", type=Path, help="where they are kept; none: only the table")
    options = parser.parse_args()
    if options.runs:
        measure(options.count, options.runs)
        saved = {"series": load_series(options.runs), "stored": compare_pairs(options.runs)}
        SERIES_FILE.write_text(json.dumps(saved, indent=1) + "\n")
    saved = json.loads(SERIES_FILE.read_text())
    print("\n".join([*table(figures(saved["series"])), "", stored_text(saved["stored"])]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
