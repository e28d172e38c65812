"""What JAX does at the traps of compiled backward passes: shown, not asserted.

Each function runs one trap and the right way beside it and returns what it saw as plain data.
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
    """XLA removes what nobody receives: the backward pass is gone. In products of one layer."""
    networks, data = _networks()

    def both(networks: Networks) -> Any:
        return jax.value_and_grad(lambda n: sum(_two_losses(n, data)))(networks)

    return {
        "loss_only": _products(lambda n: both(n)[0], networks),
        "with_gradients": _products(both, networks),
        "forward": _products(lambda n: sum(_two_losses(n, data)), networks),
    }


def cache_entries() -> dict[str, Any]:
    """A vjp from a jit is a pytree and hits one entry; each kind of learning rate makes its own."""
    networks, data = _networks()

    @jax.jit
    def forward(networks: Networks) -> Any:
        return jax.vjp(lambda n: _two_losses(n, data)[1], networks)[1]

    pull = jax.jit(lambda pullback: pullback(jnp.ones(()))[0])
    for _ in range(3):
        pull(forward(networks))

    traced: list[int] = []

    def update(weight: Array, lr: Any) -> Array:
        traced.append(1)  # runs when it is traced, not when it is called
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
    cost = jax.jit(function).lower(networks).compile().cost_analysis() or {}
    return round(cost["flops"] / PRODUCT)


def _entries(jitted: Any) -> int:
    return jitted._cache_size()
