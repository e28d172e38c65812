"""Demonstrate the traps of several devices in JAX: `shard_map` on two.

Each function runs in a process with two devices, the wrong way and the right way side by side, and
returns the results as plain data, which docs/traps.md shows as a table. The test of the same
subject in ``benchmarks/test_rank_traps.py`` judges them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import AxisType, PartitionSpec

RANKS, SECONDS = 2, 120.0
DEVICES = f"--xla_force_host_platform_device_count={RANKS}"
AXIS = "ranks"
Demonstration = Callable[[], dict[str, Any]]


def on_two_devices(demonstration: Demonstration) -> Demonstration:
    """Return the function that runs a demonstration in a process with two devices."""

    @wraps(demonstration)
    def run() -> dict[str, Any]:
        done = subprocess.run(
            [sys.executable, "-m", __name__, demonstration.__name__],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            cwd=Path(__file__).parents[1],
            env=os.environ | {"XLA_FLAGS": f"{os.environ.get('XLA_FLAGS', '')} {DEVICES}"},
            timeout=SECONDS,
            check=True,
        )
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    return run


@on_two_devices
def mean_of_gradients_in_shard_map() -> dict[str, Any]:
    """Reduce gradients of parameters that every device has, inside `shard_map`.

    With its default check `shard_map` has summed such gradients already. The table shows each
    result relative to the gradient of the whole batch.
    """
    mesh = jax.make_mesh((RANKS,), (AXIS,), axis_types=(AxisType.Auto,))
    weight, x = jnp.ones(4), jnp.arange(32.0).reshape(8, 4)
    true = jax.grad(_loss)(weight, x)
    everywhere, shared_out = PartitionSpec(), PartitionSpec(AXIS)

    def mean_of_loss(weight: Array, x: Array) -> Array:
        return jax.grad(lambda weight: jax.lax.pmean(_loss(weight, x), AXIS))(weight)

    def mean(weight: Array, x: Array) -> Array:
        return jax.lax.pmean(jax.grad(_loss)(weight, x), AXIS)

    def total(weight: Array, x: Array) -> Array:
        return jax.lax.psum(jax.grad(_loss)(weight, x), AXIS)

    ways = {
        "pmean of the loss": (mean_of_loss, True),
        "pmean of the gradients, check_vma=False": (mean, False),
        "pmean of the gradients": (mean, True),
        "psum of the gradients": (total, True),
    }
    results = {}
    for name, (function, check) in ways.items():
        places = (everywhere, shared_out)
        mapped = jax.shard_map(
            function, mesh=mesh, in_specs=places, out_specs=everywhere, check_vma=check
        )
        results[name] = {"times_the_gradient": float((mapped(weight, x) / true).mean())}
    return results


def _loss(weight: Array, x: Array) -> Array:
    """Return a loss that is a mean over the batch."""
    return jnp.mean((x @ weight) ** 2)


if __name__ == "__main__":
    print(json.dumps(globals()[sys.argv[1]].__wrapped__()), flush=True)
