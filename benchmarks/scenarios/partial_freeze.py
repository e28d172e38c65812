"""Specify the partial freezes: a part of the network keeps still while the rest is trained."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.scenarios.cascade import CONV_CASCADE
from benchmarks.scenarios.layouts import IMAGE
from benchmarks.scenarios.spec import (
    Optimizer,
    Parameter,
    Parameters,
    Scenario,
    Segment,
    Training,
    Variant,
    batch_norm,
    batch_statistics,
    conv,
    linear,
)

Rng = np.random.Generator
CLASSES = 10


def images(rng: Rng, *, batch: int, channels: int, side: int) -> dict[str, Any]:
    """Return random images [batch, channels, side, side] and a random label for each."""
    return {
        "x": rng.standard_normal((batch, channels, side, side)),
        "labels": rng.integers(CLASSES, size=batch),
    }


FROZEN_SECOND_NETWORK = replace(
    CONV_CASCADE,
    name="frozen_second_network",
    family="partial_freeze",
    summary="conv_cascade with net2 frozen: net1 still learns from loss2, through net2",
    variants={"-": replace(CONV_CASCADE.variants["-"], frozen=("net2",))},
    draw_as="conv_cascade",
)

BLOCKS = ("backbone.block1", "backbone.block2")
NORMS = tuple(f"{block}.bn{i}" for block in BLOCKS for i in (1, 2))


def _attention_parameters(*, channels: int, gamma: float, **_: Any) -> Parameters:
    """Return the parameters of residual backbone, self-attention and classifier."""
    c = channels
    backbone = conv("backbone.stem", 3, c, (3, 3), relu=False)
    for block in BLOCKS:
        for i in (1, 2):
            backbone |= conv(f"{block}.conv{i}", c, c, (3, 3), relu=True, bias=False)
            backbone |= batch_norm(f"{block}.bn{i}", c)
    return {
        **backbone,
        "attention.gamma": Parameter((), 0.0, centre=gamma),
        **conv("attention.f", c, c // 4, (1, 1), relu=False),
        **conv("attention.g", c, c // 4, (1, 1), relu=False),
        **conv("attention.h", c, c, (1, 1), relu=False),
        **linear("classifier.linear", c, CLASSES, relu=False),
    }


def _attention_buffers(*, channels: int, **_: Any) -> Parameters:
    """Return the running statistics of the backbone's BatchNorms."""
    return {n: p for norm in NORMS for n, p in batch_statistics(norm, channels).items()}


def _attention_data(rng: Rng, *, batch: int, **_: Any) -> dict[str, Any]:
    """Return images of three channels with labels."""
    return images(rng, batch=batch, channels=3, side=7)


ON_BACKBONE = ("backbone", "attention", "classifier")


def _attention_variant(gamma: float, statistics: str) -> Variant:
    """Return the variant with a frozen backbone.

    Args:
        gamma: initial weight of the attention's output, which is added to its input.
        statistics: of BatchNorm: ``running`` as in eval mode, ``batch`` as in train mode.
    """
    return Variant(
        networks=ON_BACKBONE,
        flow={"loss": ON_BACKBONE},
        frozen=("backbone",),
        arguments={"statistics": statistics},
        drawing={"gamma": gamma},
        # attention is multiplied by gamma: at 0 no gradient passes back into it
        exact_zero=() if gamma else ("attention.f", "attention.g", "attention.h"),
    )


ATTENTION = Scenario(
    name="attention_on_frozen_backbone",
    family="partial_freeze",
    summary="self-attention on a frozen residual backbone, in eval mode and in train mode",
    sizes={
        "seed": {"channels": 8, "batch": 2},
        "small": {"channels": 16, "batch": 12},
        "medium": {"channels": 64, "batch": 32},
        "large": {"channels": 256, "batch": 64},
        "gpu": {"channels": 2048, "batch": 64},
    },
    structure=("channels",),
    parameters=_attention_parameters,
    data=_attention_data,
    layouts=dict.fromkeys(("x", "backbone", "attention"), IMAGE),
    buffers=_attention_buffers,
    variants={
        "gamma0": _attention_variant(0.0, "running"),
        "gamma05": _attention_variant(0.5, "running"),
        "batch_statistics": _attention_variant(0.5, "batch"),
    },
    optimizer=Optimizer(
        "adam",
        {"lr": 1e-4, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 1e-5},
        "together",
    ),
    # g's bias adds the same number for every pixel j, which the softmax over j cancels
    zero_gradient=("attention.g.bias",),
    trainings=(
        Training("from_gamma0", (Segment(50, ("gamma0",)),), unmoved=("backbone",)),
        Training("train_mode", (Segment(50, ("batch_statistics",)),), unmoved=("backbone",)),
    ),
    seeds={
        ("batch_statistics", "small"): 4,
        ("gamma0", "medium"): 12,
        ("gamma05", "medium"): 12,
        ("batch_statistics", "medium"): 1,
    },
)


def _vgg_parameters(*, channels: int, **_: Any) -> Parameters:
    """Return the specification (shape, range of the random start) of each parameter of a VGG.

    The network ``front`` has eight convolutions; ``back`` has two and a Linear layer.
    """
    c = channels
    widths = [3, c, c, 2 * c, 2 * c, *[4 * c] * 6]
    layers = Parameters()
    for i, (inputs, outputs) in enumerate(pairwise(widths), start=1):
        network = "front" if i <= 8 else "back"
        layers |= conv(f"{network}.conv{i}", inputs, outputs, (3, 3), relu=True)
    return layers | linear("back.linear", 4 * c * 2 * 2, CLASSES, relu=False)


