"""Fixtures for the tests of the harness itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.harness.launches import pool
from benchmarks.harness.measurement import group
from benchmarks.harness.protocol import flow

FAKES = Path(__file__).parent / "fakes"


@pytest.fixture(autouse=True, scope="session")
def temporary_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """So that a session started by a test waits for no other run on this machine to end."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@contextmanager
def fake_framework(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Workers find the fake framework, in a pool of its own."""
    path = os.pathsep.join(p for p in (str(FAKES), os.environ.get("PYTHONPATH")) if p)
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.setitem(flow.BLOCKED, "fake", "absent")
    fresh = pool.Pool()
    monkeypatch.setattr(pool, "POOL", fresh)
    yield
    fresh.close()


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., dict[str, Any]]]:
    """Measure strategies of the fake framework on row 3."""

    def run(*strategies: str, **changes: Any) -> dict[str, Any]:
        job = {
            "kind": "backward",
            "scenario": "linear_cascade",
            "variant": "-",
            "size": "seed",
            "framework": "fake",
            "mode": "eager",
            "phase": "gradient",
            "device": "cpu",
            "dtype": "float32",
            "strategies": list(strategies),
            "references": ["fake"],
            "launches": 2,
            "seconds": 0.02,
            "limit": 20.0,
            "seed": 0,
            "memory": False,
        }
        return group.measure_group(job | changes)

    with fake_framework(monkeypatch):
        yield run
