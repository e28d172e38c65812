"""The checks' compile cache with real workers: it is used, and a broken entry does no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches import check_cache
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.machine.environment import installed

PROBLEM = ("linear_cascade", "-", "seed")


def gradients() -> dict[str, Any]:
    """Gradients of a JAX worker that has compiled nothing itself yet."""
    workers = CheckWorkers()
    try:
        return workers.gradients(PROBLEM, "jax", ("backward", "summed"), "gradient", "float64")
    finally:
        workers.close()


@pytest.mark.slow
def test_programs_are_found_again_and_a_broken_entry_is_compiled_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compile anew what a process left half written, as one that was killed or still writes."""
    if installed("jax") is None:
        pytest.skip("jax is not installed")
    monkeypatch.setenv(check_cache.VARIABLE, str(tmp_path))
    first = gradients()
    entries = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert entries
    second = gradients()
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(entries)
    for path, content in entries.items():
        path.write_bytes(content[: len(content) // 2])
    third = gradients()
    for other in (second, third):
        assert other.keys() == first.keys()
        assert all(np.array_equal(other[name], array) for name, array in first.items())
