"""Specify networks that are no plain series: a fork, a rounding on the way, a teacher beside."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.scenarios.layouts import IMAGE
from benchmarks.scenarios.partial_freeze import (
    CLASSES,
    FROZEN_IN_CONSTRUCTOR,
    LENET_SIZES,
    convolutions,
    images,
)
from benchmarks.scenarios.spec import (
    Follower,
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
VALUES = 4  # numbers that the second head predicts


def _fork_parameters(*, width: int, **_: Any) -> Parameters:
    """Return the parameters of LeNet's convolutions and of two Linear layers on their output.

    The convolutions start as those of `frozen_in_constructor`.
    """
    backbone = {
        name.replace("features", "backbone", 1): replace(tensor, draw_as=name)
        for name, tensor in convolutions("features", 1, width).items()
    }
    return {
        **backbone,
        **linear("heads.classes", 400 * width, CLASSES, relu=False),
        **linear("heads.values", 400 * width, VALUES, relu=False),
    }


def _fork_data(rng: Rng, *, batch: int, **_: Any) -> dict[str, Any]:
    """Return images of one channel, a random label for each, and four numbers for each."""
    return {
        **images(rng, batch=batch, channels=1, side=32),
        "values": rng.standard_normal((batch, VALUES)),
    }


FORK = ("backbone", "heads.classes", "heads.values")


def _fork(*frozen: str) -> Variant:
    """Return the variant in which these networks are frozen."""
    flow = {"loss1": (FORK[0], FORK[1]), "loss2": (FORK[0], FORK[2])}
    return Variant(FORK, flow, frozen=frozen)


SHARED_BACKBONE = Scenario(
    name="shared_backbone",
    family="branches",
    summary="one backbone, two heads with a loss each: a fork, not a series",
    sizes=LENET_SIZES,
    structure=("width",),
    parameters=_fork_parameters,
    data=_fork_data,
    layouts={"x": IMAGE, "backbone": IMAGE},
    variants={
        "plain": _fork(),
        "frozen_head": _fork("heads.values"),
        "frozen_backbone": _fork("backbone"),
    },
    optimizer=Optimizer("sgd", {"lr": 1e-2}, "together"),
    trainings=(
        Training("both_heads", (Segment(25, ("plain",)),)),
        Training(
            "through_a_frozen_head", (Segment(25, ("frozen_head",)),), unmoved=("heads.values",)
        ),
        Training(
            "heads_on_a_frozen_backbone",
            (Segment(25, ("frozen_backbone",)),),
            unmoved=("backbone",),
        ),
    ),
    draw_as=FROZEN_IN_CONSTRUCTOR.name,
    seeds={
        (variant, size): seed
        for variant in ("plain", "frozen_head", "frozen_backbone")
        for (_, size), seed in FROZEN_IN_CONSTRUCTOR.seeds.items()
    },
)

ROUNDED = ("encoder", "codebook", "decoder")


def _rounded_parameters(
    *, inputs: int, hidden: int, width: int, codes: int, **_: Any
) -> Parameters:
    """Return the parameters of an encoder, of a table of codes, and of a decoder.

    The codes are drawn as widely as what the encoder returns: with a variance of 1.
    """
    return {
        **linear("encoder.linear1", inputs, hidden, relu=True),
        **linear("encoder.linear2", hidden, width, relu=False),
        "codebook.table.weight": Parameter((codes, width), math.sqrt(3.0)),
        **linear("decoder.linear1", width, hidden, relu=True),
        **linear("decoder.linear2", hidden, inputs, relu=False),
    }


def _rounded_data(rng: Rng, *, batch: int, inputs: int, **_: Any) -> dict[str, Any]:
    """Return random vectors [batch, inputs], which are their own targets."""
    return {"x": rng.standard_normal((batch, inputs))}


def _rounding(inputs: int, hidden: int, width: int, codes: int, batch: int) -> dict[str, int]:
    """Return the numbers of a size of `straight_through`, by name."""
    return {"inputs": inputs, "hidden": hidden, "width": width, "codes": codes, "batch": batch}


STRAIGHT_THROUGH = Scenario(
    name="straight_through",
    family="branches",
    summary="values rounded to the nearest of some codes: a gradient passes straight through",
    sizes={
        "seed": _rounding(16, 64, 8, 32, 16),
        "small": _rounding(128, 512, 32, 128, 128),
        "medium": _rounding(512, 1024, 64, 512, 512),
        "large": _rounding(1024, 2048, 128, 1024, 2048),
        "gpu": _rounding(4096, 16384, 256, 8192, 8192),
    },
    structure=("inputs", "hidden", "width", "codes"),
    parameters=_rounded_parameters,
    data=_rounded_data,
    variants={
        "-": Variant(
            ROUNDED,
            {
                "loss_codebook": ("codebook",),
                "loss_commitment": ("encoder",),
                "loss_reconstruction": ("encoder", "decoder"),
            },
            estimated={"loss_reconstruction": ("encoder",)},
        ),
    },
    optimizer=Optimizer("adam", {"lr": 1e-3}, "together"),
    trainings=(Training("codes_and_networks", (Segment(25),)),),
    seeds={("-", "small"): 19, ("-", "medium"): 7, ("-", "large"): 9},
)

TAUGHT = ("teacher", "student", "probe")


def _encoder_parameters(network: str, channels: int) -> Parameters:
    """Return the parameters of two convolutions, a BatchNorm and a Linear layer.

    A bias in front of the BatchNorm would be taken out by it, so that there is none.
    """
    return {
        **conv(f"{network}.conv1", 3, channels, (3, 3), relu=True, bias=False),
        **batch_norm(f"{network}.norm", channels),
        **conv(f"{network}.conv2", channels, 2 * channels, (3, 3), relu=True),
        **linear(f"{network}.linear", 2 * channels, channels, relu=False),
    }


def _as_the_students(tensors: Parameters) -> Parameters:
    """Return these tensors of the student, and equal ones of the teacher, a copy at first."""
    copies = {
        name.replace("student", "teacher", 1): replace(tensor, draw_as=name)
        for name, tensor in tensors.items()
    }
    return {**copies, **tensors}


def _taught_parameters(*, channels: int, **_: Any) -> Parameters:
    """Return the parameters of teacher, student and a probe on the student's output."""
    encoders = _as_the_students(_encoder_parameters("student", channels))
    return {**encoders, **linear("probe.linear", channels, CLASSES, relu=False)}


