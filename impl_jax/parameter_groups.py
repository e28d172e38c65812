"""One optimizer, several learning rates: rows 17 to 19 of the catalogue."""

from __future__ import annotations

from flax import nnx
from jax import Array

from impl_jax.cascade import squared_error
from impl_jax.partial_freeze import Convolutions, lenet
from impl_jax.problem import Stage, against


def lenet_module_rates(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 17: LeNet; its features learn a thousand times slower than its classifier."""
    return lenet(Convolutions(3, width, rngs=rngs), width, rngs)


def lenet_layer_rates(*, width: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 18: LeNet; the first and last Linear learn ten times faster than the rest."""
    return lenet_module_rates(width=width, rngs=rngs)


class Perceptron(nnx.Module):
    """inputs → hidden → hidden → outputs, ReLU in between."""

    def __init__(self, inputs: int, hidden: int, outputs: int, rngs: nnx.Rngs) -> None:
        self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
        self.linear2 = nnx.Linear(hidden, hidden, rngs=rngs)
        self.linear3 = nnx.Linear(hidden, outputs, rngs=rngs)

    def __call__(self, x: Array) -> Array:
        return self.linear3(nnx.relu(self.linear2(nnx.relu(self.linear1(x)))))


def rate_decay(*, hidden: int, rngs: nnx.Rngs) -> list[Stage]:
    """Row 19: a perceptron whose learning rate falls to a tenth half-way."""
    loss = against("target", squared_error)
    return [Stage("net", Perceptron(16, hidden, 4, rngs), {"loss": loss})]
