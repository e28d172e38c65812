"""Summarize a run as plain data, for ``cascade-bench show`` and for other programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.records import canary_status
from results.records.record import CELL_FIELDS, OUTCOMES, SCHEMA, AnyRecord, Run, finite, plain
from results.statistics.verdict import VERDICTS

# The settings of a run that say how it was measured; `results.records.validation` has their types.
SETTINGS = (
    "launches",
    "cell_seconds",
    "seed",
    "precision",
    "memory",
    "alpha",
    "wall_seconds",
    "margins",
    "stopped",
    "arguments",
)


def settings(run: Run) -> dict[str, Any]:
    """Return each setting in `SETTINGS`; the value is None where the run's file lacks it."""
    return {name: run.settings.get(name) for name in SETTINGS}


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