def _taught_buffers(*, channels: int, **_: Any) -> Parameters:
    """Return the running statistics of both BatchNorms."""
    return _as_the_students(batch_statistics("student.norm", channels))


def _views(rng: Rng, *, batch: int, side: int, **_: Any) -> dict[str, Any]:
    """Return random images with labels, and another view of each: with noise upon it."""
    data = images(rng, batch=batch, channels=3, side=side)
    return {**data, "other": data["x"] + 0.3 * rng.standard_normal(data["x"].shape)}


AVERAGE = Follower("teacher", "student", 0.01)

MOMENTUM_TEACHER = Scenario(
    name="momentum_teacher",
    family="branches",
    summary="a student held to a teacher that is the moving average of the student",
    sizes={
        "seed": {"channels": 8, "batch": 8, "side": 8},
        "small": {"channels": 8, "batch": 16, "side": 12},
        "medium": {"channels": 32, "batch": 16, "side": 16},
        "large": {"channels": 64, "batch": 48, "side": 16},
        "gpu": {"channels": 256, "batch": 256, "side": 64},
    },
    structure=("channels",),
    parameters=_taught_parameters,
    data=_views,
    layouts={"x": IMAGE, "other": IMAGE},
    buffers=_taught_buffers,
    variants={
        "-": Variant(
            TAUGHT,
            {"loss_consistency": ("teacher", "student"), "loss_probe": ("student", "probe")},
            frozen=("teacher",),
            impossible={
                "torch/functional": "torch.func.vjp refuses a BatchNorm in train mode, "
                "which changes its running statistics in place",
                "torch/reforward": "a forward pass for each loss moves the running statistics as "
                "often",
            },
        ),
    },
    optimizer=Optimizer("sgd", {"lr": 0.05, "momentum": 0.9}, "together"),
    seeds={("-", "small"): 208, ("-", "medium"): 18, ("-", "large"): 3},
    trainings=(
        Training("average", (Segment(25, follower=AVERAGE),)),
        Training("buffers_forgotten", (Segment(25, follower=replace(AVERAGE, buffers=False)),)),
    ),
)

SCENARIOS = (SHARED_BACKBONE, STRAIGHT_THROUGH, MOMENTUM_TEACHER)
