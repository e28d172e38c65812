"""Build the scenarios of the family "partial_freeze": a part of the networks is frozen.

Which part, and for how long, stands in ``benchmarks/scenarios/partial_freeze.py``; the recipes in
``recipes.py`` freeze it. Only `frozen_in_constructor` freezes here.
"""

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
# Arguments with which a BatchNorm of flax computes what torch's does by default. flax's momentum is
# one minus torch's, 0.1. The fast variance, E[x²] − E[x]², subtracts two nearly equal numbers and
# loses digits; torch uses the two-pass one.
BATCH_NORM: dict[str, Any] = {"momentum": 0.9, "epsilon": 1e-5, "use_fast_variance": False}


def frozen_second_network(*, rngs: nnx.Rngs) -> list[Stage]:
    """Build the networks of the scenario conv_cascade, of which net2 is frozen.

    The scenario shows net1 learning from loss2 through the frozen net2.
    """
    return conv_cascade(rngs=rngs)


class ResidualBlock(nnx.Module):
    """Conv 3×3, BatchNorm, ReLU, Conv 3×3, BatchNorm; the input is added; ReLU.

    Input and output are [batch, height, width, channels].
    """

    def __init__(self, channels: int, train: bool, rngs: nnx.Rngs) -> None:
        def conv() -> nnx.Conv:
            return nnx.Conv(channels, channels, (3, 3), use_bias=False, rngs=rngs)

        def norm() -> nnx.BatchNorm:
            return nnx.BatchNorm(channels, use_running_average=not train, **BATCH_NORM, rngs=rngs)

        self.conv1, self.bn1 = conv(), norm()
        self.conv2, self.bn2 = conv(), norm()

    def __call__(self, x: Array) -> Array:
        h = nnx.relu(self.bn1(self.conv1(x)))
        return nnx.relu(self.bn2(self.conv2(h)) + x)


class Backbone(nnx.Module):
    """Conv 3×3 and two residual blocks: [batch, h, w, 3] → [batch, h, w, channels]."""

    def __init__(self, channels: int, train: bool, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, channels, (3, 3), rngs=rngs)
        self.block1 = ResidualBlock(channels, train, rngs)
        self.block2 = ResidualBlock(channels, train, rngs)

    def __call__(self, x: Array) -> Array:
        return self.block2(self.block1(self.stem(x)))


class SelfAttention(nnx.Module):
    """Self-attention: y = x + γ · Σⱼ h(x)ⱼ softmaxⱼ(f(x)ᵢ · g(x)ⱼ), j over an image's pixels.

    f and g are 1×1 convolutions of C → C/4 channels, h one of C → C; γ is a scalar (Zhang et al.
    2019, "Self-attention generative adversarial networks").
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
    """Reshape images [batch, height, width, channels] to [batch, pixels, channels]."""
    return image.reshape(image.shape[0], -1, image.shape[-1])


class PooledClassifier(nnx.Module):
    """Average over the pixels, then Linear(channels → classes)."""

    def __init__(self, channels: int, classes: int, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(channels, classes, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(jnp.mean(x, axis=(1, 2)))


def attention_on_frozen_backbone(*, channels: int, statistics: str, rngs: nnx.Rngs) -> list[Stage]:
    """Build self-attention and a classifier on top of a frozen residual backbone.

    With ``statistics="running"`` the backbone's BatchNorm is in eval mode and normalises by its
    running statistics. With ``"batch"`` it is in train mode: it normalises by the statistics of the
    batch and updates the running ones. The scenario shows that frozen parameters do not freeze
    statistics.
    """
    return [
        Stage("backbone", Backbone(channels, statistics == "batch", rngs)),
        Stage("attention", SelfAttention(channels, rngs)),
        Stage("classifier", PooledClassifier(channels, 10, rngs), {"loss": CLASSIFY}),
    ]


class VggFront(nnx.Module):
    """Eight 3×3 convolutions with ReLU and three max-poolings: 32×32 pixels → 4×4."""

    def __init__(self, c: int, rngs: nnx.Rngs) -> None:
        self.conv1, self.conv2 = _conv3(3, c, rngs), _conv3(c, c, rngs)
        self.conv3, self.conv4 = _conv3(c, 2 * c, rngs), _conv3(2 * c, 2 * c, rngs)
        self.conv5, self.conv6 = _conv3(2 * c, 4 * c, rngs), _conv3(4 * c, 4 * c, rngs)
        self.conv7, self.conv8 = _conv3(4 * c, 4 * c, rngs), _conv3(4 * c, 4 * c, rngs)

    def __call__(self, x: Array) -> Array:
        x = nnx.relu(self.conv2(nnx.relu(self.conv1(x))))
        x = nnx.relu(self.conv4(nnx.relu(self.conv3(_pool(x)))))
        x = nnx.relu(self.conv6(nnx.relu(self.conv5(_pool(x)))))
        x = _pool(nnx.relu(self.conv7(x)))
        return nnx.relu(self.conv8(x))


class VggBack(nnx.Module):
    """Two 3×3 convolutions with ReLU, a max-pooling and Linear to 10 classes."""

    def __init__(self, c: int, rngs: nnx.Rngs) -> None:
        self.conv9, self.conv10 = _conv3(4 * c, 4 * c, rngs), _conv3(4 * c, 4 * c, rngs)
        self.linear = nnx.Linear(4 * c * 2 * 2, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        x = _pool(nnx.relu(self.conv10(nnx.relu(self.conv9(x)))))
        return self.linear(x.reshape(len(x), -1))


def frozen_prefix(*, channels: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build a VGG-like network whose first 16 parameter tensors, 8 convolutions, are frozen.

    The scenario shows a freeze that is given by a number of tensors from the front.
    """
    image = (4 * channels, 2, 2)
    back = Stage("back", VggBack(channels, rngs), {"loss": CLASSIFY}, flattened={"linear": image})
    return [Stage("front", VggFront(channels, rngs)), back]


