"""A part of the network keeps still: rows 11 to 16 of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from jax import Array
from numpy.typing import NDArray

from impl_jax.cascade import conv_cascade
from impl_jax.problem import Stage, against

CLASSIFY = against("labels", optax.softmax_cross_entropy_with_integer_labels)


def frozen_second_network(*, rngs: nnx.Rngs) -> list[Stage]:
    """Row 11: row 1's networks; net1 learns from loss2 through a net2 that keeps still."""
    return conv_cascade(rngs=rngs)


class ResidualBlock(nnx.Module):
    """Conv3 · BN · ReLU · Conv3 · BN, the input added, ReLU: [batch, h, w, C] → the same."""

    def __init__(self, channels: int, train: bool, rngs: nnx.Rngs) -> None:
        def conv() -> nnx.Conv:
            return nnx.Conv(channels, channels, (3, 3), use_bias=False, rngs=rngs)

        def norm() -> nnx.BatchNorm:
            # torch's momentum 0.1 is 0.9 here; the two-pass variance, for the fast one loses digits
            return nnx.BatchNorm(
                channels,
                use_running_average=not train,
                momentum=0.9,
                epsilon=1e-5,
                use_fast_variance=False,
                rngs=rngs,
            )

        self.conv1, self.bn1 = conv(), norm()
        self.conv2, self.bn2 = conv(), norm()

    def __call__(self, x: Array) -> Array:
        h = nnx.relu(self.bn1(self.conv1(x)))
        return nnx.relu(self.bn2(self.conv2(h)) + x)


class Backbone(nnx.Module):
    """A stem Conv(3→C, 3) and two residual blocks: [batch, h, w, 3] → [batch, h, w, C]."""

    def __init__(self, channels: int, train: bool, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, channels, (3, 3), rngs=rngs)
        self.block1 = ResidualBlock(channels, train, rngs)
        self.block2 = ResidualBlock(channels, train, rngs)

    def __call__(self, x: Array) -> Array:
        return self.block2(self.block1(self.stem(x)))


