"""Describe every scenario of the catalogue in words, for ``docs/scenarios.md``.

Sizes, flows, what is frozen, optimizers and seeds are data of the specs; here stands only the text
that no measurement and no check reads. ``make docs`` makes the page from both.
"""

from __future__ import annotations

from benchmarks.evaluation.branch_descriptions import BRANCHES
from benchmarks.evaluation.description import (
    CONV_LOSSES,
    CONV_STAGE,
    LINEAR_DATA,
    LINEAR_LOSSES,
    LINEAR_PAIR,
    Description,
)
from benchmarks.evaluation.freeze_descriptions import FREEZES, PARAMETER_GROUPS
from benchmarks.evaluation.transformer_descriptions import TRANSFORMERS

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
        losses=CONV_LOSSES,
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
            "One forward pass of A can serve both turns, as A does not move in B's: the same "
            "steps. B's gradients of both turns add up until they are cleared.",
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
            "shared_forward": "the losses of both turns over one forward pass of A, whose output "
            "is detached for B's",
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
        data="Normal noise for G, in two draws; the real batch is the tanh of normal noise.",
        links={"turn_d/D": "beside a real batch", "turn_g_fresh/G": "the second draw"},
        variants={
            "turn_d": "D's turn, G keeps still",
            "turn_g": "G's turn on the noise of D's turn, D keeps still",
            "turn_g_fresh": "G's turn on a fresh draw of noise",
        },
    ),
    "autoencoder": Description(
        shows=(
            "After joint steps only the decoder is trained on. The encoder can be kept still by "
            "the optimizer alone, by `requires_grad`, or by running it without gradients.",
            "The decoder's Adam goes on with the state of the joint steps, or is a second one that "
            "begins without: 25 steps later the two are 16 % of the way apart (`plain_…`).",
        ),
        networks={
            "encoder": "Linear `messages`→`hidden` · LeakyReLU(0.01) · Linear `hidden`→`symbols`, "
            "each codeword scaled to unit power per symbol, except in `plain_…`",
            "decoder": "Linear `symbols`→`hidden` · LeakyReLU(0.01) · Linear `hidden`→`messages`",
        },
        losses={"loss": "cross-entropy over the messages"},
        data="One-hot messages in turn. The noise of the channel is drawn once, as data: normal, "
        "at Eb/N0 = 7 dB and a rate of 4/7.",
        links={"decoder": "+ noise"},
        variants={
            "joint": "encoder and decoder are trained together, codewords of unit power",
            "decoder_only": "the encoder keeps still, codewords of unit power",
            "plain_joint": "trained together, codewords as the encoder makes them",
            "plain_decoder": "the encoder keeps still, codewords as the encoder makes them",
        },
    ),
}

DESCRIPTIONS: dict[str, Description] = {
    **CASCADES,
    **ALTERNATIONS,
    **FREEZES,
    **PARAMETER_GROUPS,
    **TRANSFORMERS,
    **BRANCHES,
}
