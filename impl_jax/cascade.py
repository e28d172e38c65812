"""Build the scenarios of the family "cascade": networks in series with losses at several places.

Each function returns the stages of one scenario. What a scenario is (its sizes, weights, data and
which loss may change which network) stands in ``benchmarks/scenarios/cascade.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from jax.lax import stop_gradient

from impl_jax.problem import Data, Stage, against, as_it_is, cut


class ConvStage(nnx.Module):
    """ConvTranspose(1 → 1, kernel 2), InstanceNorm and ReLU.

    It maps [batch, d, d, d, 1] to [batch, d+1, d+1, d+1, 1].
    """

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.ConvTranspose(
            1, 1, (2, 2, 2), padding="VALID", transpose_kernel=True, rngs=rngs
        )
        # torch's defaults: eps 1e-5 and no affine parameters. The fast variance, E[x²] − E[x]²,
        # subtracts two nearly equal numbers and loses digits; torch uses the two-pass one.
        self.norm = nnx.InstanceNorm(
            1, epsilon=1e-5, use_bias=False, use_scale=False, use_fast_variance=False, rngs=rngs
        )

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.norm(self.conv(x)))


class ConvPair(nnx.Module):
    """Two `ConvStage` in series inside one network, which returns the outputs of both."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.stage1 = ConvStage(rngs)
        self.stage2 = ConvStage(rngs)

    def __call__(self, x: Array) -> tuple[Array, Array]:
        first = self.stage1(x)
        return first, self.stage2(first)


def conv_cascade(*, rngs: nnx.Rngs) -> list[Stage]:
    """Build two networks of 3-D convolutions in series, with a SmoothL1 loss after each.

    The scenario shows that one backward pass of the summed loss gives the same gradients as a
    backward pass for each loss, unless a `custom_vjp` that is not linear changes them.
    """
    return [
        Stage("net1", ConvStage(rngs), {"loss1": against("target1", optax.huber_loss)}),
        Stage("net2", ConvStage(rngs), {"loss2": against("target2", optax.huber_loss)}),
    ]


def conv_cascade_single(*, rngs: nnx.Rngs) -> list[Stage]:
    """Build the stages and losses of `conv_cascade` inside one network with two outputs.

    The scenario shows that a loss on an inner output needs no second network. The graph has no
    boundary between networks, so it cannot be cut there.
    """
    first, second = against("target1", optax.huber_loss), against("target2", optax.huber_loss)
    losses = {
        "loss1": lambda outputs, data: first(outputs[0], data),
        "loss2": lambda outputs, data: second(outputs[1], data),
    }
    return [Stage("net", ConvPair(rngs), losses)]


