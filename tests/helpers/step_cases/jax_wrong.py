"""Training steps in JAX with a mistake each: the function that builds the case → its findings."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cascade_bench import Case
from tests.helpers.step_cases import jax_parts as parts
from tests.helpers.step_cases.jax_parts import DECAY, FROZEN, LR, TRAINED, case, two_losses


def masked_alone() -> Case:
    """``optax.masked`` alone hands on the raw gradient of what is masked out."""
    return case(optax.masked(optax.sgd(LR), TRAINED), frozen=["encoder"])


def masked_decay() -> Case:
    """``adamw(mask=)`` masks the decay only."""
    return case(optax.adamw(LR, mask=TRAINED), frozen=["encoder"])


def decay_behind_the_freeze() -> Case:
    """``optax.freeze`` before AdamW leaves its decay."""
    freeze = optax.chain(optax.freeze(FROZEN), optax.adamw(LR, weight_decay=DECAY))
    return case(freeze, parts.task_alone, frozen=["encoder"])


def moments_of_the_frozen() -> Case:
    """``stop_gradient`` after a step: Adam's moments go on moving the encoder."""
    params, optimizer = parts.networks(), optax.adam(LR)
    grads = jax.grad(parts.total(two_losses))(params, parts.batch())
    updates, opt = optimizer.update(grads, optimizer.init(params), params)
    params = optax.apply_updates(params, updates)

    def losses(params: Any, data: Any) -> dict[str, Any]:
        stopped = jax.lax.stop_gradient(params["encoder"])
        return parts.task_alone({**params, "encoder": stopped}, data)

    step = parts.stepping(optimizer, jax.grad(parts.total(losses)))
    state = {"params": params, "opt": opt}
    return Case(params, losses, parts.batch(), step=step, state=state, frozen=["encoder"])


def frozen_batch_norm() -> Case:
    """The optimizer leaves the encoder out, and its BatchNorm is in train mode."""
    head = nnx.All(nnx.Param, nnx.PathContains("head"))
    return parts.in_place(head, frozen=["encoder"])


def frozen_batch_stats() -> Case:
    """A pure step hands on the running statistics of a frozen network, as linen keeps them."""
    params = parts.networks()
    params["encoder"] = {"params": params["encoder"], "batch_stats": {"mean": jnp.zeros(16)}}

    def losses(params: Any, data: Any) -> dict[str, Any]:
        return parts.task_alone({**params, "encoder": params["encoder"]["params"]}, data)

    def step(state: Any, data: Any) -> Any:
        grads = jax.grad(lambda head: losses({**state, "head": head}, data)["task"])(state["head"])
        head = jax.tree.map(lambda p, g: p - LR * g, state["head"], grads)
        code = parts.encode({"encoder": state["encoder"]["params"]}, data["x"])
        mean = 0.9 * state["encoder"]["batch_stats"]["mean"] + 0.1 * code.mean(0)
        encoder = {**state["encoder"], "batch_stats": {"mean": mean}}
        return {"encoder": encoder, "head": head}

    options: Any = {"step": jax.jit(step), "state": params, "frozen": ["encoder"]}
    return Case(params, losses, parts.batch(), **options)


def nothing_returned() -> Case:
    """The step computes an update and returns the old state."""
    optimizer = optax.adam(LR)
    gradient = jax.grad(parts.total(two_losses))

    def step(state: Any, data: Any) -> Any:
        optimizer.update(gradient(state["params"], data), state["opt"], state["params"])
        return state

    return case(optimizer, step=step)


def misspelt_filter() -> Case:
    """The filter of the optimizer selects nothing."""
    return parts.in_place(nnx.All(nnx.Param, nnx.PathContains("haed")))


def left_out_of_the_update() -> Case:
    """The head gets gradients, and its old parameters are returned."""
    optimizer = optax.adam(LR)
    inner = parts.stepping(optimizer, jax.grad(parts.total(two_losses)))

    def step(state: Any, data: Any) -> Any:
        after = inner(state, data)
        params = {**after["params"], "head": state["params"]["head"]}
        return {**after, "params": params}

    return case(optimizer, step=step)


def cut_by_stop_gradient() -> Case:
    """The losses stop the gradient of the code, and Adam holds the encoder."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = jax.lax.stop_gradient(parts.encode(params, data["x"]))
        return {"task": parts.task(params, code, data)}

    return case(optax.adam(LR), losses)


def cut_by_rounding() -> Case:
    """A code that is rounded hands on no gradient."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = jnp.round(100.0 * parts.encode(params, data["x"])) / 100.0
        return {"task": parts.task(params, code, data)}

    return case(optax.adam(LR), losses)


def frozen_behind_the_optimizer() -> Case:
    """Adam runs over everything, and the frozen updates are set to 0 behind it."""
    zero = optax.masked(optax.set_to_zero(), FROZEN)
    return case(optax.chain(optax.adam(LR), zero), parts.task_alone, frozen=["encoder"])


def clipped_with_the_frozen() -> Case:
    """Clipping by the global norm needs the frozen gradients too."""
    clip = optax.chain(optax.clip_by_global_norm(1e3), optax.freeze(FROZEN), optax.sgd(LR))
    return case(clip, parts.task_alone, frozen=["encoder"])


def clipped_as_expensive_as_separate_gradients() -> Case:
    """Clipping needs the frozen gradients; a gradient for each loss would do as much work."""
    return parts.penalised(normed=True, clipped=True)


