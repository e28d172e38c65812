"""An encoder and a head in JAX, as Flax NNX modules, with a loss on each.

cascade-bench try jax_two_networks.py
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cascade_bench import Case


class Mlp(nnx.Module):
    """Two Linear layers."""

    def __init__(self, inputs, hidden, outputs, rngs):
        self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x):
        return self.linear2(nnx.relu(self.linear1(x)))


def make():
    """Build everything anew: it is called once in each process that measures."""
    # Put your own networks here: nnx modules, or any pytree of parameters (see jax_pytree.py).
    rngs = nnx.Rngs(0)
    networks = {"encoder": Mlp(256, 512, 512, rngs), "head": Mlp(512, 512, 10, rngs)}

    # One batch as your training loop would have it: arrays, in tuples or dictionaries.
    x, y = jax.random.split(jax.random.key(0))
    batch = {"x": jax.random.normal(x, (256, 256)), "y": jax.random.randint(y, (256,), 0, 10)}

    # The losses, by name, each a scalar: a pure function of the networks, under the same names.
    def losses(networks, batch):
        code = networks["encoder"](batch["x"])
        scores = networks["head"](code)
        task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"])
        return {"code": jnp.square(code).mean(), "task": task.mean()}

    return Case(networks, losses, batch)
    # Frozen is what you name: frozen=["encoder"].
    # An optimizer of your own for phase `step`: optimizer=optax.sgd(0.1).
