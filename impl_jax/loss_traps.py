"""Demonstrate the traps of several losses in JAX: scaling, hooks, weights of 0.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_loss_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array
from jax.flatten_util import ravel_pytree

LR, SCALE, WIDTH = 0.1, 1024.0, 32
Networks = dict[str, list[Array]]
Change = Callable[[Array], Array]
CHANGES: dict[str, Change] = {
    "clip_norm": lambda g: g * jnp.minimum(1.0, 1e-3 / jnp.linalg.norm(g)),
    "clamp": lambda g: jnp.clip(g, -1e-5, 1e-5),
    "sign": jnp.sign,
    "drop_small": lambda g: jnp.where(jnp.abs(g) > 3e-3, g, 0.0),
    "halve": lambda g: 0.5 * g,
}


def one_scaler_and_several_losses() -> dict[str, Any]:
    """Scale two losses by hand, and change the scale between them or clip before dividing by it.

    The gradients are values: only what is divided by the wrong scale is wrong. Clipped first, a
    gradient is clipped to a norm of 0.01 and then divided by the scale. The table shows net1's
    step, relative to the right one.
    """
    networks, x = _networks()
    grads = [
        jax.grad(lambda n, i=i, s=s: s * _losses(n, x)[i])(networks)["net1"]
        for i, s in ((1, SCALE), (0, SCALE), (0, 2 * SCALE))
    ]
    second, first, first_at_twice = (ravel_pytree(grad)[0] for grad in grads)
    clip: Change = lambda g: g * jnp.minimum(1.0, 1e-2 / jnp.linalg.norm(g))  # noqa: E731
    right = (first + second) / SCALE
    return {
        "update_between": {"step_off": _off((second + first_at_twice) / (2 * SCALE), right)},
        "each_by_its_scale": {
            "step_off": _off(second / SCALE + first_at_twice / (2 * SCALE), right)
        },
        "clip_before_unscale": {
            "step_off": _off(clip(first + second) / SCALE, clip(right)),
        },
    }


def hooks_that_change_gradients() -> dict[str, Any]:
    """Change the cotangent at net1's output by a `custom_vjp`, for the sum and for each loss.

    The rule sees what one pullback brings. Only where it is linear is the sum of what it makes of
    two gradients what it makes of their sum. The table shows how far net1's gradient of two passes
    is from that of one, relative to it; changed once, after the last pass, they agree.
    """
    networks, x = _networks()
    errors: dict[str, dict[str, float]] = {"boundary": {}, "after_the_last_pass": {}}

    def gradient(change: Change | None, *losses: int) -> Array:
        def loss(n: Networks) -> Array:
            both = _losses(n, x, change)  # one forward pass, so one cotangent at its output
            return jnp.sum(jnp.stack([both[i] for i in losses]))

        return _net1_gradient(loss, networks)

    for name, change in CHANGES.items():
        apart = gradient(change, 0) + gradient(change, 1)
        errors["boundary"][name] = _off(apart, gradient(change, 0, 1))
        once = change(gradient(None, 0) + gradient(None, 1))
        errors["after_the_last_pass"][name] = _off(once, change(gradient(None, 0, 1)))
    return errors


def loss_weighted_zero() -> dict[str, Any]:
    """Weigh loss2, which alone reaches net2, with 0, and take a step.

    Neither a 0 in the code nor a traced one lets XLA leave out its products: 0 times infinity is
    not 0. The gradients are 0, not absent, so AdamW goes on moving net2. The table shows matrix
    products of forward and backward pass.
    """
    networks, x = _networks()
    adamw = optax.adamw(LR, weight_decay=LR)

    def both(n: Networks, weight: Any) -> Array:
        first, second = _losses(n, x)
        return first + weight * second

    ways: dict[str, Callable[[Networks, Array], Array]] = {
        "weight_0": lambda n, w: both(n, 0.0),
        "traced_0": both,
        "left_out": lambda n, w: jnp.mean(_run(n["net1"], x) ** 2),
    }
    results = {}
    for way, loss in ways.items():
        _, state = adamw.update(jax.grad(both)(networks, 1.0), adamw.init(networks), networks)
        frozen = optax.selective_transform(adamw, freeze_mask={"net1": False, "net2": True})
        optimizer = frozen if way == "left_out" else adamw
        state = optimizer.init(networks) if way == "left_out" else state
        gradient = jax.jit(jax.grad(loss))
        updates, _ = optimizer.update(gradient(networks, jnp.zeros(())), state, networks)
        results[way] = {
            "products": _products(gradient, networks, jnp.zeros(())),
            "net2_moved": float(jnp.abs(updates["net2"][0]).max()),
        }
    return results


def _changing(change: Change) -> Change:
    """Return a function that returns its argument, and changes the gradient on its way back."""

    @jax.custom_vjp
    def passed(value: Array) -> Array:
        return value

    passed.defvjp(lambda value: (value, None), lambda _, cotangent: (change(cotangent),))
    return passed


def _net1_gradient(loss: Callable[[Networks], Any], networks: Networks) -> Array:
    """Return a loss's gradient by net1, as one vector."""
    return ravel_pytree(jax.grad(loss)(networks)["net1"])[0]


def _networks(front: int = 2, back: int = 2) -> tuple[Networks, Array]:
    """Return net1 and net2, of so many layers each, and a batch."""
    keys = jax.random.split(jax.random.key(0), front + back + 1)
    weights = [jax.random.normal(key, (WIDTH, WIDTH)) * WIDTH**-0.5 for key in keys]
    return {"net1": weights[:front], "net2": weights[front:-1]}, weights[-1] * WIDTH**0.5


def _losses(networks: Networks, x: Array, change: Change | None = None) -> tuple[Array, Array]:
    """Return the mean square of net1's output, and ten times that of (net2's output − 1).

    ``change`` is what becomes of the gradient at net1's output.
    """
    between = _run(networks["net1"], x)
    between = _changing(change)(between) if change else between
    return jnp.mean(between**2), 10.0 * jnp.mean((_run(networks["net2"], between) - 1.0) ** 2)


def _run(layers: list[Array], x: Array) -> Array:
    """Run a network: a product with each weight, and ReLU."""
    for layer in layers:
        x = jax.nn.relu(x @ layer)
    return x


def _products(jitted: Any, *arguments: Any) -> float:
    """Return the matrix products in a compiled function, by XLA's count of its FLOPs."""
    cost = jitted.lower(*arguments).compile().cost_analysis() or {}
    return round(cost.get("flops", 0.0) / (2.0 * WIDTH**3), 1)


def _off(value: Array, right: Array) -> float:
    """Return how far an array is from the right one, relative to that one's norm."""
    return float(jnp.linalg.norm(value - right) / jnp.linalg.norm(right))
