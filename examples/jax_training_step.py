"""A training step in JAX, as it is often written and as it should be: `cascade-bench check`.

cascade-bench check jax_training_step.py:wrong
cascade-bench check jax_training_step.py
"""

import jax
import jax.numpy as jnp
import optax

from cascade_bench import Case


def build():
    """Return parameters of an encoder and a head, and a batch."""
    keys = jax.random.split(jax.random.key(0), 4)
    networks = {
        "encoder": {"weight": jax.random.normal(keys[0], (64, 128)) / 8.0},
        "head": {"weight": jax.random.normal(keys[1], (128, 10)) / 11.0},
    }
    x, y = jax.random.normal(keys[2], (32, 64)), jax.random.randint(keys[3], (32,), 0, 10)
    return networks, {"x": x, "y": y}


def losses(networks, batch):
    """Return each loss by name."""
    code = jax.nn.relu(batch["x"] @ networks["encoder"]["weight"])
    scores = code @ networks["head"]["weight"]
    task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"])
    return {"task": task.mean(), "size": jnp.square(scores).mean()}


def wrong():
    """Freeze the encoder by `optax.masked` alone."""
    networks, batch = build()
    # CB101: what is masked out gets its raw gradient as the update
    optimizer = optax.masked(optax.adam(1e-3), {"encoder": False, "head": True})

    @jax.jit
    def step(state, batch):
        params, opt = state
        grads = jax.grad(lambda params: sum(losses(params, batch).values()))(params)
        updates, opt = optimizer.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt

    state = (networks, optimizer.init(networks))
    return Case(networks, losses, batch, frozen=["encoder"], step=step, state=state)


def make():
    """Differentiate by the head alone, and give the optimizer the head alone."""
    networks, batch = build()
    optimizer = optax.adam(1e-3)

    @jax.jit
    def step(state, batch):
        encoder, head, opt = state

        def loss(head):
            return sum(losses({"encoder": encoder, "head": head}, batch).values())

        value, grads = jax.value_and_grad(loss)(head)
        updates, opt = optimizer.update(grads, opt, head)
        return (encoder, optax.apply_updates(head, updates), opt), value

    state = (networks["encoder"], networks["head"], optimizer.init(networks["head"]))
    return Case(networks, losses, batch, frozen=["encoder"], step=step, state=state)
