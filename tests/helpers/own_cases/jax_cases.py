"""Cases in JAX as users write them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from cascade_bench import Case, Stage


def regular():
    """Modules of nnx with batch normalisation and Dropout in training."""
    rngs = nnx.Rngs(0)
    encoder = nnx.Sequential(
        nnx.Linear(8, 16, rngs=rngs),
        nnx.BatchNorm(16, rngs=rngs),
        nnx.tanh,
        nnx.Dropout(0.3, rngs=rngs),
    )
    head = nnx.Linear(16, 4, rngs=rngs)
    x, y = jax.random.split(jax.random.key(1))
    batch = {"x": jax.random.normal(x, (12, 8)), "y": jax.random.randint(y, (12,), 0, 4)}

    def losses(networks, batch):
        z = networks["encoder"](batch["x"])
        scores = networks["head"](z)
        task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"]).mean()
        return {"code": jnp.square(z).mean(), "task": task}

    return Case({"encoder": encoder, "head": head}, losses, batch)


def frozen():
    """The encoder frozen, an optimizer of the user's."""
    case = regular()
    return Case(
        case.networks, case.losses, case.batch, frozen=["encoder"], optimizer=optax.adamw(1e-2)
    )


def tree():
    """Parameters in dictionaries and lists, noise by a key of the batch, a function as a leaf."""
    keys = jax.random.split(jax.random.key(1), 3)
    networks = {
        "encoder": {"w": jax.random.normal(keys[0], (8, 16)), "act": jnp.tanh},
        "head": [np.ones((16, 4), np.float32), jnp.zeros(4)],
    }
    batch = (jax.random.normal(keys[1], (6, 8)), keys[2])

    def losses(networks, batch):
        x, key = batch
        encoder, head = networks["encoder"], networks["head"]
        z = encoder["act"](x @ encoder["w"])
        z = z + 0.1 * jax.random.normal(key, z.shape)
        return {"code": jnp.square(z).mean(), "task": jnp.square(z @ head[0] + head[1]).mean()}

    return Case(networks, losses, batch)


def stages():
    """Two networks in series, the first frozen."""
    rngs = nnx.Rngs(0)
    batch = {"x": jnp.ones((6, 8)), "y": jnp.ones((6, 4))}
    return Case(
        {"first": nnx.Linear(8, 16, rngs=rngs), "second": nnx.Linear(16, 4, rngs=rngs)},
        batch=batch,
        frozen=["first"],
        stages=[
            Stage("first", {"code": lambda z, batch: jnp.square(z).mean()}),
            Stage("second", {"task": lambda o, batch: jnp.square(o - batch["y"]).mean()}),
        ],
    )


class _Several(nnx.Module):
    """A network whose output is of a form that `make` gives it."""

    def __init__(self, make):
        self.layer, self.make = nnx.Linear(8, 16, rngs=nnx.Rngs(0)), make

    def __call__(self, x):
        z = self.layer(x)
        return self.make(jnp.tanh(z), z)


def _series(make, read):
    """Return a case of two networks, the first of which returns two arrays in one value."""
    return Case(
        {"first": _Several(make), "second": nnx.Linear(16, 4, rngs=nnx.Rngs(1))},
        batch=jnp.ones((6, 8)),
        stages=[
            Stage("first", {"code": lambda out, batch: jnp.square(read(out)[1]).mean()}),
            Stage(
                "second",
                {"task": lambda out, batch: jnp.square(out).mean()},
                inputs=lambda out, batch: batch if out is None else read(out)[0],
            ),
        ],
    )


def several():
    """A dictionary between two networks, as models of other packages return it."""
    return _series(lambda a, b: {"a": a, "rest": (b, None)}, lambda out: (out["a"], out["rest"][0]))


class Opaque:
    """A class that JAX takes for one value."""

    def __init__(self, a, b):
        self.a, self.b = a, b


def opaque():
    """An output in which no arrays can be found, between two networks."""
    return _series(Opaque, lambda out: (out.a, out.b))


def cut():
    """The head's loss does not reach the encoder, on which it depends."""
    rngs = nnx.Rngs(0)
    networks = {"encoder": nnx.Linear(8, 16, rngs=rngs), "head": nnx.Linear(16, 4, rngs=rngs)}

    def losses(networks, x):
        z = networks["encoder"](x)
        stopped = jax.lax.stop_gradient(z)
        return {
            "code": jnp.square(z).mean(),
            "task": jnp.square(networks["head"](stopped)).mean(),
        }

    return Case(networks, losses, jnp.ones((6, 8)))


def closes_over():
    """Losses that take no networks."""
    net = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    return Case({"net": net}, lambda x: {"task": net(x).sum()}, jnp.ones((2, 4)))
