"""Build the scenarios of the family "branches": networks that are no plain series.

Each function returns the stages of one scenario. What a scenario is (its sizes, weights, data and
which loss may change which network) stands in ``benchmarks/scenarios/branches.py``. Where more than
one value goes on to the next stage, or to the losses, a network returns a tuple.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array

from impl_jax.partial_freeze import BATCH_NORM, CLASSIFY, Convolutions
from impl_jax.problem import Data, Stage, against
from impl_jax.transformer import Embedding

Pair = tuple[Array, Array]
STOPS = ("link", "codebook", "commitment")  # where `straight_through` stops a gradient


class Heads(nnx.Module):
    """Two Linear layers over the same features [batch, features] → ([batch, 10], [batch, 4])."""

    def __init__(self, features: int, rngs: nnx.Rngs) -> None:
        self.classes = nnx.Linear(features, 10, rngs=rngs)
        self.values = nnx.Linear(features, 4, rngs=rngs)

    def __call__(self, x: Array) -> Pair:
        return self.classes(x), self.values(x)


def shared_backbone(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build LeNet's convolutions with two heads, and a loss for each: a fork.

    The scenario shows the everyday case of several losses. A separate backward pass for each walks
    the backbone again; no loss reaches the other's head.
    """
    losses = {"loss1": _classified, "loss2": _estimated}
    image = (16 * width, 5, 5)
    flattened = {"classes": image, "values": image}
    heads = Heads(400 * width, rngs)
    return [
        Stage("backbone", Convolutions(1, width, rngs=rngs)),
        Stage("heads", heads, losses, flattened=flattened),
    ]


def _classified(output: Pair, data: Data) -> Array:
    """Return the cross-entropy of the first head's output to the labels."""
    return CLASSIFY(output[0], data)


def _estimated(output: Pair, data: Data) -> Array:
    """Return half of the mean squared error of the second head's output."""
    return 0.5 * jnp.mean(optax.squared_error(output[1], data["values"]))


