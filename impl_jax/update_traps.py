"""Demonstrate the traps of what looks like freezing, or like one update, in JAX and optax.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_update_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

LR, DECAY = 0.1, 0.1
Networks = dict[str, Array]
TRAINED = {"net1": False, "net2": True}
LABELS = {"net1": "frozen", "net2": "trained"}


def decay_that_looks_like_freezing() -> dict[str, Any]:
    """Freeze net1 by the mask of `adamw`, and chain weight decay after a partition.

    ``adamw(mask=)`` masks the decay alone: net1 moves by the whole rate. What is chained after a
    partition sees every parameter, the frozen ones too. The table shows one step.
    """
    adamw, zero = optax.adamw(LR, weight_decay=DECAY), optax.set_to_zero()
    decay = optax.add_decayed_weights(-LR * DECAY)  # of the updates, which carry the minus sign
    inside = optax.chain(optax.adam(LR), decay)
    optimizers = {
        "mask_of_adamw": optax.adamw(LR, weight_decay=DECAY, mask=TRAINED),
        "decay_behind_partition": optax.chain(
            optax.partition({"trained": optax.adam(LR), "frozen": zero}, LABELS), decay
        ),
        "decay_inside_partition": optax.partition({"trained": inside, "frozen": zero}, LABELS),
        "partition_of_adamw": optax.partition({"trained": adamw, "frozen": zero}, LABELS),
    }
    moved = {}
    for way, optimizer in optimizers.items():
        networks = _networks()
        updates, _ = optimizer.update(jax.grad(_loss)(networks), optimizer.init(networks), networks)
        moved[way] = {f"{name}_moved": float(jnp.abs(u).max()) for name, u in updates.items()}
    return moved


def gradient_stopped_in_a_constructor() -> dict[str, Any]:
    """Stop the gradient of a weight where the module is built, and where it is used.

    In the constructor `stop_gradient` returns the array as it is: nothing is differentiated yet.
    The table shows the weight's gradient.
    """
    gradients = {}
    for way in ("in_the_constructor", "where_it_is_used", "of_another_type"):
        model = _Stopped(way)
        grads = nnx.grad(lambda m: jnp.sum(m(jnp.ones(3)) ** 2))(model)
        leaves = jax.tree.leaves(grads.get("frozen", {}))
        largest = float(jnp.abs(leaves[0]).max()) if leaves else None
        gradients[way] = {"gradient": largest}
    return gradients


def clipping_inside_a_partition() -> dict[str, Any]:
    """Clip by a global norm of 1 inside each part of a partition, and in front of it.

    Inside, the norm is that of the part: two parts together have a norm of up to √2, and another
    direction. The table shows the norm of the update, and its cosine with the gradient.
    """
    gradients = {"net1": jnp.array([6.0, 0.0]), "net2": jnp.array([0.0, 1.2])}
    clip, keep = optax.clip_by_global_norm(1.0), optax.identity()
    ways = {
        "inside": optax.partition({"frozen": clip, "trained": clip}, LABELS),
        "in_front": optax.chain(clip, optax.partition({"frozen": keep, "trained": keep}, LABELS)),
    }
    flat = jnp.concatenate(list(gradients.values()))
    results = {}
    for way, optimizer in ways.items():
        updates, _ = optimizer.update(gradients, optimizer.init(gradients))
        update = jnp.concatenate(list(updates.values()))
        norm = jnp.linalg.norm(update)
        cosine = jnp.vdot(update, flat) / norm / jnp.linalg.norm(flat)
        results[way] = {"norm": float(norm), "cosine": float(cosine)}
    return results


def losses_accumulated_over_calls() -> dict[str, Any]:
    """Add up the gradients of two losses by `MultiSteps`, which averages them.

    Meant for parts of one batch, it divides by the number of calls. The table shows the update,
    relative to that of the summed loss.
    """
    networks, sgd = _networks(), optax.sgd(LR)
    each = [jax.grad(_loss)(networks), jax.grad(lambda n: jnp.sum(n["net1"] ** 2))(networks)]
    total = jax.tree.map(jnp.add, *each)
    right = -LR * total["net1"]
    results = {"summed": {"update_over_summed": 1.0}}
    for way, mean in (("MultiSteps", True), ("MultiSteps_without_the_mean", False)):
        steps = optax.MultiSteps(sgd, every_k_schedule=2, use_grad_mean=mean)
        state = steps.init(networks)
        for gradient in each:
            updates, state = steps.update(gradient, state, networks)
        share = jnp.linalg.norm(updates["net1"]) / jnp.linalg.norm(right)
        results[way] = {"update_over_summed": float(share)}
    return results


def head_replaced_under_an_optimizer() -> dict[str, Any]:
    """Put a new head into a model whose optimizer has stepped the old one.

    nnx's optimizer keeps moments by path, so the new head goes on with those of the old one. The
    table shows how far its first step is from that of a fresh optimizer, relative to it.
    """
    start, gradient = jnp.ones(3), jnp.array([-1.0, 1.0, 1.0])

    def first_step(way: str) -> Array:
        model = nnx.Dict(body=nnx.Param(jnp.ones(3)), head=nnx.Param(jnp.ones(3)))
        optimizer = nnx.Optimizer(model, optax.adam(LR), wrt=nnx.Param)
        grads = jax.tree.map(lambda _: jnp.array([1.0, -2.0, 3.0]), nnx.state(model, nnx.Param))
        for _ in range(5):
            optimizer.update(model, grads)
        model.head = nnx.Param(start)
        if way == "new_optimizer":
            optimizer = nnx.Optimizer(model, optax.adam(LR), wrt=nnx.Param)
        if way == "moments_cleared_but_not_the_count":
            moments = optimizer.opt_state[0]
            for tree in (moments.mu, moments.nu):
                tree["head"][...] = jnp.zeros(3)
        optimizer.update(model, jax.tree.map(lambda _: gradient, grads))
        step: Array = model.head[...] - start
        return step

    right = first_step("new_optimizer")
    ways = ("old_optimizer", "moments_cleared_but_not_the_count", "new_optimizer")
    return {way: {"step_off": _off(first_step(way), right)} for way in ways}


class _Stopped(nnx.Module):
    """Two weights that are multiplied; the first is meant to be frozen."""

    def __init__(self, way: str) -> None:
        weight, self.way = jnp.array([0.5, -1.0, 2.0]), way
        if way == "in_the_constructor":
            weight = jax.lax.stop_gradient(weight)
        kind: Callable[[Array], Any] = nnx.Variable if way == "of_another_type" else nnx.Param
        self.frozen, self.trained = kind(weight), nnx.Param(jnp.ones(3))

    def __call__(self, x: Array) -> Array:
        weight = self.frozen[...]
        if self.way == "where_it_is_used":
            weight = jax.lax.stop_gradient(weight)
        return x * weight * self.trained[...]


def _networks() -> Networks:
    """Return two networks of one layer each: three weights that multiply its input elementwise."""
    return {"net1": jnp.array([0.5, -1.0, 2.0]), "net2": jnp.array([1.0, 0.5, -0.5])}


def _loss(networks: Networks) -> Array:
    """Return the sum of (net1 · net2 − 1)², elementwise over three weights of each network."""
    return jnp.sum((networks["net1"] * networks["net2"] - 1.0) ** 2)


def _off(value: Array, right: Array) -> float:
    """Return how far an array is from the right one, relative to that one's norm."""
    return float(jnp.linalg.norm(value - right) / jnp.linalg.norm(right))
