"""The estimates of a whole run: which cell is compared with which, and what they share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from numpy.typing import ArrayLike

from results.records.record import Record, sample_key
from results.statistics.estimators import (
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

# Cells that differ in nothing but the strategy are one group, measured interleaved.
GROUP_FIELDS = (
    "kind", "scenario", "variant", "size", "framework", "mode", "phase", "device", "dtype",
)  # fmt: skip

Samples = Mapping[str, Sequence[ArrayLike]]


class _NoFigure(Exception):
    """Why a figure cannot be had; ends up in the record's `missing`."""


def group_key(record: Mapping[str, Any]) -> tuple[str, ...]:
    """What the cells of one group have in common."""
    return tuple(record[name] for name in GROUP_FIELDS)


class Comparison(NamedTuple):
    """A cell and its log ratios to its baseline: [launches]."""

    record: Record
    d: Array


def estimate_run(
    records: Iterable[Record], samples: Samples, confidence: float = 0.95
) -> list[Record]:
    """The records with ``seconds``, ``ratio`` and ``verdict`` of every ``ok`` cell.

    The ratio refers to the cell of the same group whose strategy is the record's
    ``baseline``; the strategies of a group are one family for the verdicts. A figure that
    cannot be had is null and ``missing`` says why; with fewer than 6 launches that is the
    verdict, and ``low`` and ``high`` of the others. Other cells are returned as they are.

    Args:
        samples: `sample_key` of the record to one row [samples] a launch, in seconds.

    Raises:
        ValueError: samples of a cell that no record is of.
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
        figure = moderated_interval(d, priors[record["framework"]], confidence)
        _put(record, "ratio", figure, _too_few(figure))
    for family in _families(compared):
        framework = family[0].record["framework"]
        _put_verdicts(family, priors[framework], margins[framework])
    return records


def compare(records: Sequence[Record], samples: Samples) -> list[Comparison]:
    """Every ``ok`` cell that can be paired with its baseline, with its log ratios.

    Of the others ``ratio`` and ``verdict`` become null, and ``missing`` says why.
    """
    group_of = {(*group_key(record), record["strategy"]): record for record in records}
    compared = []
    for record in records:
        if record["outcome"] != "ok":
            continue
        try:
            compared.append(Comparison(record, _paired(record, group_of, samples)))
        except (_NoFigure, ValueError) as reason:
            _put(record, "ratio", None, str(reason))
            _put(record, "verdict", None, str(reason))
    return compared


def fit_priors(compared: Iterable[Comparison]) -> dict[str, Prior]:
    """One prior a framework, over all its compared cells."""
    spreads: dict[str, list[tuple[float, float]]] = {}
    for record, d in compared:
        _, variance, dof = location(d)
        spreads.setdefault(record["framework"], []).append((variance, dof))
    return {
        framework: fit_prior([variance for variance, _ in pairs], [dof for _, dof in pairs])
        for framework, pairs in spreads.items()
    }


def margins_for(compared: Iterable[Comparison]) -> dict[str, float]:
    """The margin of each framework's verdicts: wider where its ratios spread much."""
    spreads: dict[str, list[float]] = {}
    for record, d in compared:
        spreads.setdefault(record["framework"], []).append(math.sqrt(location(d).variance))
    return {framework: margin_for(found) for framework, found in spreads.items()}


def _families(compared: Iterable[Comparison]) -> Iterable[list[Comparison]]:
    """Those of one group with one baseline, and the launches an interval needs."""
    families: dict[tuple[Any, ...], list[Comparison]] = {}
    for one in compared:
        if len(one.d) < LAUNCHES_FOR_INTERVAL:
            reason = f"a verdict needs {LAUNCHES_FOR_INTERVAL} launches; there were {len(one.d)}"
            _put(one.record, "verdict", None, reason)
        else:
            families.setdefault((*group_key(one.record), one.record["baseline"]), []).append(one)
    return families.values()


def _put_verdicts(family: Sequence[Comparison], prior: Prior, margin: float) -> None:
    said = decide([moderate(d, prior) for _, d in family], margin)
    for (record, _), word in zip(family, said, strict=True):
        _put(record, "verdict", word, "")


def _put_seconds(record: Record, samples: Samples, confidence: float) -> None:
    try:
        figure = time_estimate(_of(record, samples), confidence)
    except (_NoFigure, ValueError) as reason:
        _put(record, "seconds", None, str(reason))
    else:
        _put(record, "seconds", figure, _too_few(figure))


def _paired(record: Record, group_of: Mapping[tuple[str, ...], Record], samples: Samples) -> Array:
    name = record["baseline"]
    if name is None:
        raise _NoFigure("this cell is compared with none")
    if name == record["strategy"]:
        raise _NoFigure("this cell is the baseline")
    baseline = group_of.get((*group_key(record), name))
    if baseline is None:
        raise _NoFigure(f"its baseline {name!r} is not part of this run")
    if baseline["outcome"] != "ok":
        raise _NoFigure(f"its baseline {name!r} has outcome {baseline['outcome']}")
    return log_ratios(_of(baseline, samples), _of(record, samples))


def _of(record: Record, samples: Samples) -> Sequence[ArrayLike]:
    launches = samples.get(sample_key(record))
    if not launches:
        raise _NoFigure(f"no samples of {record['strategy']!r} are kept")
    return launches


def _too_few(figure: Mapping[str, Any]) -> str:
    count = figure["launches"]
    if count < LAUNCHES_FOR_INTERVAL:
        return f"an interval needs {LAUNCHES_FOR_INTERVAL} launches; there were {count}"
    return f"{count} launches are too few for an interval of this confidence"


def _put(record: Record, key: str, figure: dict[str, Any] | str | None, reason: str) -> None:
    """Sets the figure; the reason is kept for whatever of it is null, and old ones go."""
    missing = record["missing"]
    for path in (key, f"{key}.low", f"{key}.high"):
        missing.pop(path, None)
    record[key] = figure
    parts = figure if isinstance(figure, dict) else {}
    nulls = [key] if figure is None else [f"{key}.{n}" for n, part in parts.items() if part is None]
    missing.update(dict.fromkeys(nulls, reason))
