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


def charts_by_size(marks: Sequence[Mark], make: Make) -> list[Block]:
    """Return the chart of each network at its largest size, and a fold with its smaller sizes.

    Args:
        marks: with the fields ``problem``, ``size``, ``line`` and ``ratio``.
        make: makes a chart of some of the marks.
    """
    largest = largest_of_each(marks)
    rest = group_by([mark for mark in marks if mark not in largest], lambda mark: mark["size"])
    sizes = sorted(rest, key=size_rank, reverse=True)
    first = _in_screens("", "each network at its largest size", largest, make)
    others = [
        c for size in sizes for c in _in_screens(f"-{size}", f"size {size}", rest[size], make)
    ]
    return [
        *first,
        *([Fold(f"The same at smaller sizes: {', '.join(sizes)}", others)] * bool(others)),
    ]


def largest_of_each(marks: Sequence[Mark]) -> list[Mark]:
    """Return the marks of the largest size of each network."""
    top: dict[str, int] = {}
    for mark in marks:
        top[mark["problem"]] = max(top.get(mark["problem"], -1), size_rank(mark["size"]))
    return [mark for mark in marks if size_rank(mark["size"]) == top[mark["problem"]]]


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
