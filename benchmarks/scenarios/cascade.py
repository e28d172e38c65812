"""Specify the cascades: networks in series with losses at several of their outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.scenarios.layouts import IMAGE
from benchmarks.scenarios.spec import (
    Array,
    Expected,
    Optimizer,
    Parameters,
    Scenario,
    Segment,
    Training,
    Variant,
    conv,
    conv_transpose,
    linear,
)

Rng = np.random.Generator
BOTH = ("net1", "net2")
FORWARD_ONLY = {"loss1": ("net1",), "loss2": BOTH}


# outcomes of asking for the gradient of loss1 where all that it reaches is frozen
NOTHING_LEFT_OF_LOSS1 = (
    Expected("torch", "frozen_net1", "loss1", "RuntimeError", "does not require grad"),
    Expected("jax", "frozen_net1", "loss1", None),  # jax.grad by nothing returns nothing
)


PAIR_DATA = ("x", "target1", "target2")


def _conv_parameters(first: str = "net1", second: str = "net2", **_: Any) -> Parameters:
    """Return the parameters of two 3-D transposed convolutions, in networks of these names."""
    layers_of = {
        "net1": conv_transpose("conv", 1, 1, (2, 2, 2), relu=True),
        "net2": conv_transpose("conv", 1, 1, (2, 2, 2), relu=True),
    }
    return {
        f"{network}.{name}": replace(parameter, draw_as=f"{key}.{name}")
        for (key, layers), network in zip(layers_of.items(), (first, second), strict=True)
        for name, parameter in layers.items()
    }


def _conv_single_parameters(**_: Any) -> Parameters:
    """Return the same parameters, named as two stages of one network."""
    return _conv_parameters("net.stage1", "net.stage2")


def _conv_data(rng: Rng, *, batch: int, side: int, ones: bool, **_: Any) -> dict[str, Array]:
    """Return input volumes, and targets of ones, whose edges are one and two voxels longer."""
    shape = (batch, 1, side, side, side)
    return {
        # at larger sizes an input of ones would leave all of a volume's inside at one value
        "x": np.ones(shape) if ones else rng.standard_normal(shape),
        "target1": np.ones((batch, 1, *[side + 1] * 3)),
        "target2": np.ones((batch, 1, *[side + 2] * 3)),
    }


CONV_SIZES = {
    "seed": {"batch": 1, "side": 2, "ones": True},
    "small": {"batch": 2, "side": 12, "ones": False},
    "medium": {"batch": 4, "side": 24, "ones": False},
    "large": {"batch": 16, "side": 48, "ones": False},
    "gpu": {"batch": 64, "side": 96, "ones": False},
}

CONV_CASCADE = Scenario(
    name="conv_cascade",
    family="cascade",
    summary="two 3-D stages, a SmoothL1 loss at each: the gradient of the sum is the sum",
    sizes=CONV_SIZES,
    structure=(),
    parameters=_conv_parameters,
    data=_conv_data,
    layouts=dict.fromkeys((*PAIR_DATA, "net1", "net2"), IMAGE),
    variants={"-": Variant(networks=BOTH, flow=FORWARD_ONLY)},
    optimizer=Optimizer("adam", {"lr": 1e-3}, "groups"),
    zero_gradient=("net1.conv.bias", "net2.conv.bias"),  # InstanceNorm subtracts the mean
    seeds={("-", "small"): 3, ("-", "large"): 5},
    # an input of ones hides a mirrored kernel: the output is mirrored, the gradient is the same
    check_sizes=("seed", "small"),
)

CONV_CASCADE_SINGLE = Scenario(
    name="conv_cascade_single",
    family="cascade",
    summary="the same two stages inside one network that returns both outputs",
    sizes=CONV_SIZES,
    structure=(),
    parameters=_conv_single_parameters,
    data=_conv_data,
    layouts=dict.fromkeys(PAIR_DATA, IMAGE),
    variants={
        "-": Variant(
            networks=("net.stage1", "net.stage2"),
            flow={"loss1": ("net.stage1",), "loss2": ("net.stage1", "net.stage2")},
            impossible={
                "boundary_split": "both stages are inside one network: no boundary to cut at"
            },
        )
    },
    optimizer=Optimizer("adam", {"lr": 1e-3}, "together"),
    zero_gradient=("net.stage1.conv.bias", "net.stage2.conv.bias"),
    draw_as="conv_cascade",
    seeds={("-", "small"): 3, ("-", "large"): 5},
    # an input of ones hides a mirrored kernel: the output is mirrored, the gradient is the same
    check_sizes=("seed", "small"),
)


def _linear_parameters(*, width: int, **_: Any) -> Parameters:
    """Return the parameters of two networks of one Linear layer each."""
    return {
        **linear("net1.linear", width, width, relu=False),
        **linear("net2.linear", width, width, relu=False),
    }


def _linear_data(_: Rng, *, width: int, batch: int, **__: Any) -> dict[str, Array]:
    """Return a constant input, and constant targets for both outputs."""
    ones = np.ones((batch, width))
    return {"x": 0.2 * ones, "target1": 0.5 * ones, "target2": ones}


def _reaching_targets(steps: int) -> Training:
    """Return a training of so many steps, after which both outputs must be at their targets."""
    return Training(
        "both_reach_their_targets",
        (Segment(steps),),
        reaches={"net1": (0.5, 0.03), "net2": (1.0, 0.03)},
    )


LINEAR_SIZES = {
    "seed": {"width": 3, "batch": 2},
    "small": {"width": 384, "batch": 128},
    "medium": {"width": 768, "batch": 256},
    "large": {"width": 2048, "batch": 1024},
    "gpu": {"width": 8192, "batch": 8192},
}

LINEAR_CASCADE = Scenario(
    name="linear_cascade",
    family="cascade",
    summary="two Linear layers trained by the summed loss: both outputs reach their targets",
    sizes=LINEAR_SIZES,
    structure=("width",),
    parameters=_linear_parameters,
    data=_linear_data,
    variants={"-": Variant(networks=BOTH, flow=FORWARD_ONLY)},
    optimizer=Optimizer("adam", {"lr": 2e-3}, "separate"),
    trainings=(_reaching_targets(1000),),
)

SCALED_CASCADE = replace(
    LINEAR_CASCADE,
    name="scaled_cascade",
    summary="net1's output × 0.5 on its way to net2: an operation in between cuts nothing",
    trainings=(_reaching_targets(3000),),
)

SEVERED_CASCADE = replace(
    LINEAR_CASCADE,
    name="severed_cascade",
    summary="the value goes through a host array: nothing of loss2 returns to net1",
    variants={
        "-": Variant(
            networks=BOTH,
            flow={"loss1": ("net1",), "loss2": ("net2",)},
            impossible={
                "boundary_split": "the graph is severed: no cotangent crosses the boundary",
                "torch/functional": "inside torch.func.vjp a tensor has no storage for NumPy",
                "torch/compile": "what comes back from the host is a new leaf: no graph holds it",
            },
        )
    },
    trainings=(
        _reaching_targets(3000),
        Training(
            "loss2_alone",
            (Segment(3000),),
            losses=("loss2",),
            reaches={"net2": (1.0, 0.03)},
            unmoved=("net1",),
        ),
    ),
)


def _three_parameters(*, channels: int, **_: Any) -> Parameters:
    """Return the parameters of encoder, decoder and segmenter, all of 2-D convolutions."""
    c = channels
    return {
        **conv("net1.conv1", 1, c, (3, 3), relu=True),
        **conv("net1.conv2", c, 4 * c, (4, 4), relu=False),
        **conv_transpose("net2.conv1", 4 * c, c, (4, 4), relu=True),
        **conv_transpose("net2.conv2", c, 1, (3, 3), relu=False),
        **conv("net3.conv1", 1, 4 * c, (3, 3), relu=True),
        **conv("net3.conv2", 4 * c, 8 * c, (4, 4), relu=True),
        **conv("net3.conv3", 8 * c, 2, (3, 3), relu=False),
    }


def _three_data(rng: Rng, *, channels: int, batch: int, side: int, **_: Any) -> dict[str, Array]:
    """Return images, targets of the encoder's output, and random masks for the segmenter."""
    out = side - 7
    return {
        "x": rng.uniform(size=(batch, 1, side, side)),
        "target1": rng.uniform(size=(batch, 4 * channels, side - 5, side - 5)),
        "target3": (rng.uniform(size=(batch, 2, out, out)) > 0.5).astype(np.float64),
    }


