"""Right training steps in JAX that look like mistakes: each is left alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax.flatten_util import ravel_pytree

from cascade_bench import Case
from tests.helpers.step_cases import jax_parts as parts
from tests.helpers.step_cases.jax_parts import DECAY, FROZEN, LABELS, LR, TRAINED, case, two_losses


def summed() -> Case:
    """The plain step, with weight decay on what is trained."""
    return case(optax.adamw(LR, weight_decay=DECAY))


def with_aux() -> Case:
    """The step returns the losses beside the state, and donates the old state."""
    optimizer = optax.adam(LR)

    def step(state: Any, data: Any) -> Any:
        gradient = jax.value_and_grad(parts.total(two_losses))
        value, grads = gradient(state["params"], data)
        updates, opt = optimizer.update(grads, state["opt"], state["params"])
        return {"params": optax.apply_updates(state["params"], updates), "opt": opt}, value

    return case(optimizer, step=jax.jit(step, donate_argnums=0))


def partition() -> Case:
    """``partition`` with ``set_to_zero`` for what is frozen."""
    both = {"trained": optax.adamw(LR), "frozen": optax.set_to_zero()}
    return case(optax.partition(both, LABELS), parts.task_alone, frozen=["encoder"])


def masked_then_zero() -> Case:
    """``masked`` chained with ``set_to_zero`` for the rest."""
    zero = optax.masked(optax.set_to_zero(), FROZEN)
    chained = optax.chain(optax.masked(optax.adam(LR), TRAINED), zero)
    return case(chained, parts.task_alone, frozen=["encoder"])


def selective_transform() -> Case:
    """``selective_transform`` over a frozen mask."""
    made = optax.selective_transform(optax.adam(LR), freeze_mask=FROZEN)
    return case(made, parts.task_alone, frozen=["encoder"])


def trained_part_alone() -> Case:
    """The state holds both parts, and the gradient is by the trained one alone."""
    params, optimizer = parts.networks(), optax.adam(LR)

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        def loss(head: Any) -> Any:
            return parts.task_alone({"encoder": state["frozen"], "head": head}, data)["task"]

        updates, opt = optimizer.update(jax.grad(loss)(state["head"]), state["opt"])
        return {**state, "head": optax.apply_updates(state["head"], updates), "opt": opt}

    state = {
        "frozen": params["encoder"],
        "head": params["head"],
        "opt": optimizer.init(params["head"]),
    }
    options: Any = {"step": step, "state": state, "frozen": ["encoder"]}
    return Case(params, parts.task_alone, parts.batch(), **options)


def accumulated() -> Case:
    """``MultiSteps`` steps at every eighth call."""
    return case(optax.MultiSteps(optax.adam(LR), every_k_schedule=8))


def warm_up() -> Case:
    """The rate is 0 at first, and rises."""
    return case(optax.sgd(optax.linear_schedule(0.0, LR, 100)))


def warm_up_of_a_hundred_steps() -> Case:
    """The rate is 0 for the first hundred steps."""
    schedule = optax.join_schedules([lambda _: 0.0, lambda _: LR], [100])
    return case(optax.sgd(schedule))


def turns() -> Case:
    """One network in the even steps, the other in the odd ones."""
    params, optimizer = parts.networks(), optax.sgd(LR)
    inner = parts.stepping(optimizer, jax.grad(parts.total(two_losses)))

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        before = state["params"]
        after = inner({"params": before, "opt": state["opt"]}, data)
        even = state["count"] % 2 == 0
        kept = {
            n: jax.tree.map(
                lambda a, b, n=n: jnp.where(even == (n == "head"), a, b), new, before[n]
            )
            for n, new in after["params"].items()
        }
        return {"params": kept, "opt": after["opt"], "count": state["count"] + 1}

    state = {"params": params, "opt": optimizer.init(params), "count": jnp.zeros((), jnp.int32)}
    return Case(params, two_losses, parts.batch(), step=step, state=state)


def follower() -> Case:
    """A teacher, named as not trained, follows the encoder by a moving average."""
    params = parts.networks()
    params["teacher"] = jax.tree.map(lambda a: a + 0.01, params["encoder"])
    optimizer = optax.adam(LR)

    def losses(params: Any, data: Any) -> dict[str, Any]:
        code = parts.encode(params, data["x"])
        teacher = jax.lax.stop_gradient(parts.encode({"encoder": params["teacher"]}, data["x"]))
        return {"same": jnp.square(code - teacher).mean(), "task": parts.task(params, code, data)}

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        own = {n: state["params"][n] for n in ("encoder", "head")}
        teacher = state["params"]["teacher"]
        grads = jax.grad(lambda p: sum(losses({**p, "teacher": teacher}, data).values()))(own)
        updates, opt = optimizer.update(grads, state["opt"], own)
        own = optax.apply_updates(own, updates)
        teacher = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, teacher, own["encoder"])
        return {"params": {**own, "teacher": teacher}, "opt": opt}

    own = {n: params[n] for n in ("encoder", "head")}
    state = {"params": params, "opt": optimizer.init(own)}
    return Case(params, losses, parts.batch(), step=step, state=state, frozen=["teacher"])


def adapters() -> Case:
    """LoRA: the base is named as frozen; one of two small matrices is 0 at the start."""
    keys = jax.random.split(jax.random.key(0), 3)
    params = {
        "base": parts.layer(keys[0], 8, 8),
        "down": jax.random.normal(keys[1], (8, 2)),
        "up": jnp.zeros((2, 8)),
    }
    optimizer = optax.adam(LR)
    data = jax.random.normal(keys[2], (8, 8))

    def losses(params: Any, x: Any) -> dict[str, Any]:
        out = parts.apply(params["base"], x) + x @ params["down"] @ params["up"]
        return {"task": jnp.square(out - 1).mean()}

    @jax.jit
    def step(state: Any, x: Any) -> Any:
        own, base = state["own"], state["base"]
        grads = jax.grad(lambda p: losses({**p, "base": base}, x)["task"])(own)
        updates, opt = optimizer.update(grads, state["opt"], own)
        return {"own": optax.apply_updates(own, updates), "base": base, "opt": opt}

    own = {n: params[n] for n in ("down", "up")}
    state = {"own": own, "base": params["base"], "opt": optimizer.init(own)}
    return Case(params, losses, data, step=step, state=state, frozen=["base"])


def players() -> Case:
    """A GAN: each player is differentiated by its own loss, one after the other."""
    params = parts.networks()
    optimizers = {"encoder": optax.adam(LR), "head": optax.adam(LR)}
    target = {"encoder": "g", "head": "d"}

    def losses(params: Any, data: Any) -> dict[str, Any]:
        fake = parts.encode(params, data["x"])
        true = jnp.ones_like(fake)
        judge = lambda x: parts.apply(params["head"], x)  # noqa: E731
        stopped = jnp.square(judge(jax.lax.stop_gradient(fake))).mean()
        return {
            "d": stopped + jnp.square(judge(true) - 1).mean(),
            "g": jnp.square(judge(fake) - 1).mean(),
        }

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        params, opts = dict(state["params"]), dict(state["opts"])
        for name in ("head", "encoder"):
            loss = lambda own, name=name: losses({**params, name: own}, data)[target[name]]  # noqa: E731
            grads = jax.grad(loss)(params[name])
            updates, opts[name] = optimizers[name].update(grads, opts[name])
            params[name] = optax.apply_updates(params[name], updates)
        return {"params": params, "opts": opts}

    opts = {n: optimizer.init(params[n]) for n, optimizer in optimizers.items()}
    state = {"params": params, "opts": opts}
    return Case(params, losses, parts.batch(), step=step, state=state)


def train_state() -> Case:
    """The state is flax's `TrainState`, with a counter and functions beside the parameters."""
    from flax.training.train_state import TrainState

    params = parts.networks()
    made = TrainState.create(apply_fn=parts.encode, params=params, tx=optax.adamw(LR))

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        return state.apply_gradients(grads=jax.grad(parts.total(two_losses))(state.params, data))

    return Case(params, two_losses, parts.batch(), step=step, state=made)


