"""A shared encoder with two heads in plain JAX: parameters are dictionaries of arrays.

Parameters of Flax linen, Equinox and Haiku are pytrees too, and are handed over the same way.

cascade-bench try jax_pytree.py
"""

import jax
import jax.numpy as jnp

from cascade_bench import Case


def layer(key, inputs, outputs):
    """Return weight and bias of a Linear layer."""
    weight = jax.random.normal(key, (inputs, outputs)) / jnp.sqrt(inputs)
    return {"weight": weight, "bias": jnp.zeros(outputs)}


def apply(layer, x):
    """Return the layer's output."""
    return x @ layer["weight"] + layer["bias"]


def make():
    """Build everything anew: it is called once in each process that measures."""
    keys = jax.random.split(jax.random.key(0), 6)
    networks = {
        "encoder": [layer(keys[0], 256, 512), layer(keys[1], 512, 512)],
        "depth": layer(keys[2], 512, 1),
        "normal": layer(keys[3], 512, 3),
    }
    batch = {
        "x": jax.random.normal(keys[4], (256, 256)),
        "target": jax.random.normal(keys[5], (256, 4)),
    }

    def losses(networks, batch):
        code = batch["x"]
        for one in networks["encoder"]:
            code = jax.nn.relu(apply(one, code))
        depth, normal = apply(networks["depth"], code), apply(networks["normal"], code)
        return {
            "depth": jnp.square(depth - batch["target"][:, :1]).mean(),
            "normal": jnp.square(normal - batch["target"][:, 1:]).mean(),
        }

    return Case(networks, losses, batch)
