"""Estimate all cells of a run: times, ratios to their baselines, and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from numpy.typing import ArrayLike

from results.records.record import Record, cell_fields, null_paths, sample_key
from results.records.schema import Estimate
from results.statistics.estimators import (
    CONFIDENCE,
    LAUNCHES_FOR_INTERVAL,
    Array,
    log_ratios,
    time_estimate,
)
from results.statistics.moderation import (
    Prior,
    fit_prior,
    location,
    moderate,
    moderated_interval,
)
from results.statistics.verdict import decide, margin_for

# `sample_key` of a record to one row [samples] a launch, in seconds per call.
Samples = Mapping[str, Sequence[ArrayLike]]


class _NoEstimate(Exception):
    """Raised with the reason why an estimate is impossible; the reason goes into ``missing``."""


def group_key(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the fields that the cells of one group share: all but the strategy.

    The cells of a group are measured interleaved.
    """
    return cell_fields(record, without=("strategy",))


class Comparison(NamedTuple):
    """Hold a cell's record and its log ratios to its baseline, ``d``: [launches]."""

    record: Record
    d: Array


def estimate_run(
    records: Iterable[Record], samples: Samples, confidence: float = CONFIDENCE
) -> list[Record]:
    """Return the records with ``seconds``, ``ratio`` and ``verdict`` of every ``ok`` cell.

    The ratio refers to the cell of the same group whose strategy is the record's
    ``baseline``; the strategies of a group are one family for the verdicts. An estimate that
    is impossible is null and ``missing`` says why; with fewer than 6 launches these are the
    verdict, and ``low`` and ``high`` of the others. Other cells are returned as they are.

    Args:
        samples: `sample_key` of the record to one row [samples] a launch, in seconds.

    Raises:
        ValueError: samples of a cell that has no record.
    """
    records = [{**record, "missing": dict(record["missing"])} for record in records]
    unknown = sorted(set(samples) - {sample_key(record) for record in records})
    if unknown:
        raise ValueError(f"samples of no record: {unknown}; put them under sample_key(record)")
    compared = compare(records, samples)
    for record in records:
        if record["outcome"] == "ok":
            _put_seconds(record, samples, confidence)
    priors, margins = fit_priors(compared), margins_for(compared)
    for record, d in compared:
        ratio = moderated_interval(d, priors[record["framework"]], confidence)
        _put(record, "ratio", ratio, _too_few(ratio))
    for family in _families(compared):
        framework = family[0].record["framework"]
        _put_verdicts(family, priors[framework], margins[framework])
    return records


def compare(records: Sequence[Record], samples: Samples) -> list[Comparison]:
    """Return every ``ok`` cell that can be paired with its baseline, with its log ratios.

    Sets ``ratio`` and ``verdict`` of the other ``ok`` cells to null, and the reason in ``missing``.
    """
    cell_of = {(*group_key(record), record["strategy"]): record for record in records}
    compared = []
    for record in records:
        if record["outcome"] != "ok":
            continue
        try:
            compared.append(Comparison(record, _paired(record, cell_of, samples)))
        except (_NoEstimate, ValueError) as reason:
            _put(record, "ratio", None, str(reason))
            _put(record, "verdict", None, str(reason))
    return compared


def fit_priors(compared: Iterable[Comparison]) -> dict[str, Prior]:
    """Return for each framework the distribution of the launch variances of its compared cells.

    The variance of a single cell is later shrunk toward that distribution.
    """
    spreads: dict[str, list[tuple[float, float]]] = {}
    for record, d in compared:
        _, variance, dof = location(d)
        spreads.setdefault(record["framework"], []).append((variance, dof))
    return {
        framework: fit_prior([variance for variance, _ in pairs], [dof for _, dof in pairs])
        for framework, pairs in spreads.items()
    }


