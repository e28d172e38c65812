"""A group that is measured with real workers gets the limits of its cells, in both frameworks."""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.measurement import group
from benchmarks.machine import frameworks

JOB: dict[str, Any] = {
    "kind": "backward",
    "scenario": "linear_cascade",
    "variant": "-",
    "size": "small",
    "phase": "gradient",
    "device": "cpu",
    "dtype": "float32",
    "strategies": ["summed", "reforward"],
    "launches": 1,
    "seconds": 0.02,
    "limit": 120.0,
    "seed": 0,
    "memory": False,
}


@pytest.mark.slow
@pytest.mark.parametrize(("framework", "mode"), [("torch", "eager"), ("jax", "jit")])
def test_each_cell_has_a_limit_and_the_products_are_its_longest_operations(
    framework: str, mode: str
) -> None:
    """Expect 7 products with a forward pass for each loss, and 5 with one for their sum."""
    if reason := frameworks.why_missing(framework):
        pytest.skip(reason)
    job: Any = JOB | {"framework": framework, "mode": mode, "references": [framework]}
    with Pool() as pool:
        result = group.measure_group(job, pool)
        kinds = {launch.hello["pid"] for launch in pool.workers() if launch.hello}
    assert len(kinds) == 2  # the worker that is timed, and the one of the reference: no third
    limits = {name: cell["figures"]["limit"] for name, cell in result["cells"].items()}
    for limit in limits.values():
        assert limit["seconds"] > 0
        assert limit["bytes"] > 0
        assert any(part["flops"] for part in limit["operations"])
    assert 1.1 < limits["reforward"]["seconds"] / limits["summed"]["seconds"] < 2.2
    assert result["about"]["spent"]["limits"] > 0
