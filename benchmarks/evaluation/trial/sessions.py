"""Measure what a session does to times, on unchanged code.

Run by ``python -m benchmarks.evaluation.trial.sessions [COUNT]``.

So many short sessions of the same cells, one after the other, and from them: how far a cell's time
moves from session to session, how much of that all cells share, whether taking out the frozen
reference (`results.statistics.change_points.level_of`) makes it less, and how often two of these
runs are called different (`cascade-bench regress --stored`). The figures of docs/history.md.
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
from results.regression.history import Series, of_runs
from results.statistics.change_points import changes, level_of
from results.statistics.estimators import Array
from results.statistics.verdict import FASTER, SLOWER

COUNT = 26
KEPT = ROOT / "results" / "reference" / "sessions.json"
SESSION = [
    "benchmarks", "--benchmark-only", "--benchmark-quiet", "-q", "--kind=backward", "--size=small",
    "--scenario=linear_cascade,conv_cascade,three_network_cascade", "--phase=gradient",
    "--strategy=summed,separate_retained", "--launches=4", "--cell-seconds=0.1",
]  # fmt: skip
HEADS = (
    "framework", "cells", "frozen reference", "shared by all cells", "… reference out",
    "a cell's own", "a cell in all", "… reference out", "changes found", "… reference out",
)  # fmt: skip


def measure(count: int, folder: Path) -> None:
    """So many sessions, their runs in the folder; those that are there count."""
    while len(storage.find_runs(folder)) < count:
        command = [sys.executable, "-m", "pytest", *SESSION, f"--results={folder}"]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        print(f"{len(storage.find_runs(folder))} of {count} sessions", flush=True)


def series_of(folder: Path) -> list[dict[str, Any]]:
    """Each cell over the sessions, as plain data: seconds, and those of the frozen reference."""
    runs = [storage.load_run(path, samples=False) for path in storage.find_runs(folder)]
    found = [one for one in of_runs(runs) if len(one.runs) == len(runs)]
    return [_plain(one) for one in found]


def pairs_of(folder: Path) -> dict[str, int]:
    """Every two of the runs, the later against the earlier: how many say that anything changed."""
    runs = [storage.load_run(path) for path in storage.find_runs(folder)]
    runs.sort(key=lambda run: run.id)
    found = [stored_runs.compared(*two) for two in itertools.combinations(runs, 2)]
    said = [{*(f.verdict for f in one.findings), *(s.verdict for s in one.shifts)} for one in found]
    return {
        "pairs": len(found),
        "slower": sum(SLOWER in verdicts for verdicts in said),
        "faster": sum(FASTER in verdicts for verdicts in said),
    }


def _plain(one: Series) -> dict[str, Any]:
    times = {"seconds": one.seconds.tolist(), "frozen": one.frozen.tolist()}
    return {"cell": one.name, "framework": one.cell["framework"], **times}


def figures(kept: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """By framework: standard deviations of log times from session to session.

    Of ``own``, ``cell`` and ``cell_out`` the median over the cells.
    """
    found = {}
    for framework in dict.fromkeys(one["framework"] for one in kept):
        mine = [one for one in kept if one["framework"] == framework]
        raw = np.array([np.log(one["seconds"]) for one in mine])
        out = np.array([level_of(one["seconds"], one["frozen"]) for one in mine])
        frozen = np.log(mine[0]["frozen"])
        found[framework] = {
            "cells": len(mine),
            "frozen": _spread(frozen),
            "common": _spread(_common(raw)),
            "common_out": _spread(_common(out)),
            "own": _middle(raw - _common(raw)),
            "cell": _middle(raw),
            "cell_out": _middle(out),
            "changes": sum(bool(changes(row)) for row in raw),
            "changes_out": sum(bool(changes(row)) for row in out),
        }
    return found


def _common(levels: Array) -> Array:
    """What the cells [cells, sessions] have in common, session by session."""
    centred = levels - np.median(levels, axis=1, keepdims=True)
    shared: Array = np.median(centred, axis=0)
    return shared


def _spread(values: Array) -> float:
    return float(np.std(values, ddof=1))


def _middle(levels: Array) -> float:
    return float(np.median([_spread(row) for row in levels]))


def table(found: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    """Markdown."""
    yield f"| {' | '.join(HEADS)} |"
    yield f"|---|{'--:|' * (len(HEADS) - 1)}"
    spreads = ("frozen", "common", "common_out", "own", "cell", "cell_out")
    for framework, one in found.items():
        told = " | ".join(f"{100 * one[name]:.1f} %" for name in spreads)
        counts = " | ".join(f"{one[name]:.0f}" for name in ("changes", "changes_out"))
        yield f"| {framework} | {one['cells']:.0f} | {told} | {counts} |"


def stored_text(counts: Mapping[str, int]) -> str:
    """What `--stored` says of every two of them."""
    return (
        f"Of {counts['pairs']} pairs of these runs `cascade-bench regress --stored` calls "
        f"{counts['slower']} slower in anything and {counts['faster']} faster."
    )


def main() -> int:
    """Measure what is missing, keep the series, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=COUNT, help=f"sessions ({COUNT})")
    parser.add_argument("--runs", type=Path, help="where they are kept; none: only the table")
    options = parser.parse_args()
    if options.runs:
        measure(options.count, options.runs)
        kept = {"series": series_of(options.runs), "stored": pairs_of(options.runs)}
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
    kept = json.loads(KEPT.read_text())
    print("\n".join([*table(figures(kept["series"])), "", stored_text(kept["stored"])]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