class SelfAttention(nnx.Module):
    """y = x + γ · Σⱼ h(x)ⱼ softmaxⱼ(f(x)ᵢ · g(x)ⱼ) over the pixels j of each image.

    f and g are 1×1 convolutions C → C/4, h is C → C, γ a scalar (Zhang et al. 2019, "Self-attention
    generative adversarial networks").
    """

    def __init__(self, channels: int, rngs: nnx.Rngs) -> None:
        self.f = nnx.Conv(channels, channels // 4, (1, 1), rngs=rngs)
        self.g = nnx.Conv(channels, channels // 4, (1, 1), rngs=rngs)
        self.h = nnx.Conv(channels, channels, (1, 1), rngs=rngs)
        self.gamma = nnx.Param(jnp.zeros(()))

    def __call__(self, x: Array) -> Array:
        f, g, h = (_pixels(conv(x)) for conv in (self.f, self.g, self.h))  # [batch, pixels, c]
        weights = jax.nn.softmax(f @ g.mT, axis=-1)  # [batch, i, j]
        return x + self.gamma[...] * (weights @ h).reshape(x.shape)


def _pixels(image: Array) -> Array:
    return image.reshape(image.shape[0], -1, image.shape[-1])


class PooledClassifier(nnx.Module):
    """Average over the image, Linear(C → classes)."""

    def __init__(self, channels: int, classes: int, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(channels, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(jnp.mean(x, axis=(1, 2)))


def attention_on_frozen_backbone(*, channels: int, statistics: str, rngs: nnx.Rngs) -> list[Stage]:
    """Row 12: self-attention is trained on top of a frozen backbone.

    ``statistics`` says which BatchNorm normalises with: ``running`` in eval mode, which leaves
    them, or those of the ``batch`` in train mode, which moves the running ones along.
    """
    return [
        Stage("backbone", Backbone(channels, statistics == "batch", rngs)),
        Stage("attention", SelfAttention(channels, rngs)),
        Stage("classifier", PooledClassifier(channels, 10, rngs), {"loss": CLASSIFY}),
    ]


class VggFront(nnx.Module):
    """The first eight convolutions, each with ReLU, and three poolings: 32×32 → 4×4."""

    def __init__(self, c: int, rngs: nnx.Rngs) -> None:
        self.conv1, self.conv2 = _conv3(3, c, rngs), _conv3(c, c, rngs)
        self.conv3, self.conv4 = _conv3(c, 2 * c, rngs), _conv3(2 * c, 2 * c, rngs)
        self.conv5, self.conv6 = _conv3(2 * c, 4 * c, rngs), _conv3(4 * c, 4 * c, rngs)
        self.conv7, self.conv8 = _conv3(4 * c, 4 * c, rngs), _conv3(4 * c, 4 * c, rngs)

    def __call__(self, x: Array) -> Array:
        x = _pool(_relus(x, self.conv1, self.conv2))
        x = _pool(_relus(x, self.conv3, self.conv4))
        x = _pool(_relus(x, self.conv5, self.conv6, self.conv7))
        return _relus(x, self.conv8)


class VggBack(nnx.Module):
    """The last two convolutions and the Linear to 10."""

    def __init__(self, c: int, rngs: nnx.Rngs) -> None:
        self.conv9, self.conv10 = _conv3(4 * c, 4 * c, rngs), _conv3(4 * c, 4 * c, rngs)
        self.linear = nnx.Linear(4 * c * 2 * 2, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = _pool(_relus(x, self.conv9, self.conv10))
        return self.linear(x.reshape(len(x), -1))


def frozen_prefix(*, channels: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 13: a VGG-like network whose first 16 tensors, 8 convolutions, keep still."""
    image = (4 * channels, 2, 2)
    back = Stage("back", VggBack(channels, rngs), {"loss": CLASSIFY}, flattened={"linear": image})
    return [Stage("front", VggFront(channels, rngs)), back]


def _conv3(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Conv:
    return nnx.Conv(inputs, outputs, (3, 3), rngs=rngs)


def _relus(x: Array, *convs: nnx.Conv) -> Array:
    for conv in convs:
        x = nnx.relu(conv(x))
    return x


def _pool(x: Array) -> Array:
    return nnx.max_pool(x, (2, 2), strides=(2, 2))


class Frozen(nnx.Variable[Any]):
    """A parameter that is none to `nnx.grad` and `nnx.Optimizer`: they look for `nnx.Param`."""


class Convolutions(nnx.Module):
    """Conv(c→6, 5) · ReLU · pool · Conv(6→16, 5) · ReLU · pool: 32×32 → 5×5×16, flattened.

    ``frozen`` makes its parameters of another type while it is being built.
    """

    def __init__(
        self, channels: int, width: int = 1, *, frozen: bool = False, rngs: nnx.Rngs
    ) -> None:
        self.conv1 = nnx.Conv(channels, 6 * width, (5, 5), padding="VALID", rngs=rngs)
        self.conv2 = nnx.Conv(6 * width, 16 * width, (5, 5), padding="VALID", rngs=rngs)
        if frozen:
            for conv in (self.conv1, self.conv2):
                for name in ("kernel", "bias"):
                    setattr(conv, name, Frozen(getattr(conv, name)[...]))

    def __call__(self, x: Array) -> Array:
        h = _pool(nnx.relu(self.conv1(x)))
        return _pool(nnx.relu(self.conv2(h))).reshape(len(x), -1)


class Hidden(nnx.Module):
    """Linear(400 → 120) · ReLU · Linear(120 → 84) · ReLU."""

    def __init__(self, width: int = 1, *, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(400 * width, 120, rngs=rngs)
        self.linear2 = nnx.Linear(120, 84, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.linear2(nnx.relu(self.linear1(x))))


class Classifier(Hidden):
    """`Hidden`, and Linear(84 → 10)."""

    def __init__(self, width: int = 1, *, rngs: nnx.Rngs) -> None:
        super().__init__(width, rngs=rngs)
        self.linear3 = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear3(super().__call__(x))


class LastLayer(nnx.Module):
    """Linear(84 → 10)."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(x)


def frozen_in_constructor(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 14: the convolutions are frozen while the network is being built."""
    return lenet(Convolutions(1, width, frozen=True, rngs=rngs), width, rngs)


def only_new_layer(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 15: row 14's network, of which only a new last layer is trained."""
    return [
        Stage("features", Convolutions(1, width, rngs=rngs)),
        Stage("hidden", Hidden(width, rngs=rngs), flattened={"linear1": (16 * width, 5, 5)}),
        Stage("last", LastLayer(rngs), {"loss": CLASSIFY}),
    ]


def staged_unfreeze(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 16: row 14's network; its convolutions join the optimizer later."""
    return lenet(Convolutions(1, width, rngs=rngs), width, rngs)


def lenet(features: Convolutions, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Convolutions and the classifier behind them."""
    image = {"linear1": (16 * width, 5, 5)}
    classifier = Classifier(width, rngs=rngs)
    return [
        Stage("features", features),
        Stage("classifier", classifier, {"loss": CLASSIFY}, flattened=image),
    ]


def load_matching(
    own: Mapping[str, NDArray[Any]], pretrained: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], dict[str, list[str]]]:
    """Take what fits by name and shape; the whole state, and what was ``loaded`` and what not.

    Both are in the canonical layout: a transposed kernel must not fit by accident.

    ``missing`` are the network's own that the state lacks, ``unexpected`` those of the state that
    the network lacks, ``mismatched`` those of another shape: `nnx.update` would take these as they
    are, and the network would fail where it is called.
    """
    same = {n: a for n, a in pretrained.items() if n in own and a.shape == own[n].shape}
    return {**own, **same}, {
        "loaded": sorted(same),
        "missing": sorted(set(own) - set(pretrained)),
        "unexpected": sorted(set(pretrained) - set(own)),
        "mismatched": sorted((set(own) & set(pretrained)) - set(same)),
    }
