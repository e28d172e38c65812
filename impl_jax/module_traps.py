"""Demonstrate the traps of weights cached over steps, and of checkpoints, in JAX.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_module_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import Array

WIDTH = 4
Function = Callable[..., Any]
CHECKPOINTS: dict[str, Callable[[Function], Function]] = {
    "kept": lambda function: function,
    "nnx.remat": nnx.remat,
    "jax.checkpoint": jax.checkpoint,
}


def weights_cached_over_steps() -> dict[str, Any]:
    """Take four steps with a jitted loss that closes over the weights, and one that gets them.

    What a jitted function closes over is a constant of the compiled program, a module too: all four
    losses are those of the weights it was traced with.
    """
    losses = {}
    for way in ("closed_over", "passed", "nnx_closed_over", "nnx_passed"):
        start = nnx.initializers.constant(0.5)
        net = nnx.Linear(WIDTH, WIDTH, use_bias=False, kernel_init=start, rngs=nnx.Rngs(0))
        passed, nnx_passed = jax.jit(_loss), nnx.jit(lambda net: _loss(net.kernel[...]))
        ways: dict[str, Callable[[], Array]] = {
            "closed_over": jax.jit(lambda: _loss(net.kernel[...])),  # noqa: B023
            "passed": lambda: passed(net.kernel[...]),  # noqa: B023
            "nnx_closed_over": nnx.jit(lambda: _loss(net.kernel[...])),  # noqa: B023
            "nnx_passed": lambda: nnx_passed(net),  # noqa: B023
        }
        values = []
        for _ in range(4):
            values.append(float(ways[way]()))
            net.kernel[...] = net.kernel[...] - 0.1 * jax.grad(_loss)(net.kernel[...])
        losses[way] = {"first_loss": values[0], "fourth_loss": values[-1]}
    return losses


def checkpoint_behind_a_frozen_front() -> dict[str, Any]:
    """Checkpoint net1 behind a frozen front, and a BatchNorm with one and two backward passes.

    Gradients are taken where they are asked for, whatever is checkpointed. What is recomputed in a
    backward pass writes nothing: `nnx.remat` hands on what the forward pass wrote. A plain
    `jax.checkpoint` gets a copy of the module, and BatchNorm's statistics stay where they are. The
    table shows net1's gradient, and how often a BatchNorm counted one batch.
    """
    results: dict[str, Any] = {}
    for way, checkpoint in CHECKPOINTS.items():
        front, net1, net2 = (nnx.Linear(WIDTH, WIDTH, rngs=nnx.Rngs(seed)) for seed in range(3))
        run = checkpoint(_run)

        def loss(net1: Any, net2: Any, front: Any = front, run: Function = run) -> Array:
            return jnp.sum(net2(run(net1, front(jnp.ones((2, WIDTH))))))

        gradients = nnx.grad(loss, argnums=(0, 1))(net1, net2)
        there = [bool(jnp.any(gradient["kernel"][...] != 0.0)) for gradient in gradients]
        results[way] = {"net1_has_gradient": there[0], "net2_has_gradient": there[1]}
    for passes in (1, 2):
        for way, checkpoint in CHECKPOINTS.items():
            counted = _counted(checkpoint, passes)
            results[f"batch_norm_{way}_{passes}_passes"] = {"counted": counted}
    return results


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


def _loss(weight: Array) -> Array:
    """Return the mean squared distance from 1 of what a weight makes of ones."""
    return jnp.mean((jnp.ones((8, WIDTH)) @ weight - 1.0) ** 2)


def _run(net: Any, x: Array) -> Array:
    """Return a module's output."""
    output: Array = net(x)
    return output
