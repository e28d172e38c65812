"""Describe in words the scenarios that freeze a part, and those of several learning rates."""

from __future__ import annotations

from benchmarks.evaluation.description import (
    COLOUR_IMAGES,
    CONV_LOSSES,
    CONV_STAGE,
    CROSS_ENTROPY,
    GRAY_IMAGES,
    LENET_CLASSIFIER,
    LENET_COLOUR_FEATURES,
    LENET_FEATURES,
    LENET_HIDDEN,
    Description,
)

FREEZES = {
    "frozen_second_network": Description(
        shows=(
            "A frozen network passes gradients on: net1 learns from loss2 through net2.",
            "Adam over all that requires gradients is Adam over net1 alone.",
        ),
        networks={"net1": CONV_STAGE, "net2": CONV_STAGE},
        losses=CONV_LOSSES,
        data="The weights and data of `conv_cascade`.",
    ),
    "attention_on_frozen_backbone": Description(
        shows=(
            "Frozen BatchNorm layers still move their running statistics in train mode, and keep "
            "them in eval mode.",
            "At γ = 0 the gradients of the convolutions f, g and h are there and exactly 0; at "
            "γ = 0.5 they are not 0.",
        ),
        networks={
            "backbone": "Conv(3→C, 3×3) and two residual blocks Conv(C→C, 3×3) · BatchNorm · ReLU "
            "· Conv(C→C, 3×3) · BatchNorm, input added · ReLU, C = `channels`",
            "attention": "self-attention over the pixels, y = x + γ · Σⱼ h(x)ⱼ "
            "softmaxⱼ(f(x)ᵢ · g(x)ⱼ); f and g are 1×1 convolutions C→C/4, h is C→C",
            "classifier": "average over the image · Linear C→10",
        },
        losses=CROSS_ENTROPY,
        data="Normal 3×7×7 images with random labels.",
        variants={
            "gamma0": "γ = 0, BatchNorm in eval mode",
            "gamma05": "γ = 0.5, BatchNorm in eval mode",
            "batch_statistics": "γ = 0.5, BatchNorm in train mode",
        },
    ),
    "frozen_prefix": Description(
        shows=(
            "Freezing the first 16 tensors in the order of `parameters()` freezes 8 convolutions, "
            "as each has a weight and a bias.",
            "In JAX that order does not exist (nnx sorts by name, conv10 before conv2): what is "
            "frozen is chosen by name.",
        ),
        networks={
            "front": "8 × (Conv(3×3) · ReLU) with c, c, pool, 2c, 2c, pool, 4c, 4c, 4c, pool and "
            "4c channels, c = `channels`",
            "back": "2 × (Conv(4c→4c, 3×3) · ReLU) · pool · Linear 16c→10",
        },
        losses=CROSS_ENTROPY,
        data=COLOUR_IMAGES,
    ),
    "frozen_in_constructor": Description(
        shows=(
            "A module can freeze its own layers while it is being built, and nothing outside "
            "needs to know.",
        ),
        networks={"features": LENET_FEATURES, "classifier": LENET_CLASSIFIER},
        losses=CROSS_ENTROPY,
        data=GRAY_IMAGES,
    ),
    "only_new_layer": Description(
        shows=(
            "Everything but the last layer is loaded from a pretrained state, by name and shape. "
            "What does not fit is reported, never silently dropped.",
            "Only the new layer's weight and bias stand in the optimizer, so the L2 moves nothing "
            "else.",
        ),
        networks={
            "features": LENET_FEATURES,
            "hidden": LENET_HIDDEN,
            "last": "Linear 84→10",
        },
        losses=CROSS_ENTROPY,
        data=GRAY_IMAGES,
    ),
    "staged_unfreeze": Description(
        shows=(
            "The convolutions join the running optimizer after 25 steps. The state of what was "
            "trained before lives on; that of the convolutions begins at 0.",
        ),
        networks={"features": LENET_FEATURES, "classifier": LENET_CLASSIFIER},
        losses=CROSS_ENTROPY,
        data=GRAY_IMAGES,
        variants={
            "phase1": "the convolutions keep still",
            "phase2": "everything is trained",
        },
    ),
}

PARAMETER_GROUPS = {
    "lenet_module_rates": Description(
        shows=("Every parameter learns at the rate of its module, alike in both frameworks.",),
        networks={
            "features": LENET_COLOUR_FEATURES,
            "classifier": LENET_CLASSIFIER,
        },
        losses=CROSS_ENTROPY,
        data=COLOUR_IMAGES,
    ),
    "lenet_layer_rates": Description(
        shows=(
            "A learning rate for single layers. Chosen by its place in a `Sequential`, a layer may "
            "turn out to be a ReLU, and the Linear that was meant silently keeps the common rate; "
            "here a selection any part of which holds no parameter is an error that names that "
            "part.",
        ),
        networks={
            "features": LENET_COLOUR_FEATURES,
            "classifier": LENET_CLASSIFIER,
        },
        losses=CROSS_ENTROPY,
        data="The weights and data of `lenet_module_rates`.",
    ),
    "rate_decay": Description(
        shows=(
            "Lowering the rate in place keeps momentum and moments, a new optimizer starts without "
            "them. The two end at different weights, and each agrees across the frameworks.",
            "The rate of one parameter group can fall while that of the other stays.",
        ),
        networks={
            "net": "Linear 16→`hidden` · ReLU · Linear `hidden`→`hidden` · ReLU · Linear "
            "`hidden`→4",
            "features": LENET_COLOUR_FEATURES,
            "classifier": LENET_CLASSIFIER,
        },
        losses={"loss": "mean squared error; for LeNet cross-entropy over 10 classes"},
        data="Normal inputs and targets; for LeNet normal 3×32×32 images with random labels, "
        "`images` of them.",
        variants={
            "sgd": "SGD with momentum",
            "adam": "Adam",
            "one_group": "LeNet, of whose two rates only the classifier's falls",
        },
    ),
}
