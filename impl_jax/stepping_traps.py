"""Demonstrate the traps of a step for each loss in JAX, with every optimizer of optax.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_stepping_traps.py`` judges them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jax import Array
from jax.flatten_util import ravel_pytree

from impl_jax.loss_traps import Networks, _losses, _networks, _off

LR = 0.01
Loss = Callable[[Any], Array]
# Those that a rate is enough for, of optax and of optax.contrib.
BY_RATE = (
    "adabelief", "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamaxw", "adamw", "adan",
    "amsgrad", "fromage", "lamb", "lars", "lion", "nadam", "nadamw", "novograd", "optimistic_adam",
    "optimistic_adam_v2", "optimistic_gradient_descent", "polyak_sgd", "radam", "rmsprop", "rprop",
    "sgd", "sign_sgd", "signum", "sm3", "yogi",
)  # fmt: skip
BY_RATE_IN_CONTRIB = (
    "acprop", "ademamix", "adopt", "cocob", "dadapt_adamw", "dog", "dowg", "galore", "madgrad",
    "momo", "momo_adam", "muon", "prodigy", "schedule_free_adamw", "schedule_free_sgd",
    "simplified_ademamix", "sophia",
)  # fmt: skip
OPTIMIZERS: dict[str, Callable[..., Any]] = {
    **{name: getattr(optax, name) for name in BY_RATE},
    **{name: getattr(optax.contrib, name) for name in BY_RATE_IN_CONTRIB},
    # without the search along its direction, which runs the losses again
    "lbfgs": partial(optax.lbfgs, memory_size=1, linesearch=None),
    "lookahead": lambda rate: optax.lookahead(optax.sgd(rate), sync_period=3, slow_step_size=0.5),
    "noisy_sgd": lambda rate: optax.noisy_sgd(rate, eta=0.0, key=jax.random.key(0)),
    "dpsgd": lambda rate: optax.contrib.dpsgd(rate, l2_norm_clip=1.0, noise_multiplier=0.0, seed=0),
    "mechanize": lambda rate: optax.contrib.mechanize(optax.sgd(rate)),
    "sam": lambda rate: optax.contrib.sam(optax.sgd(rate), optax.sgd(rate)),
    "schedule_free": lambda rate: optax.contrib.schedule_free(optax.sgd(rate), rate),
}
FURTHER: dict[str, Callable[..., Any]] = {"sgd, momentum": partial(optax.sgd, momentum=0.9)}
DECLARED = {  # name → why nothing is shown for it
    "selective_transform": "freezes a part under another optimizer, and has no step of its own",
}
ASKING_FOR_THE_VALUE = ("polyak_sgd", "momo", "momo_adam")
ASKING_FOR_THE_LOSS = ("sophia",)
PER_EXAMPLE = ("dpsgd",)  # gradients with an axis of examples in front


def steps_inside_the_backward_pass() -> dict[str, Any]:
    """Call an optimizer once for each loss, where torch's hooks would step once for each pass.

    There are no hooks: a step is a call. Two calls are two steps, and net1 gets both, while one
    call with the sum of the gradients is one. All begin with a step of the sum, as the first one of
    some optimizers moves nothing. The table shows how far net1's move is from that of the sum.
    """
    networks, x = _networks()
    # compiled once for all optimizers; the third is the sum
    losses: list[Loss] = [
        lambda n: _losses(n, x)[0],
        lambda n: _losses(n, x)[1],
        lambda n: sum(_losses(n, x), jnp.zeros(())),
    ]
    gradients = [jax.jit(jax.value_and_grad(loss)) for loss in losses]
    results = {}
    for name, build in {**OPTIMIZERS, **FURTHER}.items():
        optimizer = build(LR)
        step = partial(_step, name, optimizer, losses, gradients, {})
        start = step(2, *_start(name, optimizer, networks))
        separate, summed = step(1, *step(0, *start)), step(2, *start)
        begin, moved, right = (_net1(parameters) for parameters, _ in (start, separate, summed))
        off = _off(moved - begin, right - begin)
        results[name] = {"steps_summed": 1, "steps_separate": 2, "move_off": off}
    return results


def optimizers_of_this_release() -> dict[str, Any]:
    """Return the names of all optimizers of this release of optax, of those shown, and declared.

    They are the functions of ``optax`` and ``optax.contrib`` that ask for a learning rate or for
    another optimizer; what is named ``scale_by_…`` is a part of one.
    """
    members = [
        name
        for name, value in (vars(optax) | vars(optax.contrib)).items()
        if name[0].islower() and callable(value) and not name.startswith("scale_by_")
        if any(
            "learning_rate" in p or "optimizer" in p for p in inspect.signature(value).parameters
        )
    ]
    return {"found": sorted(members), "shown": sorted(OPTIMIZERS), "declared": DECLARED}


def _start(name: str, optimizer: Any, networks: Networks) -> tuple[Any, Any]:
    """Return the parameters in the form that the optimizer asks for, and its state."""
    parameters: Any = networks
    if name == "lookahead":  # fast and slow weights
        parameters = optax.LookaheadParams.init_synced(networks)
    return parameters, optimizer.init(parameters)


def _step(
    name: str,
    optimizer: Any,
    losses: list[Loss],
    gradients: list[Any],
    compiled: dict[int, Any],
    which: int,
    parameters: Any,
    state: Any,
) -> tuple[Any, Any]:
    """Return parameters and state after one call of the optimizer with the gradient of a loss.

    Args:
        losses: of which an optimizer may ask for the one it steps.
        gradients: value and gradient of each loss, compiled.
        compiled: update of this optimizer, by the loss that it was compiled for; filled here.
        which: index of the loss.
    """
    value, gradient = gradients[which](_weights(parameters))
    if name in PER_EXAMPLE:
        gradient = jax.tree.map(lambda one: one[None], gradient)
    arguments = {"value": value} if name in ASKING_FOR_THE_VALUE else {}
    asked = {"obj_fn": losses[which]} if name in ASKING_FOR_THE_LOSS else {}
    key = which if asked else 0
    update = compiled.setdefault(key, jax.jit(partial(optimizer.update, **asked)))
    updates, state = update(gradient, state, parameters, **arguments)
    return optax.apply_updates(parameters, updates), state


def _weights(parameters: Any) -> Any:
    """Return the weights that a loss is computed with: the fast ones where there are two kinds."""
    return parameters.fast if isinstance(parameters, optax.LookaheadParams) else parameters


def _net1(parameters: Any) -> Array:
    """Return net1's weights, as one vector."""
    return ravel_pytree(_weights(parameters)["net1"])[0]
