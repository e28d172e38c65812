"""Build the scenarios of the family "parameter_groups": learning rates that differ or change.

The networks are ordinary; the rates are settings of the optimizer and stand in
``benchmarks/scenarios/parameter_groups.py``.
"""

from __future__ import annotations

from flax import nnx
from jax import Array

from impl_jax.cascade import squared_error
from impl_jax.partial_freeze import Convolutions, lenet
from impl_jax.problem import Stage, against


def lenet_module_rates(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build LeNet, whose features learn a thousand times slower than its classifier.

    The scenario shows one optimizer with a learning rate for each network.
    """
    return lenet(Convolutions(3, width, rngs=rngs), width, rngs)


def lenet_layer_rates(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Build LeNet, whose first and last Linear learn ten times faster than everything else.

    The scenario shows one optimizer with learning rates for single layers, and one for the rest.
    """
    return lenet_module_rates(width=width, rngs=rngs)


class Perceptron(nnx.Module):
    """Three Linear layers with ReLU in between: [batch, inputs] → [batch, outputs]."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, hidden, rngs=rngs)
        self.linear3 = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear3(nnx.relu(self.linear2(nnx.relu(self.linear1(x)))))


def rate_decay(*, hidden: int, width: int, lenet: bool, rngs: nnx.Rngs) -> list[Stage]:
    """Build a perceptron, or LeNet, whose learning rate falls to a tenth half-way through training.

    The scenario shows the rate changed in place, which keeps the optimizer's state, and by a new
    optimizer, which loses it. In LeNet only the classifier's rate falls.
    """
    if lenet:
        return lenet_module_rates(width=width, rngs=rngs)
    loss = against("target", squared_error)
    return [Stage("net", Perceptron(16, hidden, 4, rngs), {"loss": loss})]
