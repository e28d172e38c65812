"""Right training steps in JAX that look cut, wasteful or unsafe: each is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from cascade_bench import Case
from tests.helpers.step_cases import jax_parts as parts
from tests.helpers.step_cases.jax_parts import LR, case, two_losses


def straight_through() -> Case:
    """A code is rounded on its way forward, and its gradient passes as if it were not."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = parts.encode(params, data["x"])
        rounded = code + jax.lax.stop_gradient(jnp.round(10.0 * code) / 10.0 - code)
        return {"task": parts.task(params, rounded, data)}

    return case(optax.adam(LR), losses)


def unused_layer() -> Case:
    """A layer of a pretrained network is used by no loss, and the optimizer holds it."""
    params = parts.networks()
    params["encoder"].append(parts.layer(jax.random.key(5), 16, 16))

    def losses(params: Any, data: Any) -> dict[str, Any]:
        return two_losses({**params, "encoder": params["encoder"][:2]}, data)

    optimizer = optax.adam(LR)
    step = parts.stepping(optimizer, jax.grad(parts.total(losses)))
    state = {"params": params, "opt": optimizer.init(params)}
    return Case(params, losses, parts.batch(), step=step, state=state)


def trained_part_as_expensive_as_a_loss_by_everything() -> Case:
    """The gradients that are used do as much work as those of one loss by everything."""
    return parts.penalised(normed=False, clipped=False)


@jax.custom_vjp
def halved(value: Any) -> Any:
    """Return a value whose gradient is halved: a rule that is linear."""
    return value


halved.defvjp(lambda value: (value, None), lambda _, grad: (0.5 * grad,))


def halving_rule() -> Case:
    """A linear rule at the boundary, and one pass."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = halved(parts.encode(params, data["x"]))
        return {"code": jnp.square(code).mean(), "task": parts.task(params, code, data)}

    return case(optax.sgd(LR), losses)


def at_one_output(params: Any, data: Any) -> dict[str, Any]:
    """Return two losses that both reach every parameter."""
    scores = parts.apply(params["head"], parts.encode(params, data["x"]))
    return {"size": jnp.square(scores).mean(), "task": two_losses(params, data)["task"]}


def annealed_weight(losses: parts.Losses = two_losses) -> Case:
    """A weight that is 0 in the first step alone."""
    optimizer = optax.sgd(LR)

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        def loss(params: Any) -> Any:
            first, second = losses(params, data).values()
            return first + jnp.minimum(1.0, state["calls"] / 10) * second

        updates, opt = optimizer.update(jax.grad(loss)(state["params"]), state["opt"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "opt": opt, "calls": state["calls"] + 1}

    params = parts.networks()
    state = {"params": params, "opt": optimizer.init(params), "calls": jnp.zeros(())}
    return case(optimizer, losses, step=step, state=state)


def annealed_weight_at_one_output() -> Case:
    """Do as `annealed_weight`, with two losses that both reach every parameter."""
    return annealed_weight(at_one_output)


def masked_loss() -> Case:
    """No example of this batch counts in the loss: its gradient is 0, and no weight is."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = parts.encode(params, data["x"])
        scores = parts.apply(params["head"], code)
        each = optax.softmax_cross_entropy_with_integer_labels(scores, data["y"])
        mask = data["mask"]
        task = (mask * each).sum() / jnp.maximum(mask.sum(), 1)
        return {"code": jnp.square(code).mean(), "task": task}

    optimizer, params = optax.sgd(LR), parts.networks()
    step = parts.stepping(optimizer, jax.grad(parts.total(losses)))
    state = {"params": params, "opt": optimizer.init(params)}
    batch = parts.batch() | {"mask": jnp.zeros(8)}
    return Case(params, losses, batch, step=step, state=state)


def infinite_mask() -> Case:
    """The state holds a mask of −∞ from the start, beside the parameters."""
    optimizer = optax.sgd(LR)
    inner = parts.stepping(optimizer, jax.grad(parts.total(two_losses)))

    def step(state: Any, data: Any) -> Any:
        return {**state, **inner({"params": state["params"], "opt": state["opt"]}, data)}

    params = parts.networks()
    mask = jnp.triu(jnp.full((2, 2), -jnp.inf), 1)
    state = {"params": params, "opt": optimizer.init(params), "mask": mask}
    return case(optimizer, step=step, state=state)


def skipped_where_infinite() -> Case:
    """The first gradients overflow, and ``apply_if_finite`` skips these steps, as it should."""
    optimizer = optax.apply_if_finite(optax.sgd(LR), max_consecutive_errors=10)

    def step(state: Any, data: Any) -> Any:
        scale = jnp.where(state["calls"] < 1, jnp.inf, 1.0)
        grads = jax.grad(parts.total(two_losses))(state["params"], data)
        grads = jax.tree.map(lambda grad: grad * scale, grads)
        updates, opt = optimizer.update(grads, state["opt"], state["params"])
        params = optax.apply_updates(state["params"], updates)
        return {"params": params, "opt": opt, "calls": state["calls"] + 1}

    params = parts.networks()
    state = {"params": params, "opt": optimizer.init(params), "calls": jnp.zeros(())}
    return case(optimizer, step=jax.jit(step), state=state)


# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    straight_through: ("CB202",),
    unused_layer: ("CB202", "CB201"),
    trained_part_as_expensive_as_a_loss_by_everything: ("CB301", "CB302"),
    halving_rule: ("CB303",),
    annealed_weight: ("CB304",),
    annealed_weight_at_one_output: ("CB304",),
    masked_loss: ("CB304",),
    infinite_mask: ("CB401",),
    skipped_where_infinite: ("CB401",),
}
