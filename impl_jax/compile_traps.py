"""Demonstrate the traps of compiled backward passes in JAX.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_backward_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from impl_jax.backward_traps import BATCH, WIDTH, Networks, _networks, _two_losses

PRODUCT = 2 * BATCH * WIDTH * WIDTH  # FLOPs of one Linear layer


def only_the_loss_is_returned() -> dict[str, Any]:
    """Count the products (GEMMs) of a jitted loss and gradient of which only the loss is returned.

    XLA removes computations that no output needs, so no backward pass is left.
    """
    networks, data = _networks()

    def both(networks: Networks) -> Any:
        return jax.value_and_grad(lambda n: sum(_two_losses(n, data)))(networks)

    return {
        "loss_only": _products(lambda n: both(n)[0], networks),
        "with_gradients": _products(both, networks),
        "forward": _products(lambda n: sum(_two_losses(n, data)), networks),
    }


def cache_entries() -> dict[str, Any]:
    """Count the entries of the jit cache for pullbacks, and for learning rates of several types.

    A pullback from a jit is a pytree, so every pullback of the same function hits one entry. A
    Python float, a JAX scalar and a NumPy scalar make an entry each.
    """
    networks, data = _networks()

    @jax.jit
    def forward(networks: Networks) -> Any:
        return jax.vjp(lambda n: _two_losses(n, data)[1], networks)[1]

    pull = jax.jit(lambda pullback: pullback(jnp.ones(()))[0])
    for _ in range(3):
        pull(forward(networks))

    traced: list[int] = []

    def update(weight: Array, lr: Any) -> Array:
        traced.append(1)  # Python code runs when the function is traced, not when it is called
        return weight - lr * weight

    step = jax.jit(update)
    weight = jnp.ones(3)
    for lr in (0.1, 0.2, jnp.float32(0.1), np.float32(0.1)):
        step(weight, lr)
    return {
        "pullback_entries": _entries(pull),
        "learning_rate_entries": _entries(step),
        "learning_rate_traces": len(traced),
    }


def _products(function: Callable[[Networks], Any], networks: Networks) -> int:
    """Return how many products of one Linear layer the compiled function's FLOPs make up."""
    cost = jax.jit(function).lower(networks).compile().cost_analysis() or {}
    return round(cost["flops"] / PRODUCT)


def _entries(jitted: Any) -> int:
    """Return the number of entries in a jitted function's cache, one for each compilation."""
    return jitted._cache_size()
