"""Networks in series with a loss at several places: rows 1 to 7 of the catalogue."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.problem import Data, Stage, against, as_it_is, cut


class ConvStage(nn.Module):
    """ConvTranspose3d(1→1, k=2) · InstanceNorm3d · ReLU: [batch, 1, d, d, d] → d + 1."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(1, 1, kernel_size=2)
        self.norm = nn.InstanceNorm3d(1)  # no affine, eps 1e-5
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class ConvPair(nn.Module):
    """Both stages inside one network, which returns both outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = ConvStage()
        self.stage2 = ConvStage()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.stage1(x)
        return first, self.stage2(first)


def conv_cascade() -> list[Stage]:
    """Row 1: two 3-D stages in series, a SmoothL1 loss at each."""
    return [
        Stage("net1", ConvStage(), {"loss1": against("target1", F.smooth_l1_loss)}),
        Stage("net2", ConvStage(), {"loss2": against("target2", F.smooth_l1_loss)}),
    ]


def conv_cascade_single() -> list[Stage]:
    """Row 2: the same stages and losses, inside one network."""
    first, second = against("target1", F.smooth_l1_loss), against("target2", F.smooth_l1_loss)
    losses = {
        "loss1": lambda outputs, data: first(outputs[0], data),
        "loss2": lambda outputs, data: second(outputs[1], data),
    }
    return [Stage("net", ConvPair(), losses)]


class LinearNet(nn.Module):
    """Linear(width → width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def linear_cascade(*, width: int) -> list[Stage]:
    """Row 3: two Linear layers in series, a squared error at each."""
    return _linear_pair(width, enter=as_it_is)


def scaled_cascade(*, width: int) -> list[Stage]:
    """Row 4: net1's output is halved on its way; an operation does not cut the graph."""
    return _linear_pair(width, enter=lambda value, _: value * 0.5)


def severed_cascade(*, width: int) -> list[Stage]:
    """Row 5: the value goes through a NumPy array and back; nothing of loss2 returns to net1."""

    def through_the_host(value: Tensor, _: Data) -> Tensor:
        array = value.detach().cpu().numpy() * 0.5
        return torch.from_numpy(array).to(value.device).requires_grad_()

    return _linear_pair(width, enter=through_the_host)


def _linear_pair(width: int, enter: Callable[[Tensor, Data], Tensor]) -> list[Stage]:
    return [
        Stage("net1", LinearNet(width), {"loss1": against("target1", F.mse_loss)}),
        Stage("net2", LinearNet(width), {"loss2": against("target2", F.mse_loss)}, enter),
    ]


class Encoder(nn.Module):
    """[batch, 1, s, s] → [batch, 4·c, s-5, s-5], c channels wide."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3)
        self.conv2 = nn.Conv2d(channels, 4 * channels, 4)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.relu(self.conv1(x)))


class Decoder(nn.Module):
    """[batch, 4·c, s-5, s-5] → [batch, 1, s, s], in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(4 * channels, channels, 4)
        self.conv2 = nn.ConvTranspose2d(channels, 1, 3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv2(self.relu(self.conv1(x))))


class Segmenter(nn.Module):
    """[batch, 1, s, s] → [batch, 2, s-7, s-7], in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 4 * channels, 3)
        self.conv2 = nn.Conv2d(4 * channels, 8 * channels, 4)
        self.conv3 = nn.Conv2d(8 * channels, 2, 3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.relu(self.conv2(self.relu(self.conv1(x))))
        return torch.sigmoid(self.conv3(hidden))


def three_network_cascade(*, channels: int, stop_before_net2: bool = False) -> list[Stage]:
    """Row 6: three networks, a loss on the first and on the last."""
    enter = cut if stop_before_net2 else as_it_is
    return [
        Stage("net1", Encoder(channels), {"loss1": against("target1", F.mse_loss)}),
        Stage("net2", Decoder(channels), enter=enter),
        Stage("net3", Segmenter(channels), {"loss3": against("target3", F.binary_cross_entropy)}),
    ]


def stacked_cascade(*, width: int, depths: list[int]) -> list[Stage]:
    """Row 7: deep supervision; stage i is ``depths[i]`` × (Linear · ReLU) with a loss behind it."""
    return [
        Stage(f"net{i}", _stack(width, depth), {f"loss{i}": against(f"target{i}", F.mse_loss)})
        for i, depth in enumerate(depths, start=1)
    ]


def _stack(width: int, depth: int) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for i in range(1, depth + 1):
        layers[f"linear{i}"] = nn.Linear(width, width)
        layers[f"relu{i}"] = nn.ReLU()
    return nn.Sequential(layers)