def separate(params: Any, data: Any) -> Any:
    """Return the gradients of two losses, taken apart and added."""
    each = [jax.grad(lambda p, n=n: two_losses(p, data)[n])(params) for n in ("code", "task")]
    return jax.tree.map(jnp.add, *each)


def separate_gradients() -> Case:
    """A gradient for each loss, added up."""
    return case(optax.sgd(LR), gradient=separate)


def separate_pullbacks() -> Case:
    """One forward pass, pulled back once for each loss, under Adam."""

    def gradient(params: Any, data: Any) -> Any:
        _, pull = jax.vjp(lambda p: two_losses(p, data), params)
        one, zero = jnp.ones(()), jnp.zeros(())
        both = [pull({"code": a, "task": b})[0] for a, b in ((one, zero), (zero, one))]
        return jax.tree.map(jnp.add, *both)

    return case(optax.adam(LR), gradient=gradient)


@jax.custom_vjp
def clipped(value: Any) -> Any:
    """Return a value whose gradient is clipped to norm 0.01."""
    return value


clipped.defvjp(
    lambda value: (value, None),
    lambda _, grad: (grad * 1e-2 / (jnp.linalg.norm(grad) + 1e-12),),
)


def clipping_at_the_boundary() -> Case:
    """The gradient is clipped where it enters the encoder, for each loss."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = clipped(parts.encode(params, data["x"]))
        return {"code": jnp.square(code).mean(), "task": parts.task(params, code, data)}

    def gradient(params: Any, data: Any) -> Any:
        each = [jax.grad(lambda p, n=n: losses(p, data)[n])(params) for n in ("code", "task")]
        return jax.tree.map(jnp.add, *each)

    return case(optax.sgd(LR), losses, gradient)


@jax.custom_vjp
def normalised(value: Any) -> Any:
    """Return a value whose gradient has the norm 1 for each example."""
    return value


normalised.defvjp(
    lambda value: (value, None),
    lambda _, grad: (grad / (jnp.linalg.norm(grad, axis=-1, keepdims=True) + 1e-12),),
)


def normalising_rule() -> Case:
    """One forward pass is pulled back for each loss, through a rule that is not linear."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = normalised(parts.encode(params, data["x"]))
        return {"code": jnp.square(code).mean(), "task": parts.task(params, code, data)}

    def gradient(params: Any, data: Any) -> Any:
        _, pull = jax.vjp(lambda p: losses(p, data), params)
        one, zero = jnp.ones(()), jnp.zeros(())
        both = [pull({"code": a, "task": b})[0] for a, b in ((one, zero), (zero, one))]
        return jax.tree.map(jnp.add, *both)

    return case(optax.sgd(LR), losses, gradient)


def zero_weight(optimizer: Any = None) -> Case:
    """The task's loss is multiplied by 0."""

    def weighted(params: Any, data: Any) -> Any:
        losses = two_losses(params, data)
        return losses["code"] + 0.0 * losses["task"]

    return case(optimizer or optax.sgd(LR), gradient=jax.grad(weighted), frozen=[])


def zero_weight_under_adam() -> Case:
    """Do as `zero_weight`, under Adam."""
    return zero_weight(optax.adam(LR))


def zero_weight_at_one_output() -> Case:
    """Both losses reach every parameter; one is multiplied by 0."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        scores = parts.apply(params["head"], parts.encode(params, data["x"]))
        other = parts.apply(params["head"], parts.encode(params, 0.5 * data["x"]))
        return {"size": jnp.square(scores).mean(), "other": jnp.square(other).mean()}

    def weighted(params: Any, data: Any) -> Any:
        values = losses(params, data)
        return values["size"] + 0.0 * values["other"]

    return case(optax.sgd(LR), losses, gradient=jax.grad(weighted))


def nan_from_a_loss() -> Case:
    """The gradient of a square root at 0 is infinite, and times 0 NaN."""

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = parts.encode(params, data["x"])
        root = jnp.sqrt(jnp.square(code - code).sum())
        return {"code": root, "task": parts.task(params, code, data)}

    return case(optax.sgd(LR), losses)


def diverging() -> Case:
    """The learning rate is so high that the steps overflow."""
    return case(optax.sgd(1e25))


# name → (code, cause) of every finding, in order
WRONG: dict[Any, list[tuple[str, str]]] = {
    masked_alone: [("CB101", "raw")],
    masked_decay: [("CB101", "update")],
    decay_behind_the_freeze: [("CB101", "decay")],
    moments_of_the_frozen: [("CB101", "momentum")],
    frozen_batch_norm: [("CB102", "forward")],
    frozen_batch_stats: [("CB102", "forward")],
    nothing_returned: [("CB201", "nothing")],
    misspelt_filter: [("CB201", "unmoved")],
    left_out_of_the_update: [("CB201", "unmoved")],
    cut_by_stop_gradient: [("CB202", "stop_gradient")],
    cut_by_rounding: [("CB202", "stop_gradient")],
    frozen_behind_the_optimizer: [("CB301", "frozen")],
    clipped_with_the_frozen: [("CB301", "frozen")],
    clipped_as_expensive_as_separate_gradients: [("CB301", "frozen")],
    separate_gradients: [("CB302", "separate")],
    separate_pullbacks: [("CB302", "separate")],
    clipping_at_the_boundary: [("CB303", "hook")],
    normalising_rule: [("CB303", "hook")],
    zero_weight: [("CB304", "zero")],
    zero_weight_under_adam: [("CB304", "zero")],
    zero_weight_at_one_output: [("CB304", "zero")],
    nan_from_a_loss: [("CB401", "nonfinite")],
    diverging: [("CB401", "nonfinite")],
}
