"""Split a chart by size, so that each fits a screen: largest sizes first, smaller ones folded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from results.grouping import group_by
from results.report.drawing import Mark
from results.report.model import Block, Chart, Fold
from results.report.vocabulary import size_rank

MOST_LINES = 30  # of a chart: with more of them its axis and its middle do not fit one screen
# (suffix of the chart's name, words for its title, its marks) → the chart
Make = Callable[[str, str, Sequence[Mark]], Chart]


def charts_by_size(first: Sequence[Mark], rest: Sequence[Mark], make: Make) -> list[Block]:
    """Return the chart of each network at its largest size, and a fold with all else by size.

    Args:
        first: the marks of the first chart, with the fields ``size``, ``line`` and ``ratio``.
        rest: the marks in the fold, with the same fields.
        make: makes a chart of some of the marks.
    """
    groups = group_by(rest, lambda mark: str(mark["size"]))
    sizes = sorted(groups, key=size_rank, reverse=True)
    others = [
        chart
        for size in sizes
        for chart in _in_screens(f"-{size}", f"size {size}", groups[size], make)
    ]
    title = f"The same for all else: {', '.join(sizes)}"
    return [
        *_in_screens("", "each network at its largest size", first, make),
        *([Fold(title, others)] if others else []),
    ]


def by_largest_size(marks: Sequence[Mark]) -> tuple[list[Mark], list[Mark]]:
    """Return the marks of the largest size of each network, and all others."""
    top: dict[str, int] = {}
    for mark in marks:
        top[mark["problem"]] = max(top.get(mark["problem"], -1), size_rank(mark["size"]))
    largest = [mark for mark in marks if size_rank(mark["size"]) == top[mark["problem"]]]
    return largest, [m for m in marks if size_rank(m["size"]) != top[m["problem"]]]


def _in_screens(suffix: str, words: str, marks: Sequence[Mark], make: Make) -> list[Chart]:
    """Return charts of at most `MOST_LINES` lines, the lowest ratios first."""
    lines = sorted_lines(marks)
    parts = [lines[start : start + MOST_LINES] for start in range(0, len(lines), MOST_LINES)]
    return [
        make(
            suffix + (f"-{place + 1}" if place else ""),
            words + (f", {place + 1} of {len(parts)}" if len(parts) > 1 else ""),
            [mark for line in part for mark in line],
        )
        for place, part in enumerate(parts)
    ]


def sorted_lines(marks: Sequence[Mark]) -> list[list[Mark]]:
    """Return the marks of each line of a chart, the line with the lowest mean ratio first."""
    lines = group_by(marks, lambda mark: mark["line"]).values()
    return sorted(lines, key=lambda line: float(np.mean([np.log(m["ratio"]) for m in line])))
