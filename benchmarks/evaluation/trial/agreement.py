"""Do the rules as replayed say what the tools' own commands say of the same traces?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, real, replay, tools, traces
from benchmarks.evaluation.trial.replay import Others
from benchmarks.evaluation.trial.traces import TraceError
from results.statistics.estimators import Array

# Slowdowns of head, so that both answers occur; asv starts a process for every cell and round.
FRACTIONS = {tools.PYTEST_BENCHMARK: (0.0, 0.05), tools.PYPERF: (0.0, 0.03), tools.ASV: (0.10,)}
ASV_PROCESSES = 2


def check(folder: Path) -> None:
    """Feed drawn comparisons to the real commands; what agreed goes into ``agreement.json``."""
    sets = replay.chosen(traces.load_all(folder), "report", "bursty")
    found: dict[str, Any] = {}
    for tool, fractions in FRACTIONS.items():
        others = Others.of(sets, ASV_PROCESSES if tool == tools.ASV else 8)
        try:
            compared = [_one(tool, others, fraction) for fraction in fractions]
        except (TraceError, real.CommandFailed, ImportError) as why:
            found[tool] = {"missing": str(why)[-500:]}
        else:
            found[tool] = {
                "cells": sum(len(real_says) for real_says, _ in compared),
                "agree": sum(int((a == b).sum()) for a, b in compared),
                "slower": sum(int(real_says.sum()) for real_says, _ in compared),
            }
        print(f"{tool}: {found[tool]}", flush=True)
    (folder / "agreement.json").write_text(json.dumps(found, indent=1) + "\n")


def _one(tool: str, others: Others, fraction: float) -> tuple[Any, Any]:
    """What the command and the rule call slower, cell by cell."""
    seed = [plan.SEED, 77]
    sides = others.single_samples(seed) if tool == tools.PYTEST_BENCHMARK else _sides(tool, others)
    names = [subject.id for subject in plan.SUBJECTS]
    base, head = sides
    head = [rows * (1 + fraction) for rows in head]
    series = {
        "base": dict(zip(names, [rows.tolist() for rows in base], strict=True)),
        "head": dict(zip(names, [rows.tolist() for rows in head], strict=True)),
    }
    rule = next(r for r in tools.rules(others.count * replay.PYPERF_VALUES) if r.tool == tool)
    said = [
        bool(rule.alarms(b.reshape(1, -1), h.reshape(1, -1))[0])
        for b, h in zip(base, head, strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="cascade-bench-trial-") as kept:
        slower = answer(tool, Path(kept), series)
    return np.array([name in slower for name in names]), np.array(said)


def _sides(tool: str, others: Others) -> tuple[list[Array], list[Array]]:
    """One comparison: of each cell a row for each process, all of the same length."""
    drawn = others.draw(tool, 1, [plan.SEED, 78])
    base, head = (
        [rows.reshape(others.count, -1) for rows in side] for side in zip(*drawn, strict=True)
    )
    shortest = min(rows.shape[-1] for rows in base)  # asv takes as many samples of every cell
    return [rows[:, :shortest] for rows in base], [rows[:, :shortest] for rows in head]


def answer(tool: str, folder: Path, series: Mapping[str, real.Series]) -> set[str]:
    """What the tool's real command calls slower of these series."""
    if tool == tools.PYTEST_BENCHMARK:
        return real.pytest_benchmark(folder, {"series": series})
    if tool == tools.PYPERF:
        return real.pyperf_compare(real.pyperf_files(folder, series), folder)
    rows = next(iter(series["base"].values()))
    job = {"series": series, "rounds": len(rows), "repeat": len(rows[0])}
    return real.asv_continuous(folder, job)