class LinearNet(nnx.Module):
    """A single Linear(width → width)."""

    def __init__(self, width: int, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(width, width, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(x)


def linear_cascade(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build two Linear layers in series, with a mean squared error after each.

    The scenario shows that training by the summed loss brings both outputs to their targets.
    """
    return _linear_pair(width, enter=as_it_is, rngs=rngs)


def scaled_cascade(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build `linear_cascade` with net1's output multiplied by 0.5 before it enters net2.

    The scenario shows that an operation between two networks does not cut the graph.
    """
    return _linear_pair(width, enter=lambda value, _: value * 0.5, rngs=rngs)


def severed_cascade(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build `linear_cascade` with net1's output cut by ``stop_gradient`` before net2.

    The scenario shows that loss2 then leaves no gradient in net1. A traced value has no numbers to
    copy to a NumPy array, as the PyTorch twin does; ``stop_gradient`` severs the graph as that
    copy would.
    """

    def without_gradient(value: Array, _: Data) -> Array:
        return stop_gradient(value) * 0.5

    return _linear_pair(width, enter=without_gradient, rngs=rngs)


def _linear_pair(width: int, enter: Callable[[Array, Data], Array], rngs: nnx.Rngs) -> list[Stage]:
    """Return the stages of `linear_cascade`, with ``enter`` as the link from net1 to net2.

    A link is a function of net1's output and the data.
    """
    return [
        Stage("net1", LinearNet(width, rngs), {"loss1": against("target1", squared_error)}),
        Stage("net2", LinearNet(width, rngs), {"loss2": against("target2", squared_error)}, enter),
    ]


class Encoder(nnx.Module):
    """Two convolutions: [batch, s, s, 1] → [batch, s-5, s-5, 4·channels]."""

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(1, channels, (3, 3), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(channels, 4 * channels, (4, 4), padding="VALID", rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.conv2(nnx.relu(self.conv1(x)))


class Decoder(nnx.Module):
    """Two transposed convolutions: [batch, s-5, s-5, 4·channels] → [batch, s, s, 1], in (0, 1)."""

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.ConvTranspose(
            4 * channels, channels, (4, 4), padding="VALID", transpose_kernel=True, rngs=rngs
        )
        self.conv2 = nnx.ConvTranspose(
            channels, 1, (3, 3), padding="VALID", transpose_kernel=True, rngs=rngs
        )

    def __call__(self, x: Array) -> Array:
        return nnx.sigmoid(self.conv2(nnx.relu(self.conv1(x))))


class Segmenter(nnx.Module):
    """Three convolutions: [batch, s, s, 1] → [batch, s-7, s-7, 2], in (0, 1)."""

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.conv1 = nnx.Conv(1, 4 * channels, (3, 3), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(4 * channels, 8 * channels, (4, 4), padding="VALID", rngs=rngs)
        self.conv3 = nnx.Conv(8 * channels, 2, (3, 3), padding="VALID", rngs=rngs)

    def __call__(self, x: Array) -> Array:
        hidden = nnx.relu(self.conv2(nnx.relu(self.conv1(x))))
        return nnx.sigmoid(self.conv3(hidden))


def three_network_cascade(
    *, channels: int, stop_before_net2: bool = False, rngs: nnx.Rngs
) -> list[Stage]:
    """Build encoder, decoder and segmenter in series, with a loss on the first and on the last.

    The scenario shows how far each loss reaches back. With ``stop_before_net2`` the encoder's
    output is detached, so loss3 changes the decoder and the segmenter alone.
    """
    enter = cut if stop_before_net2 else as_it_is
    return [
        Stage("net1", Encoder(channels, rngs), {"loss1": against("target1", squared_error)}),
        Stage("net2", Decoder(channels, rngs), enter=enter),
        Stage("net3", Segmenter(channels, rngs), {"loss3": against("target3", cross_entropy)}),
    ]


def stacked_cascade(*, width: int, depths: list[int], rngs: nnx.Rngs) -> list[Stage]:
    """Build N networks in series with a loss after each, as in deep supervision.

    Network i is ``depths[i - 1]`` times Linear and ReLU. The scenario shows what a backward pass
    for each loss costs: N(N+1)/2 walks through a network, where the summed loss needs N.
    """
    return [
        Stage(
            f"net{i}", Stack(width, depth, rngs), {f"loss{i}": against(f"target{i}", squared_error)}
        )
        for i, depth in enumerate(depths, start=1)
    ]


class Stack(nnx.Module):
    """Linear(width → width) and ReLU, ``depth`` times in series."""

    def __init__(self, width: int, depth: int, rngs: nnx.Rngs) -> None:
        self.depth = depth
        for i in range(1, depth + 1):
            setattr(self, f"linear{i}", nnx.Linear(width, width, rngs=rngs))

    def __call__(self, x: Array) -> Array:
        for i in range(1, self.depth + 1):
            x = nnx.relu(getattr(self, f"linear{i}")(x))
        return x


def squared_error(prediction: Array, target: Array) -> Array:
    """Return (prediction − target)² of each element.

    `optax.squared_error` is the same; `optax.l2_loss` has a factor of one half in front of it.
    """
    return jnp.square(prediction - target)


def cross_entropy(probability: Array, target: Array) -> Array:
    """Return the binary cross-entropy of each probability, elementwise.

    As in torch, the logarithms are clamped at −100. The inner ``where`` keeps the argument of the
    logarithm positive. ``where`` differentiates both of its branches; the cotangent of the branch
    that is not selected is 0, and 0 times the infinite slope of a logarithm at 0 would be NaN.
    """

    def clamped_log(value: Array) -> Array:
        inside = value > jnp.exp(-100.0)
        return jnp.where(inside, jnp.log(jnp.where(inside, value, 1.0)), -100.0)

    return -(target * clamped_log(probability) + (1 - target) * clamped_log(1 - probability))