def _vgg_data(rng: Rng, *, batch: int, **_: Any) -> dict[str, Any]:
    """Return images of three channels with labels."""
    return images(rng, batch=batch, channels=3, side=32)


FROZEN_PREFIX = Scenario(
    name="frozen_prefix",
    family="partial_freeze",
    summary="the first 16 parameter tensors of a VGG-like network keep still",
    sizes={
        "seed": {"channels": 8, "batch": 1},
        "small": {"channels": 8, "batch": 2},
        "medium": {"channels": 8, "batch": 32},
        "large": {"channels": 16, "batch": 192},
        "gpu": {"channels": 64, "batch": 512},
    },
    structure=("channels",),
    parameters=_vgg_parameters,
    data=_vgg_data,
    layouts={"x": IMAGE, "front": IMAGE},
    variants={
        "-": Variant(("front", "back"), {"loss": ("front", "back")}, frozen=("front",)),
    },
    optimizer=Optimizer("sgd", {"lr": 1e-3}, "together"),
    seeds={("-", "medium"): 49, ("-", "large"): 15},
    kinked=(("-", "large"),),
)


def convolutions(network: str, channels: int, width: int) -> Parameters:
    """Return the parameters of LeNet's two convolutions."""
    return {
        **conv(f"{network}.conv1", channels, 6 * width, (5, 5), relu=True),
        **conv(f"{network}.conv2", 6 * width, 16 * width, (5, 5), relu=True),
    }


def classifier(network: str, width: int) -> Parameters:
    """Return the parameters of LeNet's three Linear layers."""
    return {
        **linear(f"{network}.linear1", 400 * width, 120, relu=True),
        **linear(f"{network}.linear2", 120, 84, relu=True),
        **linear(f"{network}.linear3", 84, CLASSES, relu=False),
    }


def _lenet_parameters(*, width: int, **_: Any) -> Parameters:
    """Return the parameters of a LeNet for images of one channel."""
    return {**convolutions("features", 1, width), **classifier("classifier", width)}


def _last_layer_parameters(*, width: int, **_: Any) -> Parameters:
    """Return LeNet's parameters, with its last layer as a network of its own."""
    hidden = classifier("hidden", width)
    last = {n.replace("hidden.linear3", "last.linear"): p for n, p in hidden.items()}
    return {**convolutions("features", 1, width), **last}


def _lenet_data(rng: Rng, *, batch: int, **_: Any) -> dict[str, Any]:
    """Return images of one channel with labels."""
    return images(rng, batch=batch, channels=1, side=32)


LENET_SIZES = {
    "seed": {"width": 1, "batch": 8},
    "small": {"width": 1, "batch": 16},
    "medium": {"width": 1, "batch": 128},
    "large": {"width": 4, "batch": 256},
    "gpu": {"width": 16, "batch": 4096},
}
LENET = ("features", "classifier")

FROZEN_IN_CONSTRUCTOR = Scenario(
    name="frozen_in_constructor",
    family="partial_freeze",
    summary="LeNet's convolutions are frozen while the network is being built",
    sizes=LENET_SIZES,
    structure=("width",),
    parameters=_lenet_parameters,
    data=_lenet_data,
    layouts={"x": IMAGE, "features": IMAGE},
    variants={"-": Variant(LENET, {"loss": LENET}, frozen=("features",))},
    optimizer=Optimizer("sgd", {"lr": 1e-2}, "together"),
    seeds={("-", "seed"): 4, ("-", "small"): 72, ("-", "medium"): 34, ("-", "large"): 13},
)

LAST = ("features", "hidden", "last")

ONLY_NEW_LAYER = Scenario(
    name="only_new_layer",
    family="partial_freeze",
    summary="a new last layer is trained on pretrained layers that keep still",
    sizes=LENET_SIZES,
    structure=("width",),
    parameters=_last_layer_parameters,
    data=_lenet_data,
    layouts={"x": IMAGE, "features": IMAGE},
    variants={"-": Variant(LAST, {"loss": LAST}, frozen=("features", "hidden"))},
    optimizer=Optimizer(
        "adam", {"lr": 1e-3, "betas": (0.9, 0.999), "weight_decay": 1e-5}, "together"
    ),
    seeds={("-", "seed"): 6, ("-", "small"): 6, ("-", "medium"): 184, ("-", "large"): 30},
)

STAGED_UNFREEZE = Scenario(
    name="staged_unfreeze",
    family="partial_freeze",
    summary="the convolutions join the running optimizer after 25 steps",
    sizes=LENET_SIZES,
    structure=("width",),
    parameters=_lenet_parameters,
    data=_lenet_data,
    layouts={"x": IMAGE, "features": IMAGE},
    variants={
        "phase1": Variant(LENET, {"loss": LENET}, frozen=("features",)),
        "phase2": Variant(LENET, {"loss": LENET}),
    },
    optimizer=Optimizer("adam", {"lr": 1e-3}, "separate"),
    trainings=(
        Training(
            "convolutions_join",
            (Segment(25, ("phase1",)), Segment(25, ("phase2",))),
            steps_counted={"features": 25, "classifier": 50},
        ),
    ),
    seeds={
        (phase, size): seed
        for phase in ("phase1", "phase2")
        for size, seed in {"seed": 2, "small": 222, "medium": 38, "large": 2}.items()
    },
)

SCENARIOS = (
    FROZEN_SECOND_NETWORK,
    ATTENTION,
    FROZEN_PREFIX,
    FROZEN_IN_CONSTRUCTOR,
    ONLY_NEW_LAYER,
    STAGED_UNFREEZE,
)
