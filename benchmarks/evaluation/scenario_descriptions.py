"""Describe every scenario of the catalogue in words, for ``docs/scenarios.md``.

Sizes, flows, what is frozen, optimizers and seeds are data of the specs; here stands only the text
that no measurement and no check reads. ``make docs`` makes the page from both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Description:
    """Describe one scenario to a reader who wants to know what is computed and why.

    Attributes:
        shows: The claims that the scenario was chosen for, a sentence each.
        networks: The layers of each network, by the network's name.
        losses: The formula of each loss in words, by the loss's name.
        data: The inputs and targets.
        links: The operation on a value's way into a network, by ``network``, or by
            ``variant/network`` where only one variant has it.
        variants: How each variant differs from the others, by its name.
    """

    shows: tuple[str, ...]
    networks: Mapping[str, str]
    losses: Mapping[str, str]
    data: str
    links: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)


CONV_STAGE = "ConvTranspose3d(1→1, kernel 2) · InstanceNorm3d without affine · ReLU"
LENET_FEATURES = "Conv(1→6w, 5×5) · ReLU · pool · Conv(6w→16w, 5×5) · ReLU · pool, w = `width`"
LENET_COLOUR_FEATURES = LENET_FEATURES.replace("1→6w", "3→6w", 1)
LENET_HIDDEN = "Linear 400w→120 · ReLU · Linear 120→84 · ReLU, w = `width`"
LENET_CLASSIFIER = "Linear 400w→120 · ReLU · Linear 120→84 · ReLU · Linear 84→10, w = `width`"
CROSS_ENTROPY = {"loss": "cross-entropy over 10 classes"}
GRAY_IMAGES = "Normal 1×32×32 images with random labels."
COLOUR_IMAGES = "Normal 3×32×32 images with random labels."
LINEAR_PAIR = {"net1": "Linear(`width`→`width`)", "net2": "Linear(`width`→`width`)"}
LINEAR_LOSSES = {
    "loss1": "mean squared error of net1's output to 0.5",
    "loss2": "mean squared error of net2's output to 1",
}
LINEAR_DATA = "Every input is 0.2; the targets are constant too."

CASCADES = {
    "conv_cascade": Description(
        shows=(
            "The gradient of loss1 + loss2 is the sum of their gradients; loss2 reaches back into "
            "net1, loss1 never ahead into net2.",
            "One Adam over two parameter groups, two Adams, and one Adam over all parameters take "
            "the same steps.",
            "The normalisation removes what a bias adds, so both biases have a gradient of 0 by "
            "mathematics and rounding noise in practice.",
        ),
        networks={"net1": CONV_STAGE, "net2": CONV_STAGE},
        losses={
            "loss1": "smooth L1 (β = 1) of net1's output to 1",
            "loss2": "smooth L1 (β = 1) of net2's output to 1",
        },
        data="A volume with edges of `side`: ones at size `seed`, normal noise at larger sizes. "
        "Each stage makes every edge longer by one.",
    ),
    "conv_cascade_single": Description(
        shows=(
            "One module that returns both outputs and two modules in series have the same "
            "gradients: bit for bit in torch, within 2 ulp in JAX.",
        ),
        networks={"net.stage1": CONV_STAGE, "net.stage2": CONV_STAGE},
        losses={
            "loss1": "smooth L1 (β = 1) of the first output to 1",
            "loss2": "smooth L1 (β = 1) of the second output to 1",
        },
        data="The weights and data of `conv_cascade`.",
        links={"net.stage2": "inside one module"},
    ),
    "linear_cascade": Description(
        shows=(
            "Trained by the sum of both losses, each network's output reaches its own target, in "
            "both frameworks.",
            "It is the smallest cascade: its products, saved tensors and optimizer bytes are "
            "worked out by hand and compared with what is counted.",
        ),
        networks=LINEAR_PAIR,
        losses=LINEAR_LOSSES,
        data=LINEAR_DATA,
    ),
    "scaled_cascade": Description(
        shows=("An operation between two networks does not cut the graph: loss2 reaches net1.",),
        networks=LINEAR_PAIR,
        losses=LINEAR_LOSSES,
        data=LINEAR_DATA,
        links={"net2": "× 0.5"},
    ),
    "severed_cascade": Description(
        shows=(
            "A NumPy round trip cuts the graph even if `requires_grad` is switched on again: "
            "trained by loss2 alone net1 never moves, while net2's output still reaches its "
            "target.",
            "In JAX `stop_gradient` is the equal. A NumPy round trip inside `jit` raises an "
            "error, and a test names it.",
        ),
        networks=LINEAR_PAIR,
        losses=LINEAR_LOSSES,
        data=LINEAR_DATA,
        links={"net2": "NumPy and back, × 0.5"},
    ),
    "three_network_cascade": Description(
        shows=(
            "Three ways to keep a loss from a network: stop the gradient on the way, freeze the "
            "network behind, freeze the network in front.",
            "With net1 frozen loss1 can change nothing. Asking for its gradient raises in torch "
            "and returns nothing in JAX.",
        ),
        networks={
            "net1": "encoder: Conv(1→c, 3×3) · ReLU · Conv(c→4c, 4×4), c = `channels`",
            "net2": "decoder: ConvTranspose(4c→c, 4×4) · ReLU · ConvTranspose(c→1, 3×3) · Sigmoid",
            "net3": "segmenter: Conv(1→4c, 3×3) · ReLU · Conv(4c→8c, 4×4) · ReLU · "
            "Conv(8c→2, 3×3) · Sigmoid",
        },
        losses={
            "loss1": "mean squared error of net1's output to uniform noise",
            "loss3": "binary cross-entropy of net3's output to random zeros and ones",
        },
        data="Uniform 1-channel images with edges of `side`.",
        links={"stop_before_net2/net2": "detach"},
        variants={
            "plain": "nothing is stopped or frozen",
            "stop_before_net2": "loss3 trains net2 and net3, and no longer net1",
            "frozen_net3": "net3 keeps still; loss3 trains the two in front of it, through it",
            "frozen_net1": "net1 keeps still, and nothing needs to be differentiated there",
        },
    ),
    "stacked_cascade": Description(
        shows=(
            "The cost of deep supervision: N separate backward passes walk N(N+1)/2 networks, one "
            "pass of the summed loss walks N. The time is measured beside the counted FLOPs.",
            "What a freeze saves depends on where it is: a frozen network in front saves its whole "
            "backward pass, a frozen one behind only the products for its weights.",
        ),
        networks={"net1 … netN": "3 × (Linear(`width`→`width`) · ReLU) each"},
        losses={"loss1 … lossN": "mean squared error of each network's output to normal noise"},
        data="Normal noise, for the input and for each target.",
        variants={
            "n2": "2 networks",
            "n4": "4 networks",
            "n8": "8 networks",
            "n16": "16 networks",
            "front4": "2 networks of 12 and 3 layers",
            "back4": "2 networks of 3 and 12 layers",
            "frozen_net1": "2 networks, the front one frozen",
            "frozen_net2": "2 networks, the back one frozen",
        },
    ),
}

ALTERNATIONS = {
    "two_player": Description(
        shows=(
            "In A's turn a gradient of B is computed on the way to A, and B must not move by it.",
            "A steps through the B that has already stepped: one round is worked out by hand.",
            "Every recipe for the resting player trains alike, whoever computes its gradients.",
        ),
        networks={"A": "Linear(1→`hidden`)", "B": "Linear(`hidden`→1)"},
        losses={
            "loss_b": "mean squared error of B's output to 1, in B's turn",
            "loss_a": "mean squared error of B's output to 1, in A's turn",
        },
        data="Normal numbers.",
        variants={
            "turn_b": "B's turn: A's output is an input like any other",
            "turn_a": "A's turn: B is only passed through",
        },
    ),
    "gan": Description(
        shows=(
            "In D's turn three ways to leave G alone (detach its output, generate without "
            "gradients, or let only the optimizer leave it out) make the same update at different "
            "cost.",
            "In G's turn D's gradients can be computed and thrown away, or not be computed.",
        ),
        networks={
            "G": "generator: Linear `noise`→`hidden` · ReLU · Linear `hidden`→`hidden` · ReLU · "
            "Linear `hidden`→`pixels` · Tanh",
            "D": "discriminator: Linear `pixels`→`hidden` · LeakyReLU(0.2) · Linear "
            "`hidden`→`hidden` · LeakyReLU(0.2) · Linear `hidden`→1 · Sigmoid",
        },
        losses={
            "loss_real": "binary cross-entropy of D's judgement of the real batch to 1",
            "loss_fake": "binary cross-entropy of D's judgement of G's batch to 0",
            "loss_g": "binary cross-entropy of D's judgement of G's batch to 1",
        },
        data="Normal noise for G; the real batch is the tanh of normal noise.",
        links={"turn_d/D": "beside a real batch"},
        variants={"turn_d": "D's turn, G keeps still", "turn_g": "G's turn, D keeps still"},
    ),
    "autoencoder": Description(
        shows=(
            "After joint steps only the decoder is trained on. The encoder can be kept still by "
            "the optimizer alone, by `requires_grad`, or by running it without gradients.",
            "The decoder's Adam goes on with the state of the joint steps.",
        ),
        networks={
            "encoder": "Linear `messages`→`hidden` · LeakyReLU(0.01) · Linear `hidden`→`symbols`, "
            "each codeword scaled to unit power per symbol",
            "decoder": "Linear `symbols`→`hidden` · LeakyReLU(0.01) · Linear `hidden`→`messages`",
        },
        losses={"loss": "cross-entropy over the messages"},
        data="One-hot messages in turn. The noise of the channel is drawn once, as data: normal, "
        "at Eb/N0 = 7 dB and a rate of 4/7.",
        links={"decoder": "+ noise"},
        variants={
            "joint": "encoder and decoder are trained together",
            "decoder_only": "the encoder keeps still",
        },
    ),
}

FREEZES = {
    "frozen_second_network": Description(
        shows=(
            "A frozen network passes gradients on: net1 learns from loss2 through net2.",
            "Adam over all that requires gradients is Adam over net1 alone.",
        ),
        networks={"net1": CONV_STAGE, "net2": CONV_STAGE},
        losses={
            "loss1": "smooth L1 (β = 1) of net1's output to 1",
            "loss2": "smooth L1 (β = 1) of net2's output to 1",
        },
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
            "here a selection that holds no parameter is an error that names it.",
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
        ),
        networks={
            "net": "Linear 16→`hidden` · ReLU · Linear `hidden`→`hidden` · ReLU · Linear `hidden`→4"
        },
        losses={"loss": "mean squared error"},
        data="Normal inputs and targets.",
        variants={"sgd": "SGD with momentum", "adam": "Adam"},
    ),
}

DESCRIPTIONS: dict[str, Description] = {**CASCADES, **ALTERNATIONS, **FREEZES, **PARAMETER_GROUPS}
