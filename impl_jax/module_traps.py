"""Demonstrate the traps of weights cached over steps, and of checkpoints, in JAX.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_module_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import log2
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

WIDTH = 4
Function = Callable[..., Any]
# What compiles a function: → the function with these arguments, compiled.
CACHES: dict[str, Callable[..., Callable[[], Array]]] = {
    "jax.jit": lambda function, *arguments: partial(jax.jit(function), *arguments),
    "nnx.jit": lambda function, *arguments: partial(nnx.jit(function), *arguments),
    "nnx.jit_partial": lambda function, *arguments: nnx.jit_partial(
        function, *arguments, graph=False
    ),
    "nnx.cached_partial": lambda function, *arguments: nnx.cached_partial(
        nnx.jit(function), *arguments
    ),
}
ONLY_IN_CACHES = {"nnx.jit_partial": "flax>=0.12.5"}  # name → the releases that have it
DECLARED_CACHES = {  # name → why nothing is shown for it
    "jax.disable_jit": "compiles nothing",
    "jax.pmap": "compiles as jit does, for several devices",
    "nnx.pmap": "compiles as jit does, for several devices",
}
CHECKPOINTS: dict[str, Callable[[Function], Function]] = {
    "nnx.remat": nnx.remat,
    "jax.checkpoint": jax.checkpoint,
}
FURTHER_CHECKPOINTS: dict[str, Callable[[Function], Function]] = {
    "no checkpoint": lambda function: function,
}
DECLARED_CHECKPOINTS = {  # name → why nothing is shown for it
    "jax.remat": "is jax.checkpoint",
    "jax.custom_remat": "says how a checkpoint around it computes it again",
}
ONLY_IN_CHECKPOINTS = {"jax.custom_remat": "jax>=0.11,<0.12"}  # name → the releases that have it


def weights_cached_over_steps() -> dict[str, Any]:
    """Take four steps with a compiled loss that closes over the network, and one that gets it.

    What a compiled function closes over is a constant of the program: all four losses are those of
    the weights it was traced with.
    """
    losses: dict[str, Any] = {}
    here = caches_of_this_release()["found"]
    for name, compiled in CACHES.items():
        for way in ("closed_over", "passed") if name in here else ():
            start = nnx.initializers.constant(0.5)
            net = nnx.Linear(WIDTH, WIDTH, use_bias=False, kernel_init=start, rngs=nnx.Rngs(0))
            loss = (
                compiled(_loss, net) if way == "passed" else compiled(lambda: _loss(net))  # noqa: B023
            )
            values = []
            for _ in range(4):
                values.append(float(loss()))
                slope = jax.grad(_mean_square)(net.kernel[...])
                net.kernel[...] = net.kernel[...] - 0.1 * slope
            losses.setdefault(name, {})[way] = {"first_loss": values[0], "fourth_loss": values[-1]}
    return losses


def caches_of_this_release() -> dict[str, Any]:
    """Return the names of all that compiles a function in these releases, of those shown, declared.

    They are what has "jit" or "cached" in its name in ``jax`` and in ``flax.nnx``, and ``pmap``.
    """
    names = [
        f"{library}.{name}"
        for library, module in (("jax", jax), ("nnx", nnx))
        for name in vars(module)
        if not name.startswith("_")
        if name == "pmap" or "jit" in name or "cached" in name
    ]
    return {
        "found": sorted(names),
        "shown": sorted(CACHES),
        "declared": DECLARED_CACHES,
        "only_in": ONLY_IN_CACHES,
    }


def checkpoint_behind_a_frozen_front() -> dict[str, Any]:
    """Checkpoint net1 behind a frozen front, and a BatchNorm with one and two backward passes.

    Gradients are taken where they are asked for, whatever is checkpointed. What is recomputed in a
    backward pass writes nothing: `nnx.remat` hands on what the forward pass wrote. A plain
    `jax.checkpoint` gets a copy of the module, and BatchNorm's statistics stay where they are. The
    table shows net1's gradient, and how often a BatchNorm counted one batch.
    """
    results: dict[str, Any] = {}
    for way, checkpoint in {**FURTHER_CHECKPOINTS, **CHECKPOINTS}.items():
        counted = {f"counted_in_{n}_passes": _counted(checkpoint, n) for n in (1, 2)}
        results[way] = {**_gradients_there(checkpoint(_run)), **counted}
    return results


def checkpoints_of_this_release() -> dict[str, Any]:
    """Return the names of all checkpoints of these releases, of those shown, and declared.

    They are the functions of ``jax`` and ``flax.nnx`` with "remat" or "checkpoint" in their names.
    """
    names = [
        f"{library}.{name}"
        for library, module in (("jax", jax), ("nnx", nnx))
        for name, value in vars(module).items()
        if ("remat" in name or "checkpoint" in name) and callable(value)
    ]
    return {
        "found": sorted(names),
        "shown": sorted(CHECKPOINTS),
        "declared": DECLARED_CHECKPOINTS,
        "only_in": ONLY_IN_CHECKPOINTS,
    }


def _gradients_there(run: Function) -> dict[str, bool]:
    """Return whether net1 and net2 have gradients, where net1 is run so behind a frozen front."""
    front, net1, net2 = (nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(seed)) for seed in range(3))

    def loss(net1: Any, net2: Any) -> Array:
        return jnp.sum(net2(run(net1, front(jnp.ones((2, WIDTH))))))

    gradients = nnx.grad(loss, argnums=(0, 1))(net1, net2)
    return {
        f"{name}_has_gradient": bool(jnp.any(gradient["kernel"][...] != 0.0))
        for name, gradient in zip(("net1", "net2"), gradients, strict=True)
    }


def _counted(checkpoint: Callable[[Function], Function], passes: int) -> int:
    """Return how many batches a BatchNorm counted in one forward and several backward passes.

    nnx keeps no count. With a momentum of ½ the running mean is ½, ¾, … of the batch's.
    """
    x = jax.random.normal(jax.random.key(0), (8, WIDTH))
    linear = nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(0))
    norm = nnx.BatchNorm(WIDTH, momentum=0.5, rngs=nnx.Rngs(0))
    split: Any = nnx.split(nnx.Sequential(linear, norm), nnx.Param, ...)
    definition, parameters, rest = split

    def losses(parameters: Any) -> Any:
        net = nnx.merge(definition, parameters, rest, copy=True)
        between = checkpoint(_run)(net, x)
        both = jnp.mean(between**2), jnp.mean((between - 1.0) ** 2)
        return both, nnx.state(net, nnx.BatchStat)

    _, pull_back, statistics = jax.vjp(losses, parameters, has_aux=True)
    for cotangents in ((1.0, 1.0),) if passes == 1 else ((1.0, 0.0), (0.0, 1.0)):
        pull_back(cotangents)
    mean = statistics["layers"][1]["mean"][...]
    share = float(mean[0] / jnp.mean(linear(x), axis=0)[0])
    return round(-log2(1.0 - share))


def _mean_square(weight: Array) -> Array:
    """Return the mean squared distance from 1 of what a weight makes of ones."""
    return jnp.mean((jnp.ones((8, WIDTH)) @ weight - 1.0) ** 2)


def _loss(net: Any) -> Array:
    """Return the same for the weight of a layer."""
    return _mean_square(net.kernel[...])


def _run(net: Any, x: Array) -> Array:
    """Return a module's output."""
    output: Array = net(x)
    return output
