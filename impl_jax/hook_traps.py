"""Demonstrate what rules that change gradients do to a pullback for each loss, in JAX.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_hook_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array
from jax.flatten_util import ravel_pytree

from impl_jax.backward_traps import _raised
from impl_jax.loss_traps import Networks, _networks, _off, _run

Change = Callable[[Array], Array]
CHANGES: dict[str, Change] = {
    "clip_norm": lambda g: g * jnp.minimum(1.0, 1e-3 / jnp.linalg.norm(g)),
    "clamp": lambda g: jnp.clip(g, -1e-5, 1e-5),
    "sign": jnp.sign,
    "drop_small": lambda g: jnp.where(jnp.abs(g) > 3e-3, g, 0.0),
    "halve": lambda g: 0.5 * g,
}


def hooks_that_change_gradients() -> dict[str, Any]:
    """Change gradients by a rule on their way back, for the sum and for each loss.

    There are no hooks: a function that returns its argument gets a backward rule of its own. The
    rule sees what one pullback brings. Only where it is linear is the sum of what it makes of two
    gradients what it makes of their sum. The rule stands at net1's output, or around each of its
    weights. The table shows how far net1's gradient of two passes is from that of one, relative to
    it; changed once, after the last pass, they agree. A rule of `custom_jvp` that is not linear
    raises.
    """
    errors: dict[str, Any] = {}
    for place, (where, rule) in {**HOOKS, **FURTHER}.items():
        changes = {name: {where: rule(change)} for name, change in CHANGES.items()}
        errors[place] = {name: _off(*pair) for name, pair in _two_and_one(changes).items()}
    unchanged = _two_and_one({"": {}})[""]
    errors["after_the_last_pass"] = {
        name: _off(*map(change, unchanged)) for name, change in CHANGES.items()
    }
    tangents = _by_custom_jvp(CHANGES["clip_norm"])
    pulled = partial(_gradient, *_networks(), 0, output=tangents)
    errors["jax.custom_jvp"] = {"raised": _raised(pulled)}
    return errors


def hooks_of_this_release() -> dict[str, Any]:
    """Return the names of all rules for gradients of these releases, of those shown, and declared.

    They are what is named ``custom_…`` in ``jax`` and in ``flax.nnx``.
    """
    names = [
        f"{library}.{name}"
        for library, module in (("jax", jax), ("nnx", nnx))
        for name, value in vars(module).items()
        if name.startswith("custom_") and callable(value)
    ]
    shown = [*HOOKS, "jax.custom_jvp"]
    return {"found": sorted(names), "shown": shown, "declared": DECLARED, "only_in": ONLY_IN}


def _by_custom_vjp(change: Change) -> Change:
    """Return a function that returns its argument, and changes the gradient on its way back."""

    @jax.custom_vjp
    def passed(value: Array) -> Array:
        return value

    passed.defvjp(lambda value: (value, None), lambda _, cotangent: (change(cotangent),))
    return passed


def _by_custom_gradient(change: Change) -> Change:
    """Return the same function, written with `custom_gradient`."""
    return jax.custom_gradient(lambda value: (value, change))


def _by_nnx_custom_vjp(change: Change) -> Change:
    """Return the same function, written with nnx's `custom_vjp`."""

    @partial(nnx.custom_vjp, graph_updates=False)
    def passed(value: Array) -> Array:
        return value

    passed.defvjp(lambda value: (value, None), lambda _, cotangent: (change(cotangent),))
    return passed


def _by_custom_jvp(change: Change) -> Change:
    """Return a function that returns its argument, and changes the tangent on its way forward."""

    @jax.custom_jvp
    def passed(value: Array) -> Array:
        return value

    passed.defjvp(lambda values, tangents: (values[0], change(tangents[0])))
    return passed


# Name → where the rule stands, and how it is written.
HOOKS: dict[str, tuple[str, Callable[[Change], Change]]] = {
    "jax.custom_vjp": ("output", _by_custom_vjp),
    "jax.custom_gradient": ("output", _by_custom_gradient),
    "nnx.custom_vjp": ("output", _by_nnx_custom_vjp),
}
FURTHER = {"jax.custom_vjp, each weight": ("weight", _by_custom_vjp)}
DECLARED = {  # name → why nothing is shown for it
    "jax.custom_remat": "has the backward rule of custom_vjp, for what a checkpoint recomputes",
}
ONLY_IN = {"jax.custom_remat": "jax>=0.11,<0.12"}  # name → the releases that have it


def _two_and_one(changes: dict[str, dict[str, Change]]) -> dict[str, tuple[Array, Array]]:
    """Return net1's gradient of two passes added up, and of one pass of the sum, for each name.

    Args:
        changes: name → the keywords of `_gradient`.
    """

    @jax.jit
    def gradients(networks: Networks, x: Array) -> dict[str, tuple[Array, Array]]:
        by = partial(_gradient, networks, x)
        return {
            name: (by(0, **passed) + by(1, **passed), by(0, 1, **passed))
            for name, passed in changes.items()
        }

    return gradients(*_networks())


def _gradient(
    networks: Networks,
    x: Array,
    *losses: int,
    output: Change = lambda value: value,
    weight: Change = lambda value: value,
) -> Array:
    """Return the gradient by net1 of the sum of some losses, as one vector.

    Args:
        networks, x: the weights of net1 and net2, and a batch.
        losses: 0 is the mean square of net1's output, 1 ten times that of (net2's output − 1).
        output: what net1's output is passed through.
        weight: what each of net1's weights is passed through.
    """

    def loss(networks: Networks) -> Array:
        between = output(_run([weight(one) for one in networks["net1"]], x))
        net2 = _run(networks["net2"], between)
        both = jnp.mean(between**2), 10.0 * jnp.mean((net2 - 1.0) ** 2)
        return jnp.sum(jnp.stack([both[i] for i in losses]))

    return ravel_pytree(jax.grad(loss)(networks)["net1"])[0]
