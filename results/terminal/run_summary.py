"""Summarize a run as plain data, for ``cascade-bench show`` and for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.records import canary_status
from results.records.record import CELL_FIELDS, OUTCOMES, SCHEMA, AnyRecord, Run, finite, plain
from results.records.validation import is_number
from results.statistics.verdict import VERDICTS


def _is_mapping_of(is_valid: Callable[[Any], bool]) -> Callable[[Any], bool]:
    """Return a check for a mapping whose values all pass the check ``is_valid``."""
    return lambda value: isinstance(value, Mapping) and all(map(is_valid, value.values()))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_list_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_text, value))


# The settings of a run that say how it was measured, each with the check of its type. A file may
# be from another version, or edited by hand.
SETTINGS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("launches", "cell_seconds", "seed", "precision"), is_number),
    "memory": lambda value: isinstance(value, bool),
    **dict.fromkeys(("alpha", "wall_seconds"), is_number),
    "margins": _is_mapping_of(is_number),
    "stopped": _is_mapping_of(_is_text),
    "arguments": _is_list_of_texts,
}


def settings(run: Run) -> dict[str, Any]:
    """Return each setting in `SETTINGS` with the value that the run's file has.

    The value is None where the file lacks it or has another type.
    """
    values = {name: run.settings.get(name) for name in SETTINGS}
    return {name: value if SETTINGS[name](value) else None for name, value in values.items()}


def document(run: Run) -> dict[str, Any]:
    """Return the run as one object of strict JSON, with keys that do not change.

    Returns:
        ``schema``; ``run``, ``started``, ``finished``, ``interrupted``; ``machine`` as it was
        saved; ``settings``; ``counts`` of ``outcomes`` and ``verdicts``; ``canaries`` with a
        ``summary``, the ``failed`` ones in a line each, and all ``taken``, as saved; ``cells``,
        the records; and ``frameworks``, a pair of cells each, whose ``ratio`` is jax's time over
        torch's. A value that is not known is null.
    """
    summary: dict[str, Any] = plain(
        {
            "schema": SCHEMA,
            "run": run.id,
            "started": run.started,
            "finished": run.finished,
            "interrupted": run.interrupted,
            "machine": run.machine,
            "settings": settings(run),
            "counts": {"outcomes": counts(run, "outcome"), "verdicts": counts(run, "verdict")},
            "canaries": {
                "summary": canary_status.summary(run.settings),
                "failed": canary_status.failed(run.settings),
                "taken": run.settings.get("canaries"),
            },
            "cells": [finite(record) for record in run.records],
            "frameworks": [_pair(pair) for pair in framework_ratios(run.records, run.samples)],
        }
    )
    return summary


def counts(run: Run, key: str) -> dict[str, int]:
    """Return how many cells of a run have each possible outcome or verdict, 0 included.

    Args:
        key: ``outcome`` or ``verdict``.
    """
    words = {"outcome": OUTCOMES, "verdict": VERDICTS}[key]
    records: Sequence[AnyRecord] = run.records
    counted = Counter(record[key] for record in records)
    return {word: counted[word] for word in words}


def _pair(pair: FrameworkRatio) -> dict[str, Any]:
    """Return the ratio of torch and JAX on one cell as an object of JSON, with the cell's names.

    ``strategy`` is the name in torch, ``jax_strategy`` that in JAX, which may be another one.
    """
    torch: AnyRecord = pair.torch
    cell = {name: torch[name] for name in CELL_FIELDS if name not in ("framework", "mode")}
    modes = {"torch_mode": pair.torch["mode"], "jax_mode": pair.jax["mode"]}
    modes |= {"jax_strategy": pair.jax["strategy"]}
    return cell | modes | {"equal_modes": pair.equal_modes, "ratio": pair.ratio}