def margins_for(compared: Iterable[Comparison]) -> dict[str, float]:
    """Return for each framework the largest relative difference that its verdicts count as none.

    It is 1 %, or 2 % where the framework's ratios spread much over launches.
    """
    spreads: dict[str, list[float]] = {}
    for record, d in compared:
        spreads.setdefault(record["framework"], []).append(math.sqrt(location(d).variance))
    return {framework: margin_for(cells) for framework, cells in spreads.items()}


def _families(compared: Iterable[Comparison]) -> Iterable[list[Comparison]]:
    """Return the cells that are tested together: those of one group and baseline.

    Cells with fewer launches than an interval needs are left out; their ``verdict`` is set to null.
    """
    families: dict[tuple[str | None, ...], list[Comparison]] = {}
    for one in compared:
        if len(one.d) < LAUNCHES_FOR_INTERVAL:
            reason = f"a verdict needs {LAUNCHES_FOR_INTERVAL} launches; there were {len(one.d)}"
            _put(one.record, "verdict", None, reason)
        else:
            families.setdefault((*group_key(one.record), one.record["baseline"]), []).append(one)
    return families.values()


def _put_verdicts(family: Sequence[Comparison], prior: Prior, margin: float) -> None:
    """Set ``verdict`` in the records of one family, from tests adjusted over the family."""
    verdicts = decide([moderate(d, prior) for _, d in family], margin)
    for (record, _), verdict in zip(family, verdicts, strict=True):
        _put(record, "verdict", verdict, "")


def _put_seconds(record: Record, samples: Samples, confidence: float) -> None:
    """Set ``seconds`` in a record: its time, or null with the reason."""
    try:
        seconds = time_estimate(_launches(record, samples), confidence)
    except (_NoEstimate, ValueError) as reason:
        _put(record, "seconds", None, str(reason))
    else:
        _put(record, "seconds", seconds, _too_few(seconds))


def _paired(record: Record, cell_of: Mapping[tuple[str, ...], Record], samples: Samples) -> Array:
    """Return the log ratios of a cell to its baseline: [launches].

    Args:
        cell_of: `group_key` and strategy → the record of that cell.

    Raises:
        _NoEstimate: there is no baseline, or no samples of either cell.
        ValueError: the two have different numbers of launches, or a bad launch.
    """
    name = record["baseline"]
    if name is None:
        raise _NoEstimate("this cell is compared with none")
    if name == record["strategy"]:
        raise _NoEstimate("this cell is the baseline")
    baseline = cell_of.get((*group_key(record), name))
    if baseline is None:
        raise _NoEstimate(f"its baseline {name!r} is not part of this run")
    if baseline["outcome"] != "ok":
        raise _NoEstimate(f"its baseline {name!r} has outcome {baseline['outcome']}")
    return log_ratios(_launches(baseline, samples), _launches(record, samples))


def _launches(record: Record, samples: Samples) -> Sequence[ArrayLike]:
    """Return the samples of a cell, one row a launch; raise `_NoEstimate` where there are none."""
    launches = samples.get(sample_key(record))
    if not launches:
        raise _NoEstimate(f"no samples of {record['strategy']!r} are kept")
    return launches


def _too_few(estimate: Estimate) -> str:
    """Return why an estimate has no interval: it has too few launches."""
    count = estimate["launches"]
    if count < LAUNCHES_FOR_INTERVAL:
        return f"an interval needs {LAUNCHES_FOR_INTERVAL} launches; there were {count}"
    return f"{count} launches are too few for an interval of this confidence"


def _put(
    record: Record,
    key: Literal["seconds", "ratio", "verdict"],
    value: Estimate | str | None,
    reason: str,
) -> None:
    """Set a figure of the record, and the reason of each of its nulls in ``missing``.

    Reasons that ``missing`` holds for this figure already are dropped.
    """
    missing = record["missing"]
    for path in (key, f"{key}.low", f"{key}.high"):
        missing.pop(path, None)
    record[key] = value
    missing.update({path: reason for path in null_paths(record) if path.partition(".")[0] == key})
