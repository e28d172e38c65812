"""Build the scenarios of the family "partial_freeze": a part of the networks is frozen.

Which part, and for how long, stands in ``benchmarks/scenarios/partial_freeze.py``; the recipes in
``recipes.py`` freeze it. Only `frozen_in_constructor` freezes here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.cascade import conv_cascade
from impl_torch.problem import Stage, against

CLASSIFY = against("labels", F.cross_entropy)


def frozen_second_network() -> list[Stage]:
    """Build the networks of the scenario conv_cascade, of which net2 is frozen.

    The scenario shows net1 learning from loss2 through the frozen net2.
    """
    return conv_cascade()


class ResidualBlock(nn.Module):
    """Conv 3×3, BatchNorm, ReLU, Conv 3×3, BatchNorm; the input is added; ReLU.

    Input and output are [batch, channels, height, width].
    """

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
    """Conv 3×3 and two residual blocks: [batch, 3, h, w] → [batch, channels, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 3, padding=1)
        self.block1 = ResidualBlock(channels)
        self.block2 = ResidualBlock(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.block2(self.block1(self.stem(x)))


class SelfAttention(nn.Module):
    """Self-attention: y = x + γ · Σⱼ h(x)ⱼ softmaxⱼ(f(x)ᵢ · g(x)ⱼ), j over an image's pixels.

    f and g are 1×1 convolutions of C → C/4 channels, h one of C → C; γ is a scalar (Zhang et al.
    2019, "Self-attention generative adversarial networks").
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
    """Average over the pixels, then Linear(channels → classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(F.avg_pool2d(x, x.shape[2:]).flatten(1))


def attention_on_frozen_backbone(*, channels: int, statistics: str) -> list[Stage]:
    """Build self-attention and a classifier on top of a frozen residual backbone.

    With ``statistics="running"`` the backbone's BatchNorm is in eval mode and normalises by its
    running statistics. With ``"batch"`` it is in train mode: it normalises by the statistics of the
    batch and updates the running ones. The scenario shows that frozen parameters do not freeze
    statistics.
    """
    backbone = Backbone(channels).train(statistics == "batch")
    return [
        Stage("backbone", backbone),
        Stage("attention", SelfAttention(channels)),
        Stage("classifier", PooledClassifier(channels, 10), {"loss": CLASSIFY}),
    ]


class VggFront(nn.Module):
    """Eight 3×3 convolutions with ReLU and three max-poolings: 32×32 pixels → 4×4."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _conv3(3, c), _conv3(c, c)
        self.conv3, self.conv4 = _conv3(c, 2 * c), _conv3(2 * c, 2 * c)
        self.conv5, self.conv6 = _conv3(2 * c, 4 * c), _conv3(4 * c, 4 * c)
        self.conv7, self.conv8 = _conv3(4 * c, 4 * c), _conv3(4 * c, 4 * c)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv2(self.relu(self.conv1(x))))
        x = self.relu(self.conv4(self.relu(self.conv3(self.pool(x)))))
        x = self.relu(self.conv6(self.relu(self.conv5(self.pool(x)))))
        x = self.pool(self.relu(self.conv7(x)))
        return self.relu(self.conv8(x))


class VggBack(nn.Module):
    """Two 3×3 convolutions with ReLU, a max-pooling and Linear to 10 classes."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.conv9, self.conv10 = _conv3(4 * c, 4 * c), _conv3(4 * c, 4 * c)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)
        self.linear = nn.Linear(4 * c * 2 * 2, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv10(self.relu(self.conv9(x)))))
        return self.linear(x.flatten(1))


def frozen_prefix(*, channels: int) -> list[Stage]:
    """Build a VGG-like network whose first 16 parameter tensors, 8 convolutions, are frozen.

    The scenario shows a freeze that is given by a number of tensors from the front.
    """
    back = Stage("back", VggBack(channels), {"loss": CLASSIFY})
    return [Stage("front", VggFront(channels)), back]


def _conv3(inputs: int, outputs: int) -> nn.Conv2d:
    """Return a 3×3 convolution that keeps height and width."""
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Convolutions(nn.Module):
    """Conv 5×5, ReLU and max-pooling, twice: [batch, channels, 32, 32] → [batch, 16·width·5·5].

    With ``frozen`` the constructor switches its gradients off.
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
    """Linear(400·width → 120), ReLU, Linear(120 → 84) and ReLU."""

    def __init__(self, width: int = 1) -> None:
        super().__init__()
        self.linear1 = nn.Linear(400 * width, 120)
        self.linear2 = nn.Linear(120, 84)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu2(self.linear2(self.relu1(self.linear1(x))))


class Classifier(Hidden):
    """The layers of `Hidden`, then Linear(84 → 10)."""

    def __init__(self, width: int = 1) -> None:
        super().__init__(width)
        self.linear3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear3(super().forward(x))


class LastLayer(nn.Module):
    """A single Linear(84 → 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def frozen_in_constructor(*, width: int) -> list[Stage]:
    """Build LeNet with convolutions that their constructor freezes.

    The scenario shows a freeze that is part of the network itself.
    """
    return lenet(Convolutions(1, width, frozen=True), width)


def only_new_layer(*, width: int) -> list[Stage]:
    """Build LeNet as features, hidden layers and a last layer, of which only the last is trained.

    The scenario shows fine-tuning: a new layer on pretrained and frozen networks.
    """
    return [
        Stage("features", Convolutions(1, width)),
        Stage("hidden", Hidden(width)),
        Stage("last", LastLayer(), {"loss": CLASSIFY}),
    ]


def staged_unfreeze(*, width: int) -> list[Stage]:
    """Build LeNet, whose convolutions are frozen at first and trained later.

    The scenario shows parameters that join a running optimizer, whose state is kept.
    """
    return lenet(Convolutions(1, width), width)


def lenet(features: Convolutions, width: int) -> list[Stage]:
    """Return the stages of LeNet: these convolutions, and a new classifier with the loss."""
    return [
        Stage("features", features),
        Stage("classifier", Classifier(width), {"loss": CLASSIFY}),
    ]


def load_matching(network: nn.Module, pretrained: Mapping[str, Tensor]) -> dict[str, list[str]]:
    """Load the tensors of a pretrained state whose names and shapes match, and return a report.

    Report:
        ``loaded``: names of the tensors that match.
        ``missing``: names that only the network has.
        ``unexpected``: names that only the pretrained state has.
        ``mismatched``: names of tensors of different shapes. ``load_state_dict`` raises for them
            even with ``strict=False``, so they are filtered out first.
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
