"""Count the losses of each network, and average ratios by that number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from results.grouping import group_by
from results.records.record import AnyRecord


class MeanByLosses(NamedTuple):
    """Hold the geometric mean of the ratios to the baseline over networks of so many losses."""

    losses: int
    mean: float


def count_losses(flows: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, int]:
    """Return "scenario/variant" → the number of its losses.

    Args:
        flows: of a run's settings: "scenario/variant" → framework → loss → what it reaches.
    """
    return {
        name: max(map(len, by_framework.values()))
        for name, by_framework in flows.items()
        if by_framework
    }


def growth(records: Iterable[AnyRecord], losses: Mapping[str, int]) -> list[MeanByLosses]:
    """Return the mean ratio for each number of losses, the smallest number first.

    Args:
        records: with a ratio; those of a network whose losses nobody has counted are left out.
        losses: as `count_losses` returns them.
    """
    by_count = group_by(records, lambda r: losses.get(f"{r['scenario']}/{r['variant']}", 0))
    means = [MeanByLosses(count, _geometric_mean(own)) for count, own in by_count.items() if count]
    return sorted(means)


def _geometric_mean(records: Iterable[AnyRecord]) -> float:
    """Return the geometric mean of the ratios of these records."""
    logs = [np.log(record["ratio"]["estimate"]) for record in records if record["ratio"]]
    return float(np.exp(np.mean(logs)))
