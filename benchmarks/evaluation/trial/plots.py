"""Draw the plots of the trial, each as SVG and PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import FixedLocator, NullLocator

from benchmarks.evaluation.trial import plan, rates, tools
from benchmarks.evaluation.trial.plan import OURS

TICKS = (0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)
# Okabe and Ito's palette: the colours differ for any colour vision, and the marks in grey print
STYLES = {
    OURS: ("#0072B2", "o"),
    tools.PYTEST_BENCHMARK: ("#D55E00", "s"),
    tools.PYPERF: ("#009E73", "^"),
    tools.ASV: ("#CC79A7", "D"),
    tools.BENCHSTAT: ("#E69F00", "v"),
}


def draw(replayed: Mapping[str, Any], cells: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw every plot into the folder; return their names without suffix.

    Args:
        replayed: the figures of `evaluate.evaluate`.
        cells: condition → cell → figures, see `summary.summarise`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "power": power(replayed),
        "alarms": alarms(replayed),
        "spread": spread(replayed, cells),
    }
    for name, figure in figures.items():
        for suffix in ("svg", "png"):
            figure.savefig(folder / f"{name}.{suffix}", dpi=110, metadata=_undated(suffix))
        plt.close(figure)
    return list(figures)


def _undated(suffix: str) -> dict[str, None] | None:
    """Return the metadata that leaves the date out of an SVG file; None for other files.

    So the same figures make the same file.
    """
    return {"Date": None} if suffix == "svg" else None  # the same figures make the same file


def power(replayed: Mapping[str, Any]) -> Any:
    """Return a matplotlib figure: how many slowed cells each tool finds, by slowdown.

    The upper row has the tools' usual settings, the lower one thresholds at one alarm rate.
    """
    figure, axes = plt.subplots(
        2, 2, figsize=(9, 7), sharex=True, sharey=True, layout="constrained"
    )
    for column, (condition, one) in enumerate(replayed["conditions"].items()):
        for row, matched in enumerate((False, True)):
            axis = axes[row][column]
            for tool, curve in _curves(one, matched).items():
                colour, mark = STYLES[tool]
                percents = [100 * f for f in plan.SLOWDOWNS]
                axis.plot(percents, curve, color=colour, marker=mark, label=tool)
            title = "at a matched alarm rate" if matched else "with the tools' usual settings"
            axis.set_title(f"{condition}, {title}", fontsize=10)
            axis.grid(alpha=0.3)
            axis.set_ylim(-3, 103)
    for axis in axes[-1]:
        axis.set_xlabel("slowed by, %")
        axis.set_xticks([100 * f for f in plan.SLOWDOWNS])
    for axis in axes[:, 0]:
        axis.set_ylabel("found, % of slowed cells")
    handles = axes[1][1].get_legend_handles_labels()
    figure.legend(*handles, fontsize=8, loc="outside lower center", ncols=5)
    return figure


def _curves(figures: Mapping[str, Any], matched: bool) -> dict[str, list[float]]:
    """Return for each tool the percentage of slowed cells that it finds, by slowdown.

    Args:
        figures: the figures of one condition in `evaluate.evaluate`.
        matched: whether thresholds are those of the matched alarm rate, or the usual ones.
    """
    powers = {OURS: figures["ours"][rates.MAIN]["power"]}
    for tool, entry in figures["tools"].items():
        chosen = entry["settings"][rates.best_setting(entry)] if matched else entry
        powers[tool] = chosen["power"]
    curves = {}
    for tool, power in powers.items():
        pairs = [rates.power_of(power, str(f)) for f in plan.SLOWDOWNS]
        curves[tool] = [100 * hits / of for hits, of in pairs]
    return curves


def alarms(replayed: Mapping[str, Any]) -> Any:
    """Return a matplotlib figure: each tool's share of unchanged suites with a cell called slower.

    The bars are Wilson's 95 % intervals.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), sharex=True, sharey=True, layout="tight")
    for axis, (condition, one) in zip(axes, replayed["conditions"].items(), strict=True):
        counts = {OURS: one["ours"][rates.MAIN]["alarms"]}
        counts |= {tool: entry["alarms"] for tool, entry in one["tools"].items()}
        for place, (tool, count) in enumerate(counts.items()):
            hits, of = count["suite_slower"], count["suites"]
            low, high = rates.wilson(hits, of)
            colour, mark = STYLES[tool]
            axis.plot([100 * low, 100 * high], [place, place], color=colour, linewidth=2)
            axis.plot(100 * hits / of, place, color=colour, marker=mark)
            text = f"{100 * hits / of:.1f} %"
            axis.annotate(
                text, (100 * hits / of, place), (4, 6), textcoords="offset points", size=8
            )
        axis.set_yticks(range(len(counts)), list(counts))
        axis.set_title(condition, fontsize=10)
        axis.set_xlabel("unchanged suites with an alarm, %")
        axis.set_xlim(-3, 115)
        axis.set_ylim(len(counts) - 0.4, -0.7)
        axis.grid(alpha=0.3, axis="x")
    return figure


def spread(replayed: Mapping[str, Any], cells: Mapping[str, Any]) -> Any:
    """Return a matplotlib figure: the standard deviations of each cell's times, in percent.

    They are those of launch pairs, in wall and CPU time, and of single launches.
    """
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 4.2), sharex=True, sharey=True, layout="constrained"
    )
    kinds = {
        "launch_sd": ("one launch alone", "#999999", "x"),
        "pair_sd_wall": ("launch pair, wall", "#0072B2", "o"),
        "pair_sd_cpu": ("launch pair, CPU", "#D55E00", "^"),
    }
    for axis, condition in zip(axes, replayed["conditions"], strict=True):
        names = list(cells[condition])
        for key, (label, colour, mark) in kinds.items():
            values = [100 * max(cells[condition][name][key], 1e-4) for name in names]
            axis.scatter(values, np.arange(len(names)), color=colour, marker=mark, label=label)
        axis.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=8)
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(FixedLocator(TICKS))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.set_xlabel("SD, %")
        axis.set_title(condition, fontsize=10)
        axis.grid(alpha=0.3)
    axes[0].invert_yaxis()
    figure.legend(
        *axes[0].get_legend_handles_labels(), fontsize=8, loc="outside lower center", ncols=3
    )
    return figure


def _short(name: str) -> str:
    """Return a short label for the id of a cell, without its strategy."""
    framework, scenario, size, _, phase = name.split("-")
    return f"{framework} {scenario.removesuffix('_cascade')} {size} {phase}"
