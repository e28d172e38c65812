"""Check that both frameworks run with the same cores and precision (``docs/method.md``)."""

from __future__ import annotations

import os

from benchmarks.harness.launches.check_workers import CheckWorkers


def test_both_get_the_same_cores_and_full_precision(workers: CheckWorkers) -> None:
    """Torch is set to as many threads as JAX takes by itself: one for each usable CPU."""
    torch = workers.worker("torch", "float32").wait_until_ready()
    affinity = getattr(os, "sched_getaffinity", None)
    assert torch["torch_threads"] == (len(affinity(0)) if affinity else os.cpu_count())
    assert torch["torch_precision"] == "ieee"
    assert workers.worker("jax", "float32").wait_until_ready()["jax_precision"] == "highest"
