"""Show the machines of the trial side by side: noise, alarms, what is found, what is promised.

`compute` replays one machine's traces and saves the figures beside them; `section` reads those of
all machines. Rates come from the report half of the traces; ways to locate a log ratio are chosen
on the tuning half and shown on both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import (
    budgets,
    locating,
    machines,
    plan,
    sections,
    tools_by_machine,
)
from benchmarks.evaluation.trial.budgets import Noise
from results.formatting import NOTHING
from results.regression.decision import WALL
from results.statistics import look_levels

FILE = "budgets.json"
LOCATED = 4000  # comparisons for each figure of a way to locate

Figures = dict[str, Any]
Ways = Mapping[str, Mapping[str, float]]  # way → figure → its value


def compute(folder: Path, comparisons: int) -> None:
    """Replay whole comparisons on one machine's traces, and write ``budgets.json`` beside them.

    Args:
        folder: of the traces and of their ``replay.json``.
        comparisons: of each kind.
    """
    look_levels.DRAWN_CELLS = 64_000  # each number of pairs that a session can end with has its own
    figures: Figures = {"rates": {}, "ways": {}}
    for half in plan.HALVES:
        figures["ways"][half] = {
            noise.name: locating.figures(noise, LOCATED, [plan.SEED, place])
            for place, noise in enumerate(budgets.noises(folder, half))
            if noise.factor == 1.0  # a factor changes all ways alike
        }
    for noise in budgets.noises(folder, "report"):
        rates = budgets.rates(noise, comparisons, 0)
        figures["rates"][noise.name] = {"pair_sd": pair_spread(noise), **rates}
        print(f"{noise.name}: {rates}", flush=True)
        (folder / FILE).write_text(json.dumps(figures, indent=1) + "\n")


def pair_spread(noise: Noise) -> list[float]:
    """Return the robust standard deviation of a launch pair's log wall time for each cell.

    It is 1.4826 times the median absolute difference of two launches of a set.
    """
    logs = noise.factor * noise.logs[WALL]
    pairs = [(a, b) for a in range(logs.shape[1]) for b in range(a)]
    d = np.concatenate([logs[:, a] - logs[:, b] for a, b in pairs])
    return [float(1.4826 * np.median(np.abs(column))) for column in d.T]


def section(root: Path) -> list[str]:
    """Return the lines of the page about all machines below ``root``, none without any figures."""
    figures_by_machine = {
        machines.in_words(folder): json.loads((folder / FILE).read_text())
        for folder in machines.recorded(root)
        if (folder / FILE).exists()
    }
    if not figures_by_machine:
        return []
    return [
        "## Machine by machine",
        "",
        *sections.prose(
            "Whole comparisons of ten cells in ten minutes, drawn from the report half of each "
            "machine's traces, and looked at, scheduled and promised by the functions of "
            "`cascade-bench regress` on a made clock. An alarm is any verdict on unchanged code. "
            "The promise after the first look names a slowdown that four of five comparisons "
            "will find; then that slowdown is put in. Twice as noisy, and disturbed, are the quiet "
            "launches changed on purpose."
        ),
        "",
        *_rates(figures_by_machine),
        *tools_by_machine.section(root),
        *_ways(figures_by_machine),
    ]


def _rates(figures_by_machine: Mapping[str, Figures]) -> list[str]:
    """Return the table of rates, a row for each machine and condition."""
    rows = [
        [machine, name, *_row(one)]
        for machine, figures in figures_by_machine.items()
        for name, one in figures["rates"].items()
    ]
    titles = ["machine", "launches", "SD of a pair", "alarms", "launch pairs", "+3 % found"]
    return sections.table([*titles, "promised", "of these found"], rows, 2)


def _row(figures: Mapping[str, Any]) -> list[str]:
    """Return the figures of one row, from those of `budgets.rates`."""
    spread = np.array(figures["pair_sd"]) * 100
    promised = f"+{100 * figures['promise']:.1f} %" if "promise" in figures else NOTHING
    promises_kept = (
        f"{100 * figures['kept']:.0f} % of {figures['promised']}" if "kept" in figures else NOTHING
    )
    return [
        f"{spread.min():.1f} to {spread.max():.1f} %",
        f"{figures['alarm_count']} of {figures['sessions']}",
        f"{figures['pairs']:.0f}",
        f"{100 * figures['found']:.0f} %",
        promised,
        promises_kept,
    ]


def _ways(figures_by_machine: Mapping[str, Figures]) -> list[str]:
    """Return the lines on the ways to locate a log ratio, a row for each machine, noise and way."""
    rows = []
    for machine, figures in figures_by_machine.items():
        for noise, report in figures["ways"]["report"].items():
            tuning = figures["ways"]["tuning"][noise]
            for way, one in report.items():
                rows.append([machine, noise, way, *_way(one, tuning[way], report, tuning)])
    titles = ["machine", "launches", "estimate", "error, tuning half", "error", "half-width"]
    return [
        *sections.prose(
            f"How to locate the log ratio of a cell from {locating.PAIRS} launch pairs, what the "
            "cells share taken out first. Errors and half-widths are relative to those of the "
            "20 %-trimmed mean, which the suite uses; 0.9 is a tenth smaller. Coverage is the "
            "share of nominal 95 % intervals that hold the true ratio of 1; Hodges–Lehmann's is "
            "the interval of the signed-rank test, which permutes."
        ),
        "",
        *sections.table([*titles, "coverage"], rows, 3),
    ]


def _way(
    one: Mapping[str, float], tuned: Mapping[str, float], report: Ways, tuning: Ways
) -> list[str]:
    """Return the figures of one way, relative to the trimmed mean's under the same noise."""
    ours, ours_tuned = report[locating.OURS], tuning[locating.OURS]
    return [
        f"{tuned['error'] / ours_tuned['error']:.2f}",
        f"{one['error'] / ours['error']:.2f}",
        f"{one['half_width'] / ours['half_width']:.2f}",
        f"{100 * one['covered']:.1f} %",
    ]
