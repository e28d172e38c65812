"""A convolutional network of flax.nnx: BatchNorm's statistics move, Dropout has a stream of keys.

cascade-bench try nnx_convnet.py
cascade-bench check nnx_convnet.py
"""

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from cascade_bench import Case


class Backbone(nnx.Module):
    """Two convolutions with BatchNorm and Dropout, and the mean over the image."""

    def __init__(self, rngs):
        self.conv1 = nnx.Conv(3, 16, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(16, rngs=rngs)
        self.conv2 = nnx.Conv(16, 32, (3, 3), strides=2, rngs=rngs)
        self.dropout = nnx.Dropout(0.2, rngs=rngs)

    def __call__(self, x):
        """Return one vector for each image."""
        x = nnx.relu(self.norm(self.conv1(x)))
        return self.dropout(nnx.relu(self.conv2(x)).mean((1, 2)))


def make():
    """Build the network and a head; a loss on each."""
    rngs, key = nnx.Rngs(0), jax.random.key(1)
    networks = {"backbone": Backbone(rngs), "head": nnx.Linear(32, 10, rngs=rngs)}
    batch = {"x": jax.random.normal(key, (8, 16, 16, 3)), "y": jnp.arange(8) % 10}

    def losses(networks, batch):
        code = networks["backbone"](batch["x"])
        scores = networks["head"](code)
        task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"]).mean()
        return {"code": jnp.square(code).mean(), "task": task}

    networks = nnx.Dict(networks)
    optimizer = nnx.Optimizer(networks, optax.adam(1e-3), wrt=nnx.Param)

    @nnx.jit
    def step_of(networks, optimizer, batch):
        gradients = nnx.grad(lambda networks: sum(losses(networks, batch).values()))(networks)
        optimizer.update(networks, gradients)

    def step(batch):
        step_of(networks, optimizer, batch)

    return Case(dict(networks), losses, batch, step=step)