class Perceptron(nnx.Module):
    """Linear, ReLU and Linear: [batch, inputs] → [batch, outputs]."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear2(nnx.relu(self.linear1(x)))


class Codebook(nnx.Module):
    """A table of codes: z [batch, width] → (z, the code that is nearest to each row of it).

    The choice of a code has no gradient; the code itself has one, by its row of the table.
    """

    def __init__(self, codes: int, width: int, rngs: nnx.Rngs) -> None:
        self.table = Embedding(codes, width, rngs)

    def __call__(self, z: Array) -> Pair:
        codes, still = jax.lax.stop_gradient((self.table.embedding[...], z))
        # the squared distance but for |z|², which is the same for every code
        distances = jnp.sum(jnp.square(codes), axis=-1) - 2 * (still @ codes.T)
        return z, self.table(jnp.argmin(distances, axis=-1))


def straight_through(
    *, inputs: int, hidden: int, width: int, codes: int, without: str = "", rngs: nnx.Rngs
) -> list[Stage]:
    """Build an autoencoder whose values are rounded to the nearest of some codes.

    Rounding has no gradient of use: it is passed straight through, as if nothing had been rounded
    (van den Oord et al. 2017, "Neural discrete representation learning"). The scenario shows three
    losses, each of which trains a part: the flow is made of where the gradient is stopped.
    ``without`` names the one of `STOPS` that is left out, to see what it is there for.
    """

    def stop(place: str, value: Array) -> Array:
        return value if place == without else jax.lax.stop_gradient(value)

    def rounded(output: Pair, _: Data) -> Array:
        z, code = output
        return z + stop("link", code - z)

    def codebook(output: Pair, _: Data) -> Array:
        z, code = output
        return jnp.mean(optax.squared_error(code, stop("codebook", z)))

    def commitment(output: Pair, _: Data) -> Array:
        z, code = output
        return 0.25 * jnp.mean(optax.squared_error(z, stop("commitment", code)))

    losses = {"loss_codebook": codebook, "loss_commitment": commitment}
    reconstruction = {"loss_reconstruction": against("x", optax.squared_error)}
    return [
        Stage("encoder", Perceptron(inputs, hidden, width, rngs)),
        Stage("codebook", Codebook(codes, width, rngs), losses),
        Stage("decoder", Perceptron(width, hidden, inputs, rngs), reconstruction, rounded),
    ]


class BatchNorm(nnx.BatchNorm):
    """A BatchNorm that computes what torch's does, its running statistics too.

    The running variance is unbiased in torch, flax keeps the biased one: a network that normalises
    by it would compute something else.
    """

    def __init__(self, channels: int, train: bool, rngs: nnx.Rngs) -> None:
        super().__init__(channels, use_running_average=not train, **BATCH_NORM, rngs=rngs)

    def __call__(self, x: Array, *arguments: Any, **named: Any) -> Array:
        old_share = self.momentum * self.var[...]
        output = super().__call__(x, *arguments, **named)
        if not self.use_running_average:
            values = x.size // x.shape[-1]
            self.var[...] = old_share + (self.var[...] - old_share) * (values / (values - 1))
        return output


class Encoder(nnx.Module):
    """Conv 3×3 · BatchNorm · ReLU · Conv 3×3 · ReLU · mean over the pixels · Linear."""

    def __init__(self, channels: int, train: bool, rngs: nnx.Rngs) -> None:
        # without a bias, which the BatchNorm would take out again
        self.conv1 = nnx.Conv(3, channels, (3, 3), use_bias=False, rngs=rngs)
        self.norm = BatchNorm(channels, train, rngs)
        self.conv2 = nnx.Conv(channels, 2 * channels, (3, 3), rngs=rngs)
        self.linear = nnx.Linear(2 * channels, channels, rngs=rngs)

    def encode(self, x: Array) -> Array:
        """Encode images [batch, height, width, 3] → [batch, channels]."""
        h = nnx.relu(self.norm(self.conv1(x)))
        return self.linear(jnp.mean(nnx.relu(self.conv2(h)), axis=(1, 2)))


class Teacher(Encoder):
    """An encoder of images [batch, height, width, 3] → [batch, channels]."""

    def __call__(self, x: Array) -> Array:
        return self.encode(x)


class Student(Encoder):
    """An encoder that is handed its target: (images, target) → (encoded images, target)."""

    def __call__(self, pair: Pair) -> Pair:
        images, target = pair
        return self.encode(images), target


class Probe(nnx.Module):
    """A single Linear layer: [batch, channels] → logits [batch, 10]."""

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(channels, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(x)


def momentum_teacher(*, channels: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build a student with a probe on its output, and a teacher that the student is held to.

    The teacher encodes another view by its running statistics, in eval mode. It is frozen for the
    optimizer; `averaging.follow` moves it after each step (Tarvainen and Valpola 2017, "Mean
    teachers are better role models"). The scenario shows the ways to keep a loss from a network
    that is in front of it: they are the recipes.
    """
    student = Student(channels, True, rngs)
    return [
        Stage("teacher", Teacher(channels, False, rngs), enter=_other_view),
        Stage("student", student, {"loss_consistency": _distance}, _view_and_target),
        Stage("probe", Probe(channels, rngs), {"loss_probe": CLASSIFY}, _without_target),
    ]


def _other_view(_: Array, data: Data) -> Array:
    """Return the images that the teacher sees, in place of the student's."""
    return data["other"]


def _view_and_target(target: Array, data: Data) -> Pair:
    """Return the images that the student sees, beside the teacher's output."""
    return data["x"], target


def _distance(output: Pair, _: Data) -> Array:
    """Return the mean squared distance of the student's output to its target."""
    return jnp.mean(optax.squared_error(*output))


def _without_target(output: Pair, _: Data) -> Array:
    """Return the student's output without its target."""
    return output[0]
