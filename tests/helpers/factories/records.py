"""Make a record of one cell and a run with it, as they might have been measured."""

from __future__ import annotations

from typing import Any

import numpy as np

from results.records.record import FIGURES, Record, Run, new_record, sample_key, utc_now

CELL = {
    "kind": "backward", "scenario": "stacked_cascade", "variant": "n4", "size": "large",
    "framework": "torch", "mode": "eager", "strategy": "separate_retained",
    "phase": "backward", "device": "cpu", "dtype": "float32", "precision_mode": "ieee",
}  # fmt: skip


def record(cell: dict[str, str] = CELL, **known: Any) -> Record:
    """Return the record of a cell; figures that are not ``known`` are missing."""
    known = {"outcome": "ok", "missing": dict.fromkeys(FIGURES, "not measured"), **known}
    return new_record(cell, family="cascade", baseline="summed", rerun="pytest -k x", **known)


def run(run_id: str = "20261121T010203-ab12cd", **known: Any) -> Run:
    """Return an unfinished run of one cell; ``known`` are fields that differ."""
    cell = record()
    standard: dict[str, Any] = {
        "started": utc_now(),
        "finished": None,
        "machine": {"id": "box-1", "cpu": "a CPU", "cores": 2},
        "settings": {"launches": 2},
        "records": [cell],
        "samples": {sample_key(cell): [np.array([1e-3, 2e-3]), np.array([3e-3])]},
    }
    return Run(run_id, **(standard | known))
