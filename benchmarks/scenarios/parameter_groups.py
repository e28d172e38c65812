"""Specify the parameter groups: several learning rates, or one that changes in training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.scenarios.layouts import IMAGE
from benchmarks.scenarios.partial_freeze import (
    LENET,
    LENET_SIZES,
    classifier,
    convolutions,
    images,
)
from benchmarks.scenarios.spec import (
    Array,
    Optimizer,
    Parameters,
    Scenario,
    Segment,
    Training,
    Variant,
    linear,
)

Rng = np.random.Generator


def _lenet_parameters(*, width: int, **_: Any) -> Parameters:
    """Return the parameters of a LeNet for images of three channels."""
    return {**convolutions("features", 3, width), **classifier("classifier", width)}


def _lenet_data(rng: Rng, *, batch: int, **_: Any) -> dict[str, Any]:
    """Return images of three channels with labels."""
    return images(rng, batch=batch, channels=3, side=32)


LENET_MODULE_RATES = Scenario(
    name="lenet_module_rates",
    family="parameter_groups",
    summary="LeNet's features learn a thousand times slower than its classifier",
    sizes=LENET_SIZES,
    structure=("width",),
    parameters=_lenet_parameters,
    data=_lenet_data,
    layouts={"x": IMAGE, "features": IMAGE},
    variants={"-": Variant(LENET, {"loss": LENET})},
    optimizer=Optimizer(
        "sgd", {"lr": 1e-2}, "groups", rates={"features": 1e-5, "classifier": 1e-2}
    ),
    trainings=(Training("two_rates", (Segment(50),)),),
    seeds={("-", "seed"): 1, ("-", "small"): 69, ("-", "medium"): 108, ("-", "large"): 6},
)

LENET_LAYER_RATES = replace(
    LENET_MODULE_RATES,
    name="lenet_layer_rates",
    summary="the classifier's first and last Linear learn ten times faster than the rest",
    optimizer=Optimizer(
        "sgd",
        {"lr": 1e-3},
        "groups",
        rates={"classifier.linear1": 1e-2, "classifier.linear3": 1e-2},
    ),
    draw_as="lenet_module_rates",
)


def _decaying_parameters(*, hidden: int, width: int, lenet: bool, **_: Any) -> Parameters:
    """Return the parameters of three Linear layers, of 16 inputs and 4 outputs, or of LeNet."""
    if lenet:
        return _lenet_parameters(width=width)
    return {
        **linear("net.linear1", 16, hidden, relu=True),
        **linear("net.linear2", hidden, hidden, relu=True),
        **linear("net.linear3", hidden, 4, relu=False),
    }


def _decaying_data(rng: Rng, *, batch: int, images: int, lenet: bool, **_: Any) -> dict[str, Array]:
    """Return random inputs and random targets, for LeNet images with labels."""
    if lenet:
        return _lenet_data(rng, batch=images)
    return {"x": rng.standard_normal((batch, 16)), "target": rng.standard_normal((batch, 4))}


def _decayed(turn: str, *, renew: bool) -> Training:
    """Return a training of one variant whose rate falls to a tenth after half of the steps.

    In ``one_group`` it is the rate of the classifier alone. With ``renew`` a new optimizer begins
    there, and the state of the old one is lost.
    """
    only = ("classifier",) if turn == "one_group" else ()
    return Training(
        f"{turn}_state_{'lost' if renew else 'kept'}",
        (Segment(25, (turn,)), Segment(25, (turn,), rate=0.1, renew=renew, only=only)),
        steps_counted={"net": 25 if renew else 50} if turn == "adam" else {},
    )


NET = ("net",)
ADAM = Optimizer("adam", {"lr": 1e-3}, "together")

RATE_DECAY = Scenario(
    name="rate_decay",
    family="parameter_groups",
    summary="the rate falls to a tenth: in place, state kept, or by a new optimizer, state lost",
    sizes={
        size: {**perceptron, "width": LENET_SIZES[size]["width"], "images": images}
        for size, perceptron, images in (
            ("seed", {"hidden": 32, "batch": 8}, 8),
            ("small", {"hidden": 256, "batch": 256}, 16),
            ("medium", {"hidden": 1024, "batch": 512}, 128),
            ("large", {"hidden": 4096, "batch": 512}, 256),
            ("gpu", {"hidden": 16384, "batch": 8192}, 4096),
        )
    },
    structure=("hidden", "width"),
    parameters=_decaying_parameters,
    data=_decaying_data,
    layouts={"x": IMAGE, "features": IMAGE},  # of `one_group`; those of a perceptron have no space
    variants={
        "sgd": Variant(
            NET,
            {"loss": NET},
            arguments={"lenet": False},
            optimizer=Optimizer("sgd", {"lr": 0.1, "momentum": 0.9}, "together"),
        ),
        "adam": Variant(NET, {"loss": NET}, arguments={"lenet": False}, optimizer=ADAM),
        # LeNet with a rate for each network, of which one decays
        "one_group": Variant(
            LENET,
            {"loss": LENET},
            arguments={"lenet": True},
            optimizer=Optimizer(
                "sgd",
                {"lr": 1e-2, "momentum": 0.9},
                "groups",
                rates={"features": 1e-5, "classifier": 1e-2},
            ),
        ),
    },
    optimizer=ADAM,
    trainings=tuple(
        _decayed(turn, renew=renew)
        for turn in ("sgd", "adam", "one_group")
        for renew in (False, True)
    ),
    seeds={
        (turn, size): seed
        for turn, seeds in {
            "sgd": {"small": 263, "medium": 139, "large": 6},
            "adam": {"small": 263, "medium": 139, "large": 6},
            "one_group": {"seed": 5, "small": 30, "medium": 157, "large": 6},
        }.items()
        for size, seed in seeds.items()
    },
)

SCENARIOS = (LENET_MODULE_RATES, LENET_LAYER_RATES, RATE_DECAY)
