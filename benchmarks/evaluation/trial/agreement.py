"""Check that the replayed rules agree with the tools' own commands on the same traces.

A rule of `tools` is this project's copy of how a tool decides. Both the rule and the real command
are run on comparisons drawn from the recorded traces.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, real, replay, replay_tools, tools, traces
from benchmarks.evaluation.trial.replay_tools import OtherTools
from benchmarks.evaluation.trial.traces import TraceError
from results.statistics.estimators import Array

# Slowdowns of head, chosen so that both verdicts occur. asv has only one, and few processes, as it
# starts one for every cell and round.
FRACTIONS = {tools.PYTEST_BENCHMARK: (0.0, 0.05), tools.PYPERF: (0.0, 0.03), tools.ASV: (0.10,)}
ASV_PROCESSES = 2


def check(folder: Path) -> None:
    """Run each tool's real command on drawn comparisons; write ``agreement.json`` to the folder.

    ``folder`` holds the recorded traces. The file has for each tool the number of cells compared,
    how many of them the command and the rule ``agree`` on, and how many the command calls
    ``slower``; or under ``missing`` the reason why the command could not be run.
    """
    sets = replay.select_sets(traces.load_all(folder), "report", "bursty")
    results: dict[str, Any] = {}
    for tool, fractions in FRACTIONS.items():
        others = OtherTools.from_sets(sets, ASV_PROCESSES if tool == tools.ASV else 8)
        try:
            compared = [_compare(tool, others, fraction) for fraction in fractions]
        except (TraceError, real.CommandFailed, ImportError) as error:
            results[tool] = {"missing": str(error)[-500:]}
        else:
            results[tool] = {
                "cells": sum(len(by_command) for by_command, _ in compared),
                "agree": sum(int((command == rule).sum()) for command, rule in compared),
                "slower": sum(int(by_command.sum()) for by_command, _ in compared),
            }
        print(f"{tool}: {results[tool]}", flush=True)
    (folder / "agreement.json").write_text(json.dumps(results, indent=1) + "\n")


def _compare(tool: str, others: OtherTools, fraction: float) -> tuple[Any, Any]:
    """Return for each cell whether the command calls it slower, and whether the rule does.

    Both are arrays of bools [cells]. Head's times are recorded ones, slowed by ``fraction``.
    """
    seed = [plan.SEED, 77]
    sides = others.single_samples(seed) if tool == tools.PYTEST_BENCHMARK else _sides(tool, others)
    names = [subject.id for subject in plan.SUBJECTS]
    base, head = sides
    head = [rows * (1 + fraction) for rows in head]
    series = {
        "base": dict(zip(names, [rows.tolist() for rows in base], strict=True)),
        "head": dict(zip(names, [rows.tolist() for rows in head], strict=True)),
    }
    rule = next(r for r in tools.rules(others.count * replay_tools.PYPERF_VALUES) if r.tool == tool)
    by_rule = [
        bool(rule.alarms(b.reshape(1, -1), h.reshape(1, -1))[0])
        for b, h in zip(base, head, strict=True)
    ]
    with tempfile.TemporaryDirectory(prefix="cascade-bench-trial-") as temporary:
        slower = ask_command(tool, Path(temporary), series)
    return np.array([name in slower for name in names]), np.array(by_rule)


def _sides(tool: str, others: OtherTools) -> tuple[list[Array], list[Array]]:
    """Draw one comparison; return base and head, each with an array for each cell.

    The arrays are times in seconds per call, [processes, samples].
    """
    drawn = others.draw(tool, 1, [plan.SEED, 78])
    base, head = (
        [rows.reshape(others.count, -1) for rows in side] for side in zip(*drawn, strict=True)
    )
    shortest = min(rows.shape[-1] for rows in base)  # asv takes as many samples of every cell
    return [rows[:, :shortest] for rows in base], [rows[:, :shortest] for rows in head]


def ask_command(tool: str, folder: Path, series: Mapping[str, real.Series]) -> set[str]:
    """Return the ids of the cells that the tool's real command calls slower.

    Args:
        tool: one of `tools.TOOLS` that has a command.
        folder: an empty folder for the command's files.
        series: the times of ``base`` and ``head``.
    """
    if tool == tools.PYTEST_BENCHMARK:
        return real.pytest_benchmark(folder, {"series": series})
    if tool == tools.PYPERF:
        return real.pyperf_compare(real.pyperf_files(folder, series), folder)
    rows = next(iter(series["base"].values()))
    job = {"series": series, "rounds": len(rows), "repeat": len(rows[0])}
    return real.asv_continuous(folder, job)
