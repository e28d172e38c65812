"""Build the scenarios of the family "parameter_groups": learning rates that differ or change.

The networks are ordinary; the rates are settings of the optimizer and stand in
``benchmarks/scenarios/parameter_groups.py``.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from impl_torch.partial_freeze import Convolutions, lenet
from impl_torch.problem import Stage, against


def lenet_module_rates(*, width: int) -> list[Stage]:
    """Build LeNet, whose features learn a thousand times slower than its classifier.

    The scenario shows one optimizer with a learning rate for each network.
    """
    return lenet(Convolutions(3, width), width)


def lenet_layer_rates(*, width: int) -> list[Stage]:
    """Build LeNet, whose first and last Linear learn ten times faster than everything else.

    The scenario shows one optimizer with learning rates for single layers, and one for the rest.
    """
    return lenet_module_rates(width=width)


class Perceptron(nn.Module):
    """Three Linear layers with ReLU in between: [batch, inputs] → [batch, outputs]."""

    def __init__(self, inputs: int, hidden: int, outputs: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(inputs, hidden)
        self.linear2 = nn.Linear(hidden, hidden)
        self.linear3 = nn.Linear(hidden, outputs)
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear3(self.relu2(self.linear2(self.relu1(self.linear1(x)))))


def rate_decay(*, hidden: int, width: int, lenet: bool) -> list[Stage]:
    """Build a perceptron, or LeNet, whose learning rate falls to a tenth half-way through training.

    The scenario shows the rate changed in place, which keeps the optimizer's state, and by a new
    optimizer, which loses it. In LeNet only the classifier's rate falls.
    """
    if lenet:
        return lenet_module_rates(width=width)
    return [Stage("net", Perceptron(16, hidden, 4), {"loss": against("target", F.mse_loss)})]
