"""Decide the rows of a comparison: each of its cells in each metric, and what cells share.

The rows are the cells by wall time, then the cells by CPU time, then the common mode of each
framework in each metric. A framework's rows of one metric are one group, so that each framework has
a common mode of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from results.regression.schema import ComparedCell
from results.statistics import launch_pairs
from results.statistics.common_mode import CELLS_FOR_COMMON
from results.statistics.estimators import Array
from results.statistics.launch_pairs import Decision, Design

WALL = "wall"


@dataclass(frozen=True)
class Rows:
    """The measurements of a comparison as the statistics take them.

    Attributes:
        entries: the cells of the document that have times.
        metrics: those measured.
        groups: (framework, metric) of each group, in the order of their numbers.
        group_of: the group's number of each row that is a cell.
        d: head against base, [rows, pairs], nan where a cell was measured no more.
        control: base against base, the same.
        counts: pairs of each row.
        control_counts: pairs of each row that have a control.
    """

    entries: Sequence[ComparedCell]
    metrics: Sequence[str]
    groups: Sequence[tuple[str, str]]
    group_of: tuple[int, ...]
    d: Array
    control: Array
    counts: tuple[int, ...]
    control_counts: tuple[int, ...]

    def of_cell(self, place: int) -> dict[str, int]:
        """Return the row of each metric of a cell, by its place in ``entries``."""
        return {metric: place + i * len(self.entries) for i, metric in enumerate(self.metrics)}

    def of_framework(self, framework: str) -> dict[str, int]:
        """Return the row of each metric of what a framework's cells share."""
        cells = len(self.group_of)
        return {m: cells + self.groups.index((framework, m)) for m in self.metrics}

    def shared_frameworks(self) -> list[str]:
        """Return the frameworks with enough cells for a row of what they share."""
        names = [one["cell"]["framework"] for one in self.entries]
        return [n for n in dict.fromkeys(names) if names.count(n) >= CELLS_FOR_COMMON]


def rows_of(document: Mapping[str, Any]) -> Rows | None:
    """Return the rows of a document, or None where no cell has times.

    A cell's list of times is as long as the launch pairs that it was measured in, which are the
    first ones; the third time of a pair, the control's, is null where the pair had none.
    """
    entries = [one for one in document["cells"] if one["state"] == "ok" and one["seconds"]]
    if not entries:
        return None
    metrics = list(entries[0]["seconds"])
    owners = [(one["cell"]["framework"], metric) for metric in metrics for one in entries]
    groups = list(dict.fromkeys(owners))
    times = [one["seconds"][metric] for metric in metrics for one in entries]
    logs = np.full((len(times), max(map(len, times)), 3), np.nan)
    for row, values in enumerate(times):
        logs[row, : len(values)] = np.log(np.asarray(values, dtype=np.float64))
    control = logs[..., 2] - logs[..., 0]
    return Rows(
        entries,
        metrics,
        groups,
        tuple(groups.index(owner) for owner in owners),
        logs[..., 1] - logs[..., 0],
        control,
        tuple(map(len, times)),
        tuple(int(count) for count in np.isfinite(control).sum(axis=-1)),
    )


def decide_rows(document: Mapping[str, Any], rows: Rows) -> Decision:
    """Return the decision at the last look that was taken."""
    design = design_of(document["design"], rows.group_of)
    return launch_pairs.decide(
        rows.d,
        rows.control,
        design,
        document["design"]["taken"],
        counts=rows.counts,
        control_counts=rows.control_counts,
    )


def design_of(settings: Mapping[str, Any], groups: Sequence[int]) -> Design:
    """Return the `Design` by which the rows of a document are decided.

    A document of a version whose looks were planned by numbers of pairs has no ``shares``.

    Args:
        settings: the ``design`` of the document.
        groups: the group of each row, numbered from 0; the rows of a group share a common mode.
    """
    shares = tuple(settings.get("shares") or ())
    return Design(
        tuple(groups),
        tuple(settings["taken"] if shares else settings["looks"]),
        shares,
        margin=settings["margin"],
        alpha=settings["alpha"],
        control="row",
    )
