"""Demonstrate the traps of what a frozen network still does in JAX: state, draws, caches.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_module_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

WIDTH = 4
# modules of nnx that behave otherwise in train() than in eval()
MODULES: dict[str, Callable[[nnx.Rngs], nnx.Module]] = {
    "BatchNorm": lambda rngs: nnx.BatchNorm(WIDTH, rngs=rngs),
    "Dropout": lambda rngs: nnx.Dropout(0.5, rngs=rngs),
}


def train_undoes_eval() -> dict[str, Any]:
    """Set a frozen module to `eval()`, and call `train()` on the model around it.

    `train()` reaches every module below. The table shows how far the frozen module's statistics
    move in a forward pass, and how far two forward passes of one batch are apart.
    """
    results: dict[str, Any] = {}
    x = jax.random.normal(jax.random.key(0), (8, WIDTH)) + 1.0
    for name, build in MODULES.items():
        for way in ("eval", "eval_then_train", "eval_again_after_train"):
            frozen = build(nnx.Rngs(0))
            model = nnx.Sequential(frozen)
            frozen.eval()
            if way != "eval":
                model.train()
            if way == "eval_again_after_train":
                frozen.eval()
            results.setdefault(name, {})[way] = _behaviour(frozen, x)
    return results


def weights_cached_over_steps() -> dict[str, Any]:
    """Take four steps with a jitted loss that closes over the weights, and one that gets them.

    What a jitted function closes over is a constant of the compiled program: all four losses are
    those of the weights it was traced with.
    """
    x, start = jnp.ones((8, WIDTH)), jnp.full((WIDTH, WIDTH), 0.5)

    def loss(weight: Array) -> Array:
        return jnp.mean((x @ weight - 1.0) ** 2)

    losses = {}
    for way in ("closed_over", "passed"):
        held = {"weight": start}
        closed = jax.jit(lambda held=held: loss(held["weight"]))
        passed = jax.jit(loss)
        values = []
        for _ in range(4):
            values.append(float(closed() if way == "closed_over" else passed(held["weight"])))
            held["weight"] = held["weight"] - 0.1 * jax.grad(loss)(held["weight"])
        losses[way] = {"first_loss": values[0], "fourth_loss": values[-1]}
    return losses


def _behaviour(module: Any, x: Array) -> dict[str, float]:
    """Return how far a forward pass moves a module's statistics, and two passes are apart."""
    before = jax.tree.map(jnp.array, nnx.state(module, nnx.BatchStat))
    first, second = module(x), module(x)
    after = nnx.state(module, nnx.BatchStat)
    moved = jax.tree.map(lambda a, b: float(jnp.abs(a - b).max()), after, before)
    return {
        "buffers_moved": max(jax.tree.leaves(moved), default=0.0),
        "passes_apart": float(jnp.abs(first - second).max()),
    }
