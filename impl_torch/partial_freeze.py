"""A part of the network keeps still: rows 11 to 16 of the catalogue."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.cascade import conv_cascade
from impl_torch.problem import Stage, against

CLASSIFY = against("labels", F.cross_entropy)


def frozen_second_network() -> list[Stage]:
    """Row 11: row 1's networks; net1 learns from loss2 through a net2 that keeps still."""
    return conv_cascade()


class ResidualBlock(nn.Module):
    """Conv3 · BN · ReLU · Conv3 · BN, the input added, ReLU: [batch, C, h, w] → the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(h)) + x)


class Backbone(nn.Module):
    """A stem Conv(3→C, 3) and two residual blocks: [batch, 3, h, w] → [batch, C, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.block1 = ResidualBlock(channels)
        self.block2 = ResidualBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block2(self.block1(self.stem(x)))


class SelfAttention(nn.Module):
    """y = x + γ · Σⱼ h(x)ⱼ softmaxⱼ(f(x)ᵢ · g(x)ⱼ) over the pixels j of each image.

    f and g are 1×1 convolutions C → C/4, h is C → C, γ a scalar (Zhang et al. 2019, "Self-attention
    generative adversarial networks").
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.f = nn.Conv2d(channels, channels // 4, 1)
        self.g = nn.Conv2d(channels, channels // 4, 1)
        self.h = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        f, g, h = (conv(x).flatten(2) for conv in (self.f, self.g, self.h))  # [batch, c, pixels]
        weights = (f.mT @ g).softmax(dim=-1)  # [batch, i, j]
        return x + self.gamma * (h @ weights.mT).unflatten(2, x.shape[2:])


class PooledClassifier(nn.Module):
    """Average over the image, Linear(C → classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.avg_pool2d(x, x.shape[2:]).flatten(1))


def attention_on_frozen_backbone(*, channels: int, statistics: str) -> list[Stage]:
    """Row 12: self-attention is trained on top of a frozen backbone.

    ``statistics`` says which BatchNorm normalises with: ``running`` in eval mode, which leaves
    them, or those of the ``batch`` in train mode, which moves the running ones along.
    """
    backbone = Backbone(channels).train(statistics == "batch")
    return [
        Stage("backbone", backbone),
        Stage("attention", SelfAttention(channels)),
        Stage("classifier", PooledClassifier(channels, 10), {"loss": CLASSIFY}),
    ]


POOL = None
Plan = list[tuple[int, int] | None]


def frozen_prefix(*, channels: int) -> list[Stage]:
    """Row 13: a VGG-like network whose first 16 tensors, 8 convolutions, keep still."""
    c = channels
    front: Plan = [(3, c), (c, c), POOL, (c, 2 * c), (2 * c, 2 * c), POOL]
    front += [(2 * c, 4 * c), (4 * c, 4 * c), (4 * c, 4 * c), POOL, (4 * c, 4 * c)]
    back: Plan = [(4 * c, 4 * c), (4 * c, 4 * c), POOL]
    layers = _convolutions(back, first=9)
    layers["flatten"] = nn.Flatten()
    layers["linear"] = nn.Linear(4 * c * 2 * 2, 10)
    return [
        Stage("front", nn.Sequential(_convolutions(front, first=1))),
        Stage("back", nn.Sequential(layers), {"loss": CLASSIFY}),
    ]


def _convolutions(plan: Plan, first: int) -> OrderedDict[str, nn.Module]:
    """conv3×3 · ReLU for each pair of channels, 2×2 max-pooling for each `POOL`."""
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    number = first
    for entry in plan:
        if entry is POOL:
            layers[f"pool{number}"] = nn.MaxPool2d(2)
        else:
            layers[f"conv{number}"] = nn.Conv2d(*entry, 3, padding=1)
            layers[f"relu{number}"] = nn.ReLU()
            number += 1
    return layers


class Convolutions(nn.Module):
    """Conv(c→6, 5) · ReLU · pool · Conv(6→16, 5) · ReLU · pool: 32×32 → 16×5×5, flattened.

    ``frozen`` switches its gradients off while it is being built.
    """

    def __init__(self, channels: int, width: int = 1, *, frozen: bool = False) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 6 * width, 5)
        self.conv2 = nn.Conv2d(6 * width, 16 * width, 5)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        if frozen:
            self.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        h = self.pool(self.relu1(self.conv1(x)))
        return self.pool(self.relu2(self.conv2(h))).flatten(1)


class Hidden(nn.Module):
    """Linear(400 → 120) · ReLU · Linear(120 → 84) · ReLU."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.linear1 = nn.Linear(400 * width, 120)
        self.linear2 = nn.Linear(120, 84)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.linear2(self.relu1(self.linear1(x))))


class Classifier(Hidden):
    """`Hidden`, and Linear(84 → 10)."""

    def __init__(self, width: int = 1) -> None:
        super().__init__(width)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear3(super().forward(x))


class LastLayer(nn.Module):
    """Linear(84 → 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def frozen_in_constructor(*, width: int) -> list[Stage]:
    """Row 14: the convolutions are frozen while the network is being built."""
    return lenet(Convolutions(1, width, frozen=True), width)


def only_new_layer(*, width: int) -> list[Stage]:
    """Row 15: row 14's network, of which only a new last layer is trained."""
    return [
        Stage("features", Convolutions(1, width)),
        Stage("hidden", Hidden(width)),
        Stage("last", LastLayer(), {"loss": CLASSIFY}),
    ]


def staged_unfreeze(*, width: int) -> list[Stage]:
    """Row 16: row 14's network; its convolutions join the optimizer later."""
    return lenet(Convolutions(1, width), width)


def lenet(features: Convolutions, width: int) -> list[Stage]:
    """Convolutions and the classifier behind them."""
    return [
        Stage("features", features),
        Stage("classifier", Classifier(width), {"loss": CLASSIFY}),
    ]


def load_matching(network: nn.Module, pretrained: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Load what fits by name and shape, and say what was ``loaded`` and what was not.

    ``missing`` are the network's own that the state lacks, ``unexpected`` those of the state that
    the network lacks, ``mismatched`` those of another shape: ``load_state_dict`` would raise for
    these even where it is not strict.
    """
    own = {n: t for n, t in network.state_dict().items() if "num_batches_tracked" not in n}
    same = {n: t for n, t in pretrained.items() if n in own and t.shape == own[n].shape}
    network.load_state_dict(same, strict=False)
    return {
        "loaded": sorted(same),
        "missing": sorted(set(own) - set(pretrained)),
        "unexpected": sorted(set(pretrained) - set(own)),
        "mismatched": sorted((set(own) & set(pretrained)) - set(same)),
    }
