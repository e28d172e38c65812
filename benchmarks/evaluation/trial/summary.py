"""Summarise the raw traces cell by cell, small enough to be committed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.evaluation.trial import plan, tuning
from benchmarks.evaluation.trial.plan import Subject
from benchmarks.evaluation.trial.traces import LaunchSet
from benchmarks.evaluation.trial.tuning import Constants
from results.statistics.estimators import Array


def summarise(
    sets: Sequence[LaunchSet], constants: Mapping[str, Constants], machine: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the machine, the time that recording took, and the figures of each cell.

    Args:
        sets: all sets of launches.
        constants: metric → how a launch is summarised.
        machine: that the sets were recorded on, see `machines.read`.

    The figures are condition → cell → name; those named ``*_sd`` and ``*_cv`` are relative: 0.01 is
    1 %.
    """
    figures: dict[str, Any] = {
        "machine": dict(machine),
        "seconds": _seconds(sets),
        "conditions": {},
    }
    for condition in plan.CONDITIONS:
        chosen = [one for one in sets if one.meta.condition == condition]
        logs = {m: tuning.quantile_logs(chosen, m, constants[m]) for m in plan.METRICS}
        pairs = {m: tuning.spreads(logs[m]) for m in plan.METRICS}
        figures["conditions"][condition] = {
            subject.id: _cell(chosen, subject, i, logs, pairs)
            for i, subject in enumerate(plan.SUBJECTS)
        }
    return figures


def _cell(
    sets: Sequence[LaunchSet],
    subject: Subject,
    index: int,
    logs: Mapping[str, Array],
    pairs: Mapping[str, Array],
) -> dict[str, Any]:
    """Return the figures of one cell under one condition, by name.

    Args:
        sets: the sets of launches of the condition.
        subject: the cell.
        index: its place in `plan.SUBJECTS`.
        logs: metric → log times of launches [sets, workers, cells].
        pairs: metric → standard deviation of a launch pair's log ratio [cells].
    """
    alone = [one.rows[f"solo/{subject.id}/{w}"] for one in sets for w in range(plan.WORKERS)]
    rows = [row.astype(float) for row in alone if len(row) > 3]
    wall, cpu = (logs[metric][..., index] for metric in plan.METRICS)
    return {
        "launches": wall.size,
        "seconds": float(np.exp(np.median(wall))),
        "launch_sd": float(wall.std(ddof=1)),
        "pair_sd_wall": float(pairs["wall"][index]),
        "pair_sd_cpu": float(pairs["cpu"][index]),
        "within_launch_cv": float(np.median([row.std(ddof=1) / row.mean() for row in rows])),
        "autocorrelation": float(np.median([_lag_one(row) for row in rows])),
        "cpu_over_wall": float(np.exp(np.median(cpu - wall))),
    }


def _lag_one(row: Array) -> float:
    """Return the correlation of each sample with the next; 0 where nothing varies."""
    centred = row - row.mean()
    total = float((centred**2).sum())
    return float((centred[1:] * centred[:-1]).sum()) / total if total else 0.0


def _seconds(sets: Sequence[LaunchSet]) -> dict[str, float]:
    """Return activity → seconds of the whole recording that went into it."""
    parts: dict[str, float] = {}
    for one in sets:
        for part, seconds in one.meta.seconds.items():
            parts[part] = parts.get(part, 0.0) + seconds
    return {part: round(seconds, 1) for part, seconds in parts.items()}