THREE = ("net1", "net2", "net3")

THREE_NETWORK_CASCADE = Scenario(
    name="three_network_cascade",
    family="cascade",
    summary="encoder, decoder, segmenter: a loss on the first and on the last",
    sizes={
        "seed": {"channels": 5, "batch": 1, "side": 56},
        "small": {"channels": 5, "batch": 1, "side": 24},
        "medium": {"channels": 5, "batch": 2, "side": 56},
        "large": {"channels": 5, "batch": 32, "side": 56},
        "gpu": {"channels": 10, "batch": 256, "side": 112},
    },
    structure=("channels",),
    parameters=_three_parameters,
    data=_three_data,
    layouts=dict.fromkeys(("x", "target1", "target3", *THREE), IMAGE),
    variants={
        "plain": Variant(networks=THREE, flow={"loss1": ("net1",), "loss3": THREE}),
        "stop_before_net2": Variant(
            networks=THREE,
            flow={"loss1": ("net1",), "loss3": ("net2", "net3")},
            arguments={"stop_before_net2": True},
        ),
        "frozen_net3": Variant(
            networks=THREE, flow={"loss1": ("net1",), "loss3": THREE}, frozen=("net3",)
        ),
        "frozen_net1": Variant(
            networks=THREE, flow={"loss1": ("net1",), "loss3": THREE}, frozen=("net1",)
        ),
    },
    optimizer=Optimizer("sgd", {"lr": 1e-3}, "together"),
    seeds={
        (variant, size): seed
        for variant in ("plain", "stop_before_net2", "frozen_net3", "frozen_net1")
        for size, seed in {"seed": 224, "medium": 1}.items()
    },
    freeze_size="small",  # its images are smaller than those of `seed`
    expected=NOTHING_LEFT_OF_LOSS1,
)