def split_module() -> Case:
    """An nnx module, split into its structure and a state that a pure step hands on."""
    model = parts.Both()
    parted: Any = nnx.split(model, nnx.Param, ...)
    graph, trained, rest = parted
    optimizer = optax.sgd(LR)

    def losses(networks: Any, data: Any) -> dict[str, Any]:
        return {"task": networks["both"].loss(data)}

    @jax.jit
    def step(state: Any, data: Any) -> Any:
        def loss(own: Any) -> Any:
            merged = nnx.merge(graph, own, state["rest"], copy=True)
            value = merged.loss(data)
            return value, nnx.state(merged, nnx.Not(nnx.Param))

        grads, after = jax.grad(loss, has_aux=True)(state["trained"])
        updates, opt = optimizer.update(grads, state["opt"])
        trained = optax.apply_updates(state["trained"], updates)
        return {"trained": trained, "rest": after, "opt": opt}

    state = {"trained": trained, "rest": rest, "opt": optimizer.init(trained)}
    return Case({"both": model}, losses, parts.batch(), step=step, state=state)


def projected() -> Case:
    """Each loss's own gradient is wanted: they are projected before they are added."""

    def gradient(params: Any, data: Any) -> Any:
        one, two = (
            jax.grad(lambda p, n=n: two_losses(p, data)[n])(params) for n in ("code", "task")
        )
        flat, back = ravel_pytree(one)
        other, _ = ravel_pytree(two)
        norms = jnp.linalg.norm(flat), jnp.linalg.norm(other)
        return back(flat / (norms[0] + 1e-6) + other / (norms[1] + 1e-6))

    return case(optax.sgd(LR), gradient=gradient)


