"""Build the scenarios of the family "cascade": networks in series with losses at several places.

Each function returns the stages of one scenario. What a scenario is (its sizes, weights, data and
which loss may change which network) stands in ``benchmarks/scenarios/cascade.py``.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.problem import Data, Stage, against, as_it_is, cut


class ConvStage(nn.Module):
    """ConvTranspose3d(1 → 1, kernel 2), InstanceNorm3d and ReLU.

    It maps [batch, 1, d, d, d] to [batch, 1, d+1, d+1, d+1].
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose3d(1, 1, kernel_size=2)
        self.norm = nn.InstanceNorm3d(1)  # by default no affine parameters, eps 1e-5
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.norm(self.conv(x)))


class ConvPair(nn.Module):
    """Two `ConvStage` in series inside one network, which returns the outputs of both."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = ConvStage()
        self.stage2 = ConvStage()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        first = self.stage1(x)
        return first, self.stage2(first)


def conv_cascade() -> list[Stage]:
    """Build two networks of 3-D convolutions in series, with a SmoothL1 loss after each.

    The scenario shows that one backward pass of the summed loss gives the same gradients as a
    backward pass for each loss, unless a hook that is not linear changes them.
    """
    return [
        Stage("net1", ConvStage(), {"loss1": against("target1", F.smooth_l1_loss)}),
        Stage("net2", ConvStage(), {"loss2": against("target2", F.smooth_l1_loss)}),
    ]


def conv_cascade_single() -> list[Stage]:
    """Build the stages and losses of `conv_cascade` inside one network with two outputs.

    The scenario shows that a loss on an inner output needs no second network. The graph has no
    boundary between networks, so it cannot be cut there.
    """
    first, second = against("target1", F.smooth_l1_loss), against("target2", F.smooth_l1_loss)
    losses = {
        "loss1": lambda outputs, data: first(outputs[0], data),
        "loss2": lambda outputs, data: second(outputs[1], data),
    }
    return [Stage("net", ConvPair(), losses)]


class LinearNet(nn.Module):
    """A single Linear(width → width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


def linear_cascade(*, width: int) -> list[Stage]:
    """Build two Linear layers in series, with a mean squared error after each.

    The scenario shows that training by the summed loss brings both outputs to their targets.
    """
    return _linear_pair(width, enter=as_it_is)


def scaled_cascade(*, width: int) -> list[Stage]:
    """Build `linear_cascade` with net1's output multiplied by 0.5 before it enters net2.

    The scenario shows that an operation between two networks does not cut the graph.
    """
    return _linear_pair(width, enter=lambda value, _: value * 0.5)


def severed_cascade(*, width: int) -> list[Stage]:
    """Build `linear_cascade` with net1's output copied to a NumPy array and back before net2.

    The scenario shows that autograd ends where a tensor becomes an array: loss2 leaves no gradient
    in net1. The new tensor is a leaf; it requires a gradient, as net2's input does elsewhere.
    """

    def through_the_host(value: Tensor, _: Data) -> Tensor:
        host = value.detach().cpu()
        if host.dtype == torch.bfloat16:  # under autocast; NumPy has no such type
            host = host.float()
        array = host.numpy() * 0.5
        return torch.from_numpy(array).to(value.device).requires_grad_()

    return _linear_pair(width, enter=through_the_host)


def _linear_pair(width: int, enter: Callable[[Tensor, Data], Tensor]) -> list[Stage]:
    """Return the stages of `linear_cascade`, with ``enter`` as the link from net1 to net2.

    A link is a function of net1's output and the data.
    """
    return [
        Stage("net1", LinearNet(width), {"loss1": against("target1", F.mse_loss)}),
        Stage("net2", LinearNet(width), {"loss2": against("target2", F.mse_loss)}, enter),
    ]


class Encoder(nn.Module):
    """Two convolutions: [batch, 1, s, s] → [batch, 4·channels, s-5, s-5]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3)
        self.conv2 = nn.Conv2d(channels, 4 * channels, 4)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.relu(self.conv1(x)))


class Decoder(nn.Module):
    """Two transposed convolutions: [batch, 4·channels, s-5, s-5] → [batch, 1, s, s], in (0, 1)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(4 * channels, channels, 4)
        self.conv2 = nn.ConvTranspose2d(channels, 1, 3)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.conv2(self.relu(self.conv1(x))))


class Segmenter(nn.Module):
    """Three convolutions: [batch, 1, s, s] → [batch, 2, s-7, s-7], in (0, 1)."""

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
    """Build encoder, decoder and segmenter in series, with a loss on the first and on the last.

    The scenario shows how far each loss reaches back. With ``stop_before_net2`` the encoder's
    output is detached, so loss3 changes the decoder and the segmenter alone.
    """
    enter = cut if stop_before_net2 else as_it_is
    return [
        Stage("net1", Encoder(channels), {"loss1": against("target1", F.mse_loss)}),
        Stage("net2", Decoder(channels), enter=enter),
        Stage("net3", Segmenter(channels), {"loss3": against("target3", F.binary_cross_entropy)}),
    ]


def stacked_cascade(*, width: int, depths: list[int]) -> list[Stage]:
    """Build N networks in series with a loss after each, as in deep supervision.

    Network i is ``depths[i - 1]`` times Linear and ReLU. The scenario shows what a backward pass
    for each loss costs: N(N+1)/2 walks through a network, where the summed loss needs N.
    """
    return [
        Stage(f"net{i}", Stack(width, depth), {f"loss{i}": against(f"target{i}", F.mse_loss)})
        for i, depth in enumerate(depths, start=1)
    ]


class Stack(nn.Sequential):
    """Linear(width → width) and ReLU, ``depth`` times in series."""

    def __init__(self, width: int, depth: int) -> None:
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(1, depth + 1):
            layers[f"linear{i}"] = nn.Linear(width, width)
            layers[f"relu{i}"] = nn.ReLU()
        super().__init__(layers)
