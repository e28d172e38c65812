"""Define what is said about a scenario in words, and the words that several scenarios share."""

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
        drawings: Variant → a drawing of its networks, where they are no series.
    """

    shows: tuple[str, ...]
    networks: Mapping[str, str]
    losses: Mapping[str, str]
    data: str
    links: Mapping[str, str] = field(default_factory=dict)
    variants: Mapping[str, str] = field(default_factory=dict)
    drawings: Mapping[str, str] = field(default_factory=dict)


CONV_STAGE = "ConvTranspose3d(1→1, kernel 2) · InstanceNorm3d without affine · ReLU"
LENET_FEATURES = "Conv(1→6w, 5×5) · ReLU · pool · Conv(6w→16w, 5×5) · ReLU · pool, w = `width`"
LENET_COLOUR_FEATURES = LENET_FEATURES.replace("1→6w", "3→6w", 1)
LENET_HIDDEN = "Linear 400w→120 · ReLU · Linear 120→84 · ReLU, w = `width`"
LENET_CLASSIFIER = "Linear 400w→120 · ReLU · Linear 120→84 · ReLU · Linear 84→10, w = `width`"
CROSS_ENTROPY = {"loss": "cross-entropy over 10 classes"}
GRAY_IMAGES = "Normal 1×32×32 images with random labels."
COLOUR_IMAGES = "Normal 3×32×32 images with random labels."
LINEAR_PAIR = {"net1": "Linear(`width`→`width`)", "net2": "Linear(`width`→`width`)"}
CONV_LOSSES = {
    "loss1": "smooth L1 (β = 1) of net1's output to 1",
    "loss2": "smooth L1 (β = 1) of net2's output to 1",
}
LINEAR_LOSSES = {
    "loss1": "mean squared error of net1's output to 0.5",
    "loss2": "mean squared error of net2's output to 1",
}
LINEAR_DATA = "Every input is 0.2; the targets are constant too."
