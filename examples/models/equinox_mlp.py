"""Networks of equinox: a module is a tree that holds functions beside its arrays.

cascade-bench try equinox_mlp.py
cascade-bench check equinox_mlp.py
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

from cascade_bench import Case


def make():
    """Build an encoder and a head; the encoder is frozen."""
    keys = jax.random.split(jax.random.key(0), 3)
    networks = {
        "encoder": eqx.nn.MLP(64, 128, 256, 2, key=keys[0]),
        "head": eqx.nn.Linear(128, 10, key=keys[1]),
    }
    batch = {"x": jax.random.normal(keys[2], (64, 64)), "y": jnp.arange(64) % 10}

    def losses(networks, batch):
        code = jax.vmap(networks["encoder"])(batch["x"])
        scores = jax.vmap(networks["head"])(code)
        task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"]).mean()
        return {"code": jnp.square(code).mean(), "task": task}

    optimizer = optax.adamw(1e-3)

    @eqx.filter_jit
    def step(state, batch):
        networks, opt = state

        def task(head):
            return losses({**networks, "head": head}, batch)["task"]

        value, gradient = eqx.filter_value_and_grad(task)(networks["head"])
        updates, opt = optimizer.update(gradient, opt, eqx.filter(networks["head"], eqx.is_array))
        return ({**networks, "head": eqx.apply_updates(networks["head"], updates)}, opt), value

    state = (networks, optimizer.init(eqx.filter(networks["head"], eqx.is_array)))
    return Case(networks, losses, batch, frozen=["encoder"], step=step, state=state)
