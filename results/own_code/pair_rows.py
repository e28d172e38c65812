"""Compare the times of the two frameworks on one case, way by way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.own_code.document import NOT_TOLD, cells
from results.own_code.schema import PairRow
from results.statistics.verdict import FASTER, SLOWER


def pair_rows(groups: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[PairRow]:
    """Return a row for each way and phase that was timed in both frameworks.

    Args:
        groups: of both frameworks, as `results.own_code.document.rows` takes them.
    """
    records, samples = cells(groups)
    return [_row(pair) for pair in framework_ratios(records, samples)]


def _row(pair: FrameworkRatio) -> PairRow:
    """Return the row of one comparison."""
    return {
        "kind": pair.torch["kind"],
        "phase": pair.torch["phase"],
        "way": pair.torch["strategy"],
        "jax_way": pair.jax["strategy"],
        "ratio": pair.ratio,
        "verdict": _verdict(pair.ratio["low"], pair.ratio["high"]),
    }


def _verdict(low: float | None, high: float | None) -> str:
    """Return whether JAX is faster or slower: where the interval lies on one side of 1."""
    if low is None or high is None:
        return NOT_TOLD
    return FASTER if high < 1 else SLOWER if low > 1 else NOT_TOLD