def clipped_once() -> Case:
    """Gradients are clipped after the only pass."""
    return case(optax.chain(optax.clip_by_global_norm(1e-2), optax.sgd(LR)))


def one_loss_of_two() -> Case:
    """The step trains by one loss; the other is shown only."""

    def step(state: Any, data: Any) -> Any:
        def loss(params: Any) -> Any:
            both = two_losses(params, data)
            return both["task"], both["code"]

        grads, shown = jax.grad(loss, has_aux=True)(state)
        return jax.tree.map(lambda p, g: p - LR * g, state, grads), shown

    params = parts.networks()
    return Case(params, two_losses, parts.batch(), step=jax.jit(step), state=params)


def in_eager() -> Case:
    """A step that looks at values, and so is no program."""
    optimizer = optax.adam(LR)
    inner = parts.stepping(optimizer, jax.grad(parts.total(two_losses)))

    def step(state: Any, data: Any) -> Any:
        assert float(data["x"].sum()) == float(data["x"].sum())
        after = inner(state, data)
        return state if not bool(jnp.isfinite(after["params"]["head"]["bias"]).all()) else after

    return case(optimizer, step=step)


def modules_in_place() -> Case:
    """nnx modules with BatchNorm, trained whole."""
    return parts.in_place(nnx.Param)


def frozen_module_in_eval() -> Case:
    """A frozen nnx module in eval mode."""
    head = nnx.All(nnx.Param, nnx.PathContains("head"))
    return parts.in_place(head, evaluated=True, frozen=["encoder"])


# name → codes of the mistakes that it looks like
RIGHT: dict[Callable[[], Case], tuple[str, ...]] = {
    summed: (),
    with_aux: ("CB302",),
    partition: ("CB101", "CB301"),
    masked_then_zero: ("CB101",),
    selective_transform: ("CB101",),
    trained_part_alone: ("CB301",),
    accumulated: ("CB201",),
    warm_up: ("CB201",),
    warm_up_of_a_hundred_steps: ("CB201",),
    turns: ("CB201",),
    follower: ("CB101",),
    adapters: ("CB202", "CB301"),
    players: ("CB302",),
    train_state: (),
    split_module: ("CB102",),
    projected: ("CB302",),
    clipped_once: ("CB303",),
    one_loss_of_two: ("CB302",),
    in_eager: ("CB401",),
    modules_in_place: ("CB102",),
    frozen_module_in_eval: ("CB102",),
}
