"""Make traces that no machine measured: launches of known spread, samples of known noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from benchmarks.evaluation.trial import plan, traces
from benchmarks.evaluation.trial.traces import LaunchSet, Meta

LAUNCH_SPREAD, SAMPLE_SPREAD = 0.01, 0.02
SAMPLES = 60


def launch_set(index: int, half: str, rng: np.random.Generator) -> LaunchSet:
    """Return one set of launches: each worker is faster or slower as a whole, and samples vary."""
    meta = Meta(index, plan.condition_of(index), half, plan.TURNS[0])
    meta.seconds = {"start": 4.0, "prepare": 4.0, "turns": 6.0, "total": 40.0}
    launches = LaunchSet(meta)
    for subject in plan.SUBJECTS:
        meta.calls[subject.id] = 1
        for worker in range(plan.WORKERS):
            shift = rng.normal(0, LAUNCH_SPREAD)
            for metric in plan.METRICS:
                row = _row(rng, shift, SAMPLES)
                launches.rows[f"turns/{subject.id}/{worker}/{metric}"] = row
            launches.rows[f"turns/{subject.id}/{worker}/lengths"] = np.full(6, 10, np.float32)
            launches.rows[f"solo/{subject.id}/{worker}"] = _row(rng, shift, 90)
    for subject in plan.long_subjects(index):
        launches.rows[f"long/{subject.id}"] = _row(rng, rng.normal(0, LAUNCH_SPREAD), 200)
    return launches


def _row(rng: np.random.Generator, shift: float, count: int) -> np.ndarray:
    noise = np.abs(rng.normal(0, SAMPLE_SPREAD, count))
    return (5e-3 * np.exp(shift + noise)).astype(np.float32)


def recording(folder: Path, sets: int, seed: int = 0) -> None:
    """Write a folder of traces as the recorder does: the first half tuning, the second report."""
    rng = np.random.default_rng(seed)
    for index in range(sets):
        half = plan.HALVES[index * 2 // sets]
        traces.save(launch_set(index, half, rng), plan.traces_at(folder, index))
    (folder / "starts.json").write_text(json.dumps({s.id: 3.0 for s in plan.SUBJECTS}))
