"""One optimizer, several learning rates: rows 17 to 19 of the catalogue."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.partial_freeze import Convolutions, lenet
from impl_torch.problem import Stage, against


def lenet_module_rates(*, width: int) -> list[Stage]:
    """Row 17: LeNet; its features learn a thousand times slower than its classifier."""
    return lenet(Convolutions(3, width), width)


def lenet_layer_rates(*, width: int) -> list[Stage]:
    """Row 18: LeNet; the first and last Linear learn ten times faster than the rest."""
    return lenet_module_rates(width=width)


class Perceptron(nn.Module):
    """inputs → hidden → hidden → outputs, ReLU in between."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, outputs)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear3(self.relu2(self.linear2(self.relu1(self.linear1(x)))))


def rate_decay(*, hidden: int) -> list[Stage]:
    """Row 19: a perceptron whose learning rate falls to a tenth half-way."""
    return [Stage("net", Perceptron(16, hidden, 4), {"loss": against("target", F.mse_loss)})]
