"""The checks' compile cache with real workers: it is used, and a broken entry does no harm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches import check_cache
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.machine.environment import installed
from tests.helpers.jax_cache import programs_from_the_check_cache

PROBLEM = ("linear_cascade", "-", "seed")


def gradients() -> dict[str, Any]:
    """Gradients of a JAX worker that has compiled nothing itself yet."""
    workers = CheckWorkers()
    try:
        return workers.gradients(PROBLEM, "jax", ("backward", "summed"), "gradient", "float64")
    finally:
        workers.close()


def test_programs_of_a_test_process_are_stored_and_its_settings_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jax = pytest.importorskip("jax")
    names = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")
    before = [getattr(jax.config, name) for name in names]
    monkeypatch.setenv(check_cache.VARIABLE, str(tmp_path))
    with programs_from_the_check_cache():
        jax.jit(lambda x: x * 3 + 1)(2.0)
    stored = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert stored
    jax.jit(lambda x: x * 5 - 1)(2.0)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == stored
    assert [getattr(jax.config, name) for name in names] == before


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
