"""Plain JAX: dictionaries and lists of arrays, layers under `scan` and `checkpoint`.

cascade-bench try plain_jax.py
cascade-bench check plain_jax.py
"""

import jax
import jax.numpy as jnp

from cascade_bench import Case


def encode(parameters, x):
    """Return the code: layers with one stacked weight, recomputed in the backward pass."""

    @jax.checkpoint
    def layer(x, weights):
        return x + jnp.tanh(x @ weights["kernel"] + weights["bias"]), None

    return jax.lax.scan(layer, x @ parameters["in"], parameters["layers"])[0]


def make():
    """Build an encoder of 4 layers and a head; the whole batch is one array."""
    keys = jax.random.split(jax.random.key(0), 4)
    layers = {"kernel": jax.random.normal(keys[0], (4, 64, 64)) / 8, "bias": jnp.zeros((4, 64))}
    encoder = {"in": jax.random.normal(keys[1], (32, 64)) / 6, "layers": layers}
    head = [jax.random.normal(keys[2], (64, 32)) / 8, jnp.zeros(32)]

    def losses(networks, batch):
        code = encode(networks["encoder"], batch)
        again = code @ networks["head"][0] + networks["head"][1]
        return {"code": jnp.square(code).mean(), "task": jnp.square(again - batch).mean()}

    @jax.jit
    def step(networks, batch):
        gradients = jax.grad(lambda networks: sum(losses(networks, batch).values()))(networks)
        return jax.tree.map(lambda p, g: p - 0.1 * g, networks, gradients)

    networks, batch = {"encoder": encoder, "head": head}, jax.random.normal(keys[3], (64, 32))
    return Case(networks, losses, batch, step=step, state=networks)
