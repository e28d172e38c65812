"""Demonstrate the traps of freezing a part of the networks in JAX, flax and optax.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_freeze_traps.py`` judges them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from impl_jax.backward_traps import _raised

LR, DECAY, STEPS = 0.1, 0.1, 5
Networks = dict[str, Array]
OPTIMIZERS = {
    "sgd": optax.sgd(LR),
    "momentum": optax.sgd(LR, momentum=0.9),
    "sgd_l2": optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(LR)),
    "adam": optax.adam(LR),
    "adam_l2": optax.chain(optax.add_decayed_weights(DECAY), optax.adam(LR)),
    "adamw": optax.adamw(LR, weight_decay=DECAY),
}
TRAINED = {"net1": False, "net2": True}
FROZEN = {"net1": True, "net2": False}
LABELS = {"net1": "frozen", "net2": "trained"}


def zero_gradients_of_frozen_parameters() -> dict[str, dict[str, float]]:
    """``stop_gradient`` makes gradients 0, not absent, and the optimizer steps every one of them.

    With a gradient of 0, momentum and Adam's moments still move a parameter, and so does weight
    decay. net1 is frozen after one step of training; the table shows how far its weights move in
    the next five.
    """

    def loss(networks: Networks) -> Array:
        return _loss({**networks, "net1": jax.lax.stop_gradient(networks["net1"])})

    moved: dict[str, dict[str, float]] = {"optimizer_of_both": {}, "optimizer_of_net2": {}}
    for over, name in product(moved, OPTIMIZERS):
        optimizer = OPTIMIZERS[name]
        start, state = _step(_loss, optimizer, _networks(), optimizer.init(_networks()))
        networks = start
        if over == "optimizer_of_net2":
            optimizer = optax.selective_transform(optimizer, freeze_mask=FROZEN)
            state = optimizer.init(networks)
        for _ in range(STEPS):
            networks, state = _step(loss, optimizer, networks, state)
        moved[over][name] = _distance(networks["net1"], start["net1"])
    return moved


def masked_alone() -> dict[str, Any]:
    """``optax.masked`` returns the raw gradient as the update of a parameter that is masked out.

    That update has no minus sign and no learning rate, so the frozen network climbs its loss. The
    table shows one step.
    """
    adam, zero = optax.adam(LR), optax.set_to_zero()
    optimizers = {
        "no_step": zero,
        "masked_alone": optax.masked(adam, TRAINED),
        "masked_then_zero": optax.chain(optax.masked(adam, TRAINED), optax.masked(zero, FROZEN)),
        "partition": optax.partition({"trained": adam, "frozen": zero}, LABELS),
        "selective_transform": optax.selective_transform(adam, freeze_mask=FROZEN),
    }
    start, gradient = _networks(), jax.grad(_loss)(_networks())
    results = {}
    for name, optimizer in optimizers.items():
        networks, _ = _step(_loss, optimizer, start, optimizer.init(start))
        change = networks["net1"] - start["net1"]
        results[name] = {
            "net1_moved": float(jnp.abs(change).max()),
            "by_its_gradient": bool(jnp.allclose(change, gradient["net1"])),
            "loss": float(_loss(networks)),
        }
    return results


def freeze_before_after_or_alone() -> dict[str, Any]:
    """``optax.freeze`` zeroes the frozen part of the updates it receives and returns the rest.

    Before AdamW it zeroes net1's gradient, and AdamW's decay still moves net1. Alone, it is no
    optimizer: it returns net2's raw gradient as the update, and net2 climbs the loss. The table
    shows three steps.
    """
    adamw, freeze = optax.adamw(LR, weight_decay=DECAY), optax.freeze(FROZEN)
    optimizers = {
        "no_step": optax.set_to_zero(),
        "freeze_then_adamw": optax.chain(freeze, adamw),
        "freeze_alone": freeze,
        "adamw_then_freeze": optax.chain(adamw, freeze),
    }
    results = {}
    for name, optimizer in optimizers.items():
        networks, state = _networks(), optimizer.init(_networks())
        for _ in range(3):
            networks, state = _step(_loss, optimizer, networks, state)
        moved = _distance(networks["net1"], _networks()["net1"])
        results[name] = {"net1_moved": moved, "loss": float(_loss(networks))}
    return results


def clipping_counts_frozen_gradients() -> dict[str, float]:
    """Clip gradients to a global norm of 1 over both networks, and over the trained one alone.

    The norm is over every gradient passed in, so a large one of a frozen network shrinks the rest.
    Returned is the norm of net2's gradient after clipping; before, it is 3.
    """
    clip, freeze = optax.clip_by_global_norm(1.0), optax.freeze(FROZEN)
    ways = {"both": optax.chain(clip, freeze), "trained_only": optax.chain(freeze, clip)}
    networks = {"net1": jnp.zeros(1), "net2": jnp.zeros(1)}
    gradients = jax.grad(lambda n: (40.0 * n["net1"] + 3.0 * n["net2"]).sum())(networks)
    results = {}
    for way, clipped in ways.items():
        updates, _ = clipped.update(gradients, clipped.init(networks))
        results[way] = float(jnp.linalg.norm(updates["net2"]))
    return results


def frozen_batch_norm_moves_its_statistics() -> dict[str, Any]:
    """Run a frozen BatchNorm forward and see whether its running statistics change.

    They are no parameters: not differentiating net1 does not freeze them. ``.eval()`` does, until
    ``.train()`` is called on the whole model again.
    """
    trained = nnx.All(nnx.Param, nnx.PathContains("net2"))
    moved = {}
    for way in ("frozen", "eval", "eval_then_train"):
        model = _Normalized(nnx.Rngs(0))
        if way.startswith("eval"):
            model.net1.eval()
        if way == "eval_then_train":
            model.train()
        nnx.grad(_squares, argnums=nnx.DiffState(0, trained))(model, _batch())
        moved[way] = {"net1": _statistics_moved(model.net1), "net2": _statistics_moved(model.net2)}
    return moved


def optimizer_of_a_part() -> dict[str, Any]:
    """``nnx.Optimizer`` steps what its filter ``wrt`` selects and drops every other gradient.

    So a frozen net1's gradients are computed for nothing, and a misspelt filter trains nothing at
    all. Only the reverse, gradients of too few variables, raises.
    """
    parts = {n: nnx.All(nnx.Param, nnx.PathContains(n)) for n in ("net1", "net2", "misspelt")}
    cases: dict[str, tuple[Any, Any]] = {
        "gradients of all, optimizer of net2": (nnx.Param, parts["net2"]),
        "gradients of all, optimizer of a misspelt net": (nnx.Param, parts["misspelt"]),
        "gradients of net2, optimizer of all": (parts["net2"], nnx.Param),
        "gradients of net2, optimizer of net2": (parts["net2"], parts["net2"]),
    }
    results = {}
    for name, (differentiated, wrt) in cases.items():
        model = _Normalized(nnx.Rngs(0))
        start = nnx.clone(model)
        optimizer = nnx.Optimizer(model, optax.sgd(LR), wrt=wrt)
        grads = nnx.grad(_squares, argnums=nnx.DiffState(0, differentiated))(model, _batch())
        raised = _raised(partial(optimizer.update, model, grads))
        moved = {f"{n}_moved": _moved(model, start, parts[n]) for n in ("net1", "net2")}
        results[name] = {"raised": raised, **moved}
    return results


def batch_norm_under_plain_jit() -> dict[str, Any]:
    """``jax.jit`` gives the function a copy of the model and drops every change to it.

    After one call in training mode the running mean of net1's BatchNorm should have moved.
    """

    def run(model: _Normalized, x: Array) -> Array:
        return model(x)

    def split_and_merge(model: _Normalized, x: Array) -> Array:
        graph, state = nnx.split(model)

        @jax.jit
        def pure(state: Any, x: Array) -> tuple[Array, Any]:
            model = nnx.merge(graph, state)
            return model(x), nnx.state(model)

        y, state = pure(state, x)
        nnx.update(model, state)
        return y

    ways: dict[str, Callable[[_Normalized, Array], Array]] = {
        "jax.jit": jax.jit(run),
        "no jit": run,
        "nnx.jit": nnx.jit(run),
        "split and merge": split_and_merge,
    }
    moved = {}
    for name, way in ways.items():
        model = _Normalized(nnx.Rngs(0))
        way(model, _batch())
        moved[name] = {"mean_moved": _statistics_moved(model.net1)}
    return moved


def optimizer_trajectories() -> dict[str, list[list[float]]]:
    """Return the three weights after each of 20 steps in float64, for each optimizer by name.

    All start alike and are given the same gradients, which are returned as ``gradients``. A test
    compares the frameworks' optimizers by them.
    """
    l2 = optax.add_decayed_weights(DECAY)
    optimizers = {
        "sgd_nesterov": optax.sgd(LR, momentum=0.9, nesterov=True),
        "adam": optax.adam(LR),
        "decayed_weights_then_adam": optax.chain(l2, optax.adam(LR)),
        "adamw": optax.adamw(LR, weight_decay=DECAY),
        "adamw_default": optax.adamw(LR),
        "adamw_1e-2": optax.adamw(LR, weight_decay=1e-2),
        "rmsprop": optax.rmsprop(LR),
        "rmsprop_decay": optax.rmsprop(LR, decay=0.99),
        "rmsprop_eps": optax.rmsprop(LR, eps_in_sqrt=False),
        "rmsprop_decay_eps": optax.rmsprop(LR, decay=0.99, eps_in_sqrt=False),
    }
    with jax.enable_x64(True):
        results = {name: _trajectory(optimizer) for name, optimizer in optimizers.items()}
    return {"gradients": _gradients(), **results}


def _trajectory(optimizer: optax.GradientTransformation) -> list[list[float]]:
    """Return three weights after each step of an optimizer along the 20 gradients."""
    weight = jnp.array([1.0, -2.0, 0.5])
    state, path = optimizer.init(weight), []
    update = jax.jit(optimizer.update)
    for gradient in _gradients():
        change, state = update(jnp.array(gradient), state, weight)
        weight = optax.apply_updates(weight, change)
        path.append(weight.tolist())
    return path


def _gradients() -> list[list[float]]:
    """Return three gradients for each of 20 steps.

    The last is so small that it matters whether RMSprop's epsilon is inside the square root.
    """
    return [[math.sin(step), 0.1 * math.cos(3 * step), 1e-4 * (1 + step % 3)] for step in range(20)]


def _networks() -> Networks:
    """Return two networks of one layer each: three weights that multiply its input elementwise."""
    return {"net1": jnp.array([0.5, -1.0, 2.0]), "net2": jnp.array([1.0, 0.5, -0.5])}


def _loss(networks: Networks) -> Array:
    """Return the sum of (net1 · net2 − 1)², elementwise over three weights of each network."""
    return ((networks["net1"] * networks["net2"] - 1.0) ** 2).sum()


def _step(
    loss: Callable[[Networks], Array],
    optimizer: optax.GradientTransformation,
    networks: Networks,
    state: Any,
) -> tuple[Networks, Any]:
    """Return networks and optimizer state after one step along the gradient of the loss."""
    updates, state = optimizer.update(jax.grad(loss)(networks), state, networks)
    return optax.apply_updates(networks, updates), state


class _Normalized(nnx.Module):
    """Two networks with a BatchNorm in each."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.net1, self.net2 = (
            nnx.Sequential(nnx.Linear(3, 3, rngs=rngs), nnx.relu, nnx.BatchNorm(3, rngs=rngs))
            for _ in range(2)
        )

    def __call__(self, x: Array) -> Array:
        return self.net2(self.net1(x))


def _batch() -> Array:
    """Return a batch of four examples of three features."""
    return jnp.arange(12.0).reshape(4, 3) / 4.0


def _squares(model: _Normalized, x: Array) -> Array:
    """Return the mean squared error of the model's output against ones."""
    return jnp.mean((model(x) - 1.0) ** 2)


def _distance(one: Array, other: Array) -> float:
    """Return the largest absolute difference of any element."""
    return float(jnp.abs(one - other).max())


def _moved(model: nnx.Module, start: nnx.Module, part: Any) -> float:
    """Return the largest change of any element from the model ``start`` to ``model``.

    ``part`` is nnx's filter of the variables to compare.
    """
    before, after = (nnx.state(m, part) for m in (start, model))
    return max(jax.tree.leaves(jax.tree.map(_distance, before, after)))


def _statistics_moved(network: nnx.Module) -> float:
    """Return the largest absolute running mean, which is 0 before any batch."""
    means = nnx.state(network, nnx.All(nnx.BatchStat, nnx.PathContains("mean")))
    return max(float(jnp.abs(mean).max()) for mean in jax.tree.leaves(means))
