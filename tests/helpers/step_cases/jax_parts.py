"""An encoder and a head in JAX with a loss on each, to build training steps from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cascade_bench import Case

LR, DECAY = 0.1, 0.1
FROZEN = {"encoder": True, "head": False}
TRAINED = {"encoder": False, "head": True}
LABELS = {"encoder": "frozen", "head": "trained"}
Losses = Callable[[Any, Any], dict[str, Any]]


def networks() -> dict[str, Any]:
    """Return an encoder of two layers and a head of one, as pytrees."""
    keys = jax.random.split(jax.random.key(0), 3)
    return {
        "encoder": [layer(keys[0], 8, 16), layer(keys[1], 16, 16)],
        "head": layer(keys[2], 16, 4),
    }


def layer(key: Any, inputs: int, outputs: int) -> dict[str, Any]:
    """Return weight and bias of a Linear layer."""
    weight = jax.random.normal(key, (inputs, outputs)) / jnp.sqrt(inputs)
    return {"weight": weight, "bias": jnp.zeros(outputs)}


def apply(one: Mapping[str, Any], x: Any) -> Any:
    """Return a layer's output."""
    return x @ one["weight"] + one["bias"]


def batch() -> dict[str, Any]:
    """Return inputs and classes."""
    x, y = jax.random.split(jax.random.key(1))
    return {"x": jax.random.normal(x, (8, 8)), "y": jax.random.randint(y, (8,), 0, 4)}


def encode(params: Any, x: Any) -> Any:
    """Return the code."""
    first, second = params["encoder"]
    return apply(second, jax.nn.relu(apply(first, x)))


def task(params: Any, code: Any, data: Any) -> Any:
    """Return the loss at the head's output."""
    scores = apply(params["head"], code)
    return optax.softmax_cross_entropy_with_integer_labels(scores, data["y"]).mean()


def two_losses(params: Any, data: Any) -> dict[str, Any]:
    """Return a loss at the code and one at the head's output."""
    code = encode(params, data["x"])
    return {"code": jnp.square(code).mean(), "task": task(params, code, data)}


def task_alone(params: Any, data: Any) -> dict[str, Any]:
    """Return the loss at the head's output alone."""
    return {"task": task(params, encode(params, data["x"]), data)}


def total(losses: Losses) -> Callable[[Any, Any], Any]:
    """Return the sum of the losses as a function."""
    return lambda params, data: sum(losses(params, data).values())


def stepping(optimizer: Any, gradient: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Return the jitted pure step of an optimizer along a gradient."""

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        grads = gradient(state["params"], data)
        updates, opt = optimizer.update(grads, state["opt"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "opt": opt}

    return step


def case(
    optimizer: Any,
    losses: Losses = two_losses,
    gradient: Callable[[Any, Any], Any] | None = None,
    **options: Any,
) -> Case:
    """Return a case whose step goes along the gradient of the sum, or along another."""
    params = networks()
    options.setdefault("step", stepping(optimizer, gradient or jax.grad(total(losses))))
    options.setdefault("state", {"params": params, "opt": optimizer.init(params)})
    return Case(params, losses, batch(), **options)


def penalised(*, normed: bool, clipped: bool) -> Case:
    """Return one pass of the sum of two losses, the encoder frozen by ``partition``.

    A loss is the size of the code. The layers are so wide that different ways to compute the
    gradients do as much work: without clipping that of the sum by the head, and that of the size
    by everything; with it and with the norm that of the sum by everything, and that of each
    loss by the head.

    Args:
        normed: whether the code is normalised in front of the head.
        clipped: whether the global norm is clipped, which needs the encoder's gradients too.
    """
    keys = jax.random.split(jax.random.key(0), 3)
    params = {"encoder": layer(keys[0], 8, 32), "head": layer(keys[1], 32, 4)}
    params["head"]["scale"] = jnp.ones(32)
    data = {"x": jax.random.normal(keys[2], (16, 8)), "y": jnp.arange(16) % 4}

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = jnp.tanh(apply(params["encoder"], data["x"]))
        into = code * params["head"]["scale"] if normed else code
        return {"task": task(params, into, data), "size": jnp.square(code).mean()}

    both = {"trained": optax.adam(LR), "frozen": optax.set_to_zero()}
    optimizer = optax.partition(both, LABELS)
    if clipped:
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optimizer)
    step = stepping(optimizer, jax.grad(total(losses)))
    state = {"params": params, "opt": optimizer.init(params)}
    return Case(params, losses, data, step=step, state=state, frozen=["encoder"])


class Normed(nnx.Module):
    """A Linear layer with BatchNorm."""

    def __init__(self, inputs: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(inputs, outputs, rngs=rngs)
        self.norm = nnx.BatchNorm(outputs, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        return self.norm(self.linear(x))


class Both(nnx.Module):
    """An encoder and a head as one module, as an `nnx.Optimizer` wants it."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.encoder, self.head = Normed(8, 16, rngs), nnx.Linear(16, 4, rngs=rngs)

    def loss(self, data: Any) -> Any:
        scores = self.head(nnx.relu(self.encoder(data["x"])))
        return optax.softmax_cross_entropy_with_integer_labels(scores, data["y"]).mean()


def in_place(wrt: Any, *, evaluated: bool = False, **options: Any) -> Case:
    """Return a case whose step trains nnx modules in place.

    Args:
        wrt: nnx's filter of what is trained.
        evaluated: whether the encoder is in eval mode.
        options: of the case.
    """
    model = Both()
    if evaluated:
        model.encoder.eval()
    optimizer = nnx.Optimizer(model, optax.adam(LR), wrt=wrt)

    @nnx.jit
    def update(model: Both, optimizer: Any, data: Any) -> None:
        diff = nnx.DiffState(0, wrt)
        optimizer.update(model, nnx.grad(lambda m: m.loss(data), argnums=diff)(model))

    def losses(networks: Any, data: Any) -> dict[str, Any]:
        scores = networks["head"](nnx.relu(networks["encoder"](data["x"])))
        loss = optax.softmax_cross_entropy_with_integer_labels(scores, data["y"])
        return {"task": loss.mean()}

    def step(data: Any) -> None:
        update(model, optimizer, data)

    both = {"encoder": model.encoder, "head": model.head}
    return Case(both, losses, batch(), step=step, **options)
