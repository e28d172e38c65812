"""Go through the parameters of a user's case in directions, and evaluate its losses along them.

`benchmarks.harness.worker.slopes` holds the gradients to central differences by this.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from impl_torch.case import OpenCase

Gradients = Mapping[str, Mapping[str, Tensor | None]]


class Directions:
    """Directions through the parameters of an open case.

    Args:
        opened: the case, opened without facts.
        everything: loss → parameter → gradient, or None.
        seed: of random directions.

    Attributes:
        losses: names.
        networks: name → names of its parameters; networks without any are left out.
    """

    def __init__(self, opened: OpenCase, everything: Gradients, seed: int) -> None:
        self.opened, self.everything = opened, everything
        self.parameters: Mapping[str, Tensor] = opened.problem.parameters
        self.losses = list(everything)
        names = {
            network: [n for n in self.parameters if n.startswith(f"{network}.")]
            for network in opened.networks
        }
        self.networks = {network: own for network, own in names.items() if own}
        self._needs_graph = False  # whether a loss differentiates something itself
        self._generator = np.random.default_rng(seed)

    def random(self, network: str) -> dict[str, Tensor]:
        """Return a random direction of length 1 in the space of a network's parameters."""
        parameters, names = self.parameters, self.networks[network]
        drawn = {n: self._generator.standard_normal(tuple(parameters[n].shape)) for n in names}
        length = np.sqrt(sum(float(np.sum(a * a)) for a in drawn.values()))
        return {n: torch.as_tensor(a / length).to(parameters[n]) for n, a in drawn.items()}

    def uphill(self, loss: str, direction: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the direction with the signs of the loss's gradient: along it the loss grows."""
        own = self._gradient(loss, direction)
        return {
            n: torch.where(own[n] == 0, d, d.abs() * own[n].sign()) if n in own else d
            for n, d in direction.items()
        }

    def length(self, direction: Mapping[str, Tensor]) -> float:
        """Return the norm of the parameters that a direction changes."""
        return math.sqrt(sum(float(self.parameters[n].detach().square().sum()) for n in direction))

    def slope(self, loss: str, direction: Mapping[str, Tensor]) -> float:
        """Return the slope along a direction that the loss's gradient says."""
        own = self._gradient(loss, direction)
        return sum(float((g * direction[n]).sum()) for n, g in own.items())

    def usual_slope(self, loss: str, direction: Mapping[str, Tensor]) -> float:
        """Return what that slope is on average over random directions of length 1."""
        size = sum(d.numel() for d in direction.values())
        squares = (float(g.square().sum()) for g in self._gradient(loss, direction).values())
        return math.sqrt(sum(squares) / size)

    def _gradient(self, loss: str, direction: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the loss's gradient by the parameters that a direction changes."""
        gradients = self.everything[loss]
        return {n: g for n in direction if (g := gradients[n]) is not None}

    def values_at(self, direction: Mapping[str, Tensor], step: float) -> dict[str, float]:
        """Return every loss at the parameters moved by ``step`` along a direction."""
        parameters = self.parameters
        start = {n: parameters[n].detach().clone() for n in direction}
        with torch.no_grad():
            for name, move in direction.items():
                parameters[name].add_(move, alpha=step)
        values = self._values()
        with torch.no_grad():
            for name, tensor in start.items():
                parameters[name].copy_(tensor)
        return values

    def _values(self) -> dict[str, float]:
        """Return every loss; with a graph where it cannot be had without, as a gradient penalty."""
        if not self._needs_graph:
            try:
                with torch.no_grad():
                    return {n: float(value) for n, value in self.opened.all_losses().items()}
            except RuntimeError:
                self._needs_graph = True
        problem = self.opened.problem
        problem.require_grad(problem.trainable)
        return {n: float(value.detach()) for n, value in self.opened.all_losses().items()}
