"""Go through the parameters of a user's case in directions, and evaluate its losses along them.

`benchmarks.harness.worker.slopes` holds the gradients to central differences by this.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import jax.numpy as jnp
import numpy as np
from jax import Array

from impl_jax.case import OpenCase

Gradients = Mapping[str, Mapping[str, Array | None]]


class Directions:
    """Directions through the parameters of an open case.

    Args:
        opened: the case, opened without facts.
        everything: loss → parameter → gradient, or None.
        seed: of random directions.
        values: (parameters) → every loss by name.

    Attributes:
        losses: names.
        networks: name → names of its parameters; networks without any are left out.
    """

    def __init__(
        self,
        opened: OpenCase,
        everything: Gradients,
        seed: int,
        values: Callable[[Mapping[str, Array]], dict[str, float]],
    ) -> None:
        self.opened, self.everything, self._values = opened, everything, values
        self.parameters: Mapping[str, Array] = opened.problem.parameters
        self.losses = list(everything)
        names = {network: list(one.parameters) for network, one in opened.networks.items()}
        self.networks = {network: own for network, own in names.items() if own}
        self._generator = np.random.default_rng(seed)

    def random(self, network: str) -> dict[str, Array]:
        """Return a random direction of length 1 in the space of a network's parameters."""
        parameters, names = self.parameters, self.networks[network]
        drawn = {n: self._generator.standard_normal(parameters[n].shape) for n in names}
        length = np.sqrt(sum(float(np.sum(a * a)) for a in drawn.values()))
        return {n: jnp.asarray(a / length, parameters[n].dtype) for n, a in drawn.items()}

    def uphill(self, loss: str, direction: Mapping[str, Array]) -> dict[str, Array]:
        """Return the direction with the signs of the loss's gradient: along it the loss grows."""
        own = self._gradient(loss, direction)
        return {
            n: jnp.where(own[n] == 0, d, jnp.abs(d) * jnp.sign(own[n])) if n in own else d
            for n, d in direction.items()
        }

    def length(self, direction: Mapping[str, Array]) -> float:
        """Return the norm of the parameters that a direction changes."""
        return math.sqrt(sum(float(jnp.sum(self.parameters[n] ** 2)) for n in direction))

    def slope(self, loss: str, direction: Mapping[str, Array]) -> float:
        """Return the slope along a direction that the loss's gradient says."""
        own = self._gradient(loss, direction)
        return sum(float(jnp.sum(g * direction[n])) for n, g in own.items())

    def usual_slope(self, loss: str, direction: Mapping[str, Array]) -> float:
        """Return what that slope is on average over random directions of length 1."""
        size = sum(d.size for d in direction.values())
        squares = (float(jnp.sum(g**2)) for g in self._gradient(loss, direction).values())
        return math.sqrt(sum(squares) / size)

    def _gradient(self, loss: str, direction: Mapping[str, Array]) -> dict[str, Array]:
        """Return the loss's gradient by the parameters that a direction changes."""
        gradients = self.everything[loss]
        return {n: g for n in direction if (g := gradients[n]) is not None}

    def values_at(self, direction: Mapping[str, Array], step: float) -> dict[str, float]:
        """Return every loss at the parameters moved by ``step`` along a direction."""
        moved = {n: self.parameters[n] + step * move for n, move in direction.items()}
        return self._values({**self.parameters, **moved})