def _conv3(inputs: int, outputs: int, rngs: nnx.Rngs) -> nnx.Conv:
    """Return a 3×3 convolution that keeps height and width."""
    return nnx.Conv(inputs, outputs, (3, 3), rngs=rngs)


def _pool(x: Array) -> Array:
    """Halve height and width by max-pooling over windows of 2×2."""
    return nnx.max_pool(x, (2, 2), strides=(2, 2))


class Frozen(nnx.Variable[Any]):
    """Hold a parameter that is not trained.

    `nnx.grad` and `nnx.Optimizer` select variables of the type `nnx.Param` by default, and this is
    another type.
    """


class Convolutions(nnx.Module):
    """Conv 5×5, ReLU and max-pooling, twice: [batch, 32, 32, channels] → [batch, 5·5·16·width].

    With ``frozen`` the constructor makes its parameters variables of the type `Frozen`.
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
    """Linear(400·width → 120), ReLU, Linear(120 → 84) and ReLU."""

    def __init__(self, width: int = 1, *, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(400 * width, 120, rngs=rngs)
        self.linear2 = nnx.Linear(120, 84, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return nnx.relu(self.linear2(nnx.relu(self.linear1(x))))


class Classifier(Hidden):
    """The layers of `Hidden`, then Linear(84 → 10)."""

    def __init__(self, width: int = 1, *, rngs: nnx.Rngs) -> None:
        super().__init__(width, rngs=rngs)
        self.linear3 = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear3(super().__call__(x))


class LastLayer(nnx.Module):
    """A single Linear(84 → 10)."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.linear = nnx.Linear(84, 10, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear(x)


def frozen_in_constructor(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build LeNet with convolutions that their constructor freezes.

    The scenario shows a freeze that is part of the network itself.
    """
    return lenet(Convolutions(1, width, frozen=True, rngs=rngs), width, rngs)


def only_new_layer(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build LeNet as features, hidden layers and a last layer, of which only the last is trained.

    The scenario shows fine-tuning: a new layer on pretrained and frozen networks.
    """
    return [
        Stage("features", Convolutions(1, width, rngs=rngs)),
        Stage("hidden", Hidden(width, rngs=rngs), flattened={"linear1": (16 * width, 5, 5)}),
        Stage("last", LastLayer(rngs), {"loss": CLASSIFY}),
    ]


def staged_unfreeze(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build LeNet, whose convolutions are frozen at first and trained later.

    The scenario shows parameters that join a running optimizer, whose state is kept.
    """
    return lenet(Convolutions(1, width, rngs=rngs), width, rngs)


def lenet(features: Convolutions, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Return the stages of LeNet: these convolutions, and a new classifier with the loss."""
    image = {"linear1": (16 * width, 5, 5)}
    classifier = Classifier(width, rngs=rngs)
    return [
        Stage("features", features),
        Stage("classifier", classifier, {"loss": CLASSIFY}, flattened=image),
    ]


def load_matching(
    own: Mapping[str, NDArray[Any]], pretrained: Mapping[str, NDArray[Any]]
) -> tuple[dict[str, NDArray[Any]], dict[str, list[str]]]:
    """Merge the arrays of a pretrained state whose names and shapes match into the own state.

    Return the merged state and a report. Both states are in the canonical layout: in nnx's a
    transposed kernel could match by accident.

    Report:
        ``loaded``: names of the arrays that match.
        ``missing``: names that only the network has.
        ``unexpected``: names that only the pretrained state has.
        ``mismatched``: names of arrays of different shapes. `nnx.update` would accept them, and the
            network would fail when it is called, so they are filtered out first.
    """
    same = {n: a for n, a in pretrained.items() if n in own and a.shape == own[n].shape}
    return {**own, **same}, {
        "loaded": sorted(same),
        "missing": sorted(set(own) - set(pretrained)),
        "unexpected": sorted(set(pretrained) - set(own)),
        "mismatched": sorted((set(own) & set(pretrained)) - set(same)),
    }
