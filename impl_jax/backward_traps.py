"""Demonstrate the traps of several backward passes in JAX.

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

WIDTH, BATCH = 64, 32
Networks = dict[str, list[Array]]


def second_backward_through_freed_residuals() -> dict[str, Any]:
    """Run a second pullback through residuals that the first one freed or retained.

    Donating a pullback to the jit that calls it frees its residuals, as a backward pass frees the
    tensors that torch's graph has saved.
    """
    networks, data = _networks()

    @jax.jit
    def forward(networks: Networks) -> Any:
        return jax.vjp(lambda n: _two_losses(n, data)[1], networks)[1]

    def pull(pullback: Any) -> Any:
        return pullback(jnp.ones(()))[0]

    reused, pull_reused = forward(networks), jax.jit(pull)
    pull_reused(reused)
    donated, pull_donated = forward(networks), jax.jit(pull, donate_argnums=0)
    pull_donated(donated)
    return {
        "kept": _raised(lambda: pull_reused(reused)),
        "donated": _raised(lambda: pull_donated(donated)),
    }


def step_between_backward_passes() -> dict[str, Any]:
    """Update the parameters between two pullbacks.

    Arrays are immutable, so the second pullback is still at the parameters of the forward pass.
    """
    networks, data = _networks()
    _, pull_first = jax.vjp(lambda n: _two_losses(n, data)[0], networks)
    _, pull_second = jax.vjp(lambda n: _two_losses(n, data)[1], networks)
    undisturbed = pull_second(jnp.ones(()))[0]
    step = pull_first(jnp.ones(()))[0]
    networks = jax.tree.map(lambda p, g: p - 0.1 * g, networks, step)
    after = pull_second(jnp.ones(()))[0]
    at_new = jax.grad(lambda n: _two_losses(n, data)[1])(networks)
    return {
        "equal_to_undisturbed": _equal(after, undisturbed),
        "equal_to_new_parameters": _equal(after, at_new),
    }


def host_array_inside_jit() -> dict[str, Any]:
    """Convert a value to a NumPy array inside jit, where it is traced and has no numbers yet."""

    def through_the_host(x: Array) -> Array:
        return jnp.asarray(np.asarray(x) * 0.5)

    x = jnp.ones(3)
    return {
        "inside": _raised(lambda: jax.jit(through_the_host)(x)),
        "outside": _raised(lambda: through_the_host(x)),
    }


def _networks() -> tuple[Networks, tuple[Array, Array]]:
    """Return two networks as lists of weights, and data: a batch of inputs and its target."""
    keys = jax.random.split(jax.random.key(0), 7)
    scale = (2.0 / WIDTH) ** 0.5
    layers = [jax.random.normal(key, (WIDTH, WIDTH)) * scale for key in keys[:6]]
    x = jax.random.normal(keys[6], (BATCH, WIDTH))
    return {"net1": layers[:3], "net2": layers[3:]}, (x, jnp.ones((BATCH, WIDTH)))


def _two_losses(networks: Networks, data: tuple[Array, Array]) -> tuple[Array, Array]:
    """Run net1 and net2 in series; return the mean squared error of each output against ones."""
    between = _run(networks["net1"], data[0])
    end = _run(networks["net2"], between)
    return jnp.mean((between - data[1]) ** 2), jnp.mean((end - data[1]) ** 2)


def _run(layers: list[Array], x: Array) -> Array:
    """Run a network: a product with each weight, and ReLU."""
    for layer in layers:
        x = jax.nn.relu(x @ layer)
    return x


def _equal(one: Any, other: Any) -> bool:
    """Return whether all arrays of two pytrees are equal, bit for bit."""
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(jnp.all(a == b)), one, other)))


def _raised(call: Callable[[], Any]) -> dict[str, str] | None:
    """Call a function; return type and message of the error that it raises, or None."""
    try:
        jax.block_until_ready(call())
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error)}
    return None