def _stacked_parameters(*, width: int, depths: list[int], **_: Any) -> Parameters:
    """Return the parameters of networks in series, of as many Linear layers as ``depths`` says."""
    return {
        name: parameter
        for i, depth in enumerate(depths, start=1)
        for j in range(1, depth + 1)
        for name, parameter in linear(f"net{i}.linear{j}", width, width, relu=True).items()
    }


def _stacked_data(
    rng: Rng, *, width: int, batch: int, depths: list[int], **_: Any
) -> dict[str, Array]:
    """Return the input of the first network, and a target for the output of each."""
    names = ["x", *(f"target{i}" for i in range(1, len(depths) + 1))]
    return {name: rng.standard_normal((batch, width)) for name in names}


def _stacked_variant(depths: list[int], frozen: tuple[str, ...] = ()) -> Variant:
    """Return the variant with networks of these depths and a loss after each."""
    networks = tuple(f"net{i}" for i in range(1, len(depths) + 1))
    flow = {f"loss{i}": networks[:i] for i in range(1, len(depths) + 1)}
    return Variant(networks=networks, flow=flow, frozen=frozen, arguments={"depths": depths})


STACKED_CASCADE = Scenario(
    name="stacked_cascade",
    family="cascade",
    summary="deep supervision: N separate passes walk N(N+1)/2 stages, the summed loss N",
    sizes={
        "seed": {"width": 8, "batch": 4},
        "small": {"width": 256, "batch": 96},
        "medium": {"width": 512, "batch": 192},
        "large": {"width": 1024, "batch": 512},
        "large_batch32": {"width": 1024, "batch": 32},
        "gpu": {"width": 4096, "batch": 4096},
    },
    structure=("width",),
    parameters=_stacked_parameters,
    data=_stacked_data,
    variants={
        **{f"n{n}": _stacked_variant([3] * n) for n in (2, 4, 8, 16)},
        "front4": _stacked_variant([12, 3]),
        "back4": _stacked_variant([3, 12]),
        "frozen_net1": _stacked_variant([3, 3], frozen=("net1",)),
        "frozen_net2": _stacked_variant([3, 3], frozen=("net2",)),
    },
    optimizer=Optimizer("adam", {"lr": 1e-3}, "together"),
    seeds={
        **{(v, "small"): 215 for v in ("n2", "frozen_net1", "frozen_net2")},
        **{(v, "large"): 2 for v in ("n2", "frozen_net1", "frozen_net2")},
        ("n4", "medium"): 810,
        ("n4", "large"): 14,
        ("front4", "medium"): 600,
        ("front4", "large"): 19,
        ("back4", "medium"): 92,
        ("back4", "large"): 18,
        ("n16", "large_batch32"): 239,
        ("front4", "large_batch32"): 2,
        ("back4", "large_batch32"): 10,
    },
    kinked=(
        *((variant, "small") for variant in ("n4", "n8", "n16", "front4", "back4")),
        *((variant, size) for variant in ("n8", "n16") for size in ("medium", "large")),
        ("n16", "large_batch32"),  # the best seed leaves 1.0e-6, within the rounding of 48 layers
    ),
    expected=NOTHING_LEFT_OF_LOSS1,
)

SCENARIOS = (
    CONV_CASCADE,
    CONV_CASCADE_SINGLE,
    LINEAR_CASCADE,
    SCALED_CASCADE,
    SEVERED_CASCADE,
    THREE_NETWORK_CASCADE,
    STACKED_CASCADE,
)
