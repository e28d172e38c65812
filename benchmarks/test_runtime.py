"""Both frameworks run as the page of the method says: cores, precision, 64-bit types."""

from __future__ import annotations

import os

from benchmarks.harness.launches.check_workers import Laboratory


def test_both_get_the_same_cores_and_full_precision(laboratory: Laboratory) -> None:
    """JAX takes its threads from the process's affinity; torch is told to."""
    torch = laboratory.worker("torch", "float32").ready()
    assert torch["torch_threads"] == len(os.sched_getaffinity(0))
    assert torch["torch_precision"] == "ieee"
    assert laboratory.worker("jax", "float32").ready()["jax_precision"] == "highest"
