"""Measure with the fake framework of ``tests/fakes``, whose strategies fail as their names say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import group
from benchmarks.harness.measurement.job import GroupReport
from benchmarks.harness.protocol import flow
from benchmarks.paths import ROOT

FAKES: Path = ROOT / "tests" / "fakes"
JOB: dict[str, Any] = {
    "kind": "backward",
    "scenario": "linear_cascade",
    "variant": "-",
    "size": "seed",
    "framework": "fake",
    "mode": "eager",
    "phase": "gradient",
    "device": "cpu",
    "dtype": "float32",
    "references": ["fake"],
    "launches": 2,
    "seconds": 0.02,
    "limit": 20.0,
    "seed": 0,
    "memory": False,
}


@contextmanager
def fake_framework(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pool]:
    """Let workers import the fake framework, and yield a pool that is closed in the end."""
    path = os.pathsep.join(p for p in (str(FAKES), os.environ.get("PYTHONPATH")) if p)
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setitem(flow.BLOCKED, "fake", "absent")
    with Pool() as pool:
        yield pool


class Measure:
    """Measure strategies of the fake framework on `linear_cascade`, when it is called.

    Args:
        pool: of workers.

    Attributes:
        about: the report of the group that was measured last.
    """

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.about: GroupReport

    def __call__(self, *strategies: str, **changes: Any) -> dict[str, Any]:
        """Measure a group of strategies.

        Args:
            strategies: of the group.
            changes: keys of the job that differ from `JOB`.

        Returns:
            Strategy → its outcome, see `benchmarks.harness.measurement.job.CellOutcome`.
        """
        job: Any = JOB | {"strategies": list(strategies)} | changes
        result = group.measure_group(job, self.pool)
        self.about = result["about"]
        return {name: dict(outcome) for name, outcome in result["cells"].items()}
