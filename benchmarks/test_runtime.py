"""Both frameworks run as the page of the method says: cores, precision, 64-bit types."""

from __future__ import annotations

import os

from benchmarks.harness.launches.check_workers import CheckWorkers


def test_both_get_the_same_cores_and_full_precision(workers: CheckWorkers) -> None:
    """JAX takes its threads from the process's affinity; torch is told to."""
    torch = workers.worker("torch", "float32").ready()
    assert torch["torch_threads"] == len(os.sched_getaffinity(0))
    assert torch["torch_precision"] == "ieee"
    assert workers.worker("jax", "float32").ready()["jax_precision"] == "highest"
