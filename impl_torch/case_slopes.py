"""Hold gradients of a user's losses against central differences of the losses themselves."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from impl_torch.case import OpenCase

Gradients = Mapping[str, Mapping[str, Tensor | None]]

DIRECTIONS = 3  # random ones for each network
STEP = 1e-6  # half a central difference, in units of the parameters' norm
AGREES = 1e-3  # relative error of a slope that is still the gradient's
EPSILON = 2.0**-52  # of float64
ROUNDINGS = 45.0  # of that, by which a value of a loss may be off
ORDER = 4  # of the differences that show a loss's noise
COARSEST = 1e-5  # noise relative to the loss that float32 explains
LARGEST = 1e4  # times the step without noise
SURELY = 5.0  # times the noise that a difference is trusted
TINY = 1e-300


@dataclass(frozen=True)
class Slope:
    """Hold what a central difference says of a gradient.

    Attributes:
        error: relative difference of the two; infinity for a slope where the gradient is 0.
        noise: of the loss, where that hides the slope, and ``error`` says nothing.
        coarse: the same relative to the loss, where the slope had to be taken uphill.
    """

    error: float
    noise: float | None = None
    coarse: float | None = None


class Slopes:
    """Compare gradients with slopes along random directions, network by network.

    Args:
        opened: the case, opened without facts.
        everything: loss → parameter → gradient, or None.
        seed: of the directions.
        until: after which no direction is begun, by ``time.monotonic``.

    Attributes:
        taken: network → directions that were taken.
    """

    def __init__(
        self, opened: OpenCase, everything: Gradients, seed: int, until: float = math.inf
    ) -> None:
        self.opened, self.everything, self.until = opened, everything, until
        self.taken: dict[str, int] = {}
        self.parameters: Mapping[str, Tensor] = opened.problem.parameters
        self._generator = np.random.default_rng(seed)

    def worst_slopes(self) -> Iterator[tuple[str, str, Slope]]:
        """Yield (loss, network, slope) of the worst of `DIRECTIONS` directions in the network.

        A direction is random in all parameters of the network. An error is relative to the slope,
        or to what a random direction's slope is on average where that is larger. Where rounding
        hides such slopes, each element's direction is the one in which the loss grows.

        Fewer directions are taken where time is short: one of each network as long as there is
        any, the others within the network's share of half of it.
        """
        half = (time.monotonic() + self.until) / 2
        names_of = {
            network: [n for n in self.parameters if n.startswith(f"{network}.")]
            for network in self.opened.networks
        }
        networks = [network for network, names in names_of.items() if names]
        for index, network in enumerate(networks):
            names = names_of[network]
            taken: list[tuple[dict[str, Tensor], Line]] = []
            enough = self._share(half, len(networks) - index)
            slopes: dict[str, list[Slope]] = {loss: [] for loss in self.everything}
            while len(taken) < DIRECTIONS and time.monotonic() < (enough if taken else self.until):
                direction = self._direction(names)
                taken.append((direction, self._line(direction)))
                for loss, found in slopes.items():
                    found.append(self._slope(loss, taken[-1][1], direction))
            self.taken[network] = len(taken)
            for loss, found in slopes.items() if taken else ():
                hidden = [slope.noise for slope in found if slope.noise is not None]
                if hidden and max(found, key=_doubt).noise is not None:
                    late = time.monotonic() > enough
                    uphill = [direction for direction, _ in (taken[:1] if late else taken)]
                    found = [self._uphill(loss, one, max(hidden)) for one in uphill]
                yield loss, network, max(found, key=_doubt)

    @staticmethod
    def _share(end: float, networks: int) -> float:
        """Return when the next of so many networks has had its share of the time until an end."""
        now = time.monotonic()
        return now + (end - now) / networks

    def hurried(self) -> list[str]:
        """Return sentences about what there was no time for in `found`."""
        without = [network for network, count in self.taken.items() if not count]
        few = [network for network, count in self.taken.items() if 0 < count < DIRECTIONS]
        told = []
        if without:
            told.append(
                f"No time to confirm the gradients by {', '.join(without)} by central differences; "
                "a larger budget has it"
            )
        if few:
            told.append(
                f"The gradients by {', '.join(few)} are confirmed along fewer than {DIRECTIONS} "
                "directions, for lack of time"
            )
        return told

    def _direction(self, names: list[str]) -> dict[str, Tensor]:
        """Return a random direction of length 1 in the space of these parameters."""
        parameters, generator = self.parameters, self._generator
        drawn = {n: generator.standard_normal(tuple(parameters[n].shape)) for n in names}
        length = np.sqrt(sum(float(np.sum(a * a)) for a in drawn.values()))
        return {n: torch.as_tensor(a / length).to(parameters[n]) for n, a in drawn.items()}

    def _line(self, direction: Mapping[str, Tensor]) -> Line:
        """Return the line from the start in a direction."""
        norm = math.sqrt(sum(float(self.parameters[n].detach().square().sum()) for n in direction))
        return Line(functools.partial(self._values_at, direction), STEP * max(norm, 1.0))

    def _slope(self, loss: str, line: Line, direction: Mapping[str, Tensor]) -> Slope:
        """Return the slope of a loss along a line in this direction."""
        own, expected = self._expected(loss, direction)
        size = sum(t.numel() for t in direction.values())
        usual = math.sqrt(sum(float(g.square().sum()) for g in own.values()) / size)
        return line.slope(loss, expected, max(abs(expected), usual))

    def _expected(
        self, loss: str, direction: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], float]:
        """Return the gradient by the direction's parameters, and the slope that it says."""
        gradients = self.everything[loss]
        own = {n: g for n in direction if (g := gradients[n]) is not None}
        return own, sum(float((g * direction[n]).sum()) for n, g in own.items())

    def _uphill(self, loss: str, direction: Mapping[str, Tensor], noise: float) -> Slope:
        """Return the slope along a direction whose elements have the signs of the gradient's.

        It is as many times that of a random direction as the root of the number of elements, so
        that a loss may be coarse, and its slope still shows.
        """
        own, _ = self._expected(loss, direction)
        turned = {
            n: torch.where(own[n] == 0, d, d.abs() * own[n].sign()) if n in own else d
            for n, d in direction.items()
        }
        return self._line(turned).coarse_slope(loss, self._expected(loss, turned)[1], noise)

    def _values_at(self, direction: Mapping[str, Tensor], step: float) -> dict[str, float]:
        """Return every loss at the parameters moved by ``step`` in a direction."""
        parameters = self.parameters
        start = {n: parameters[n].detach().clone() for n in direction}
        with torch.no_grad():
            for name, move in direction.items():
                parameters[name].add_(move, alpha=step)
            values = {n: float(value) for n, value in self.opened.all_losses().items()}
            for name, tensor in start.items():
                parameters[name].copy_(tensor)
        return values


def _doubt(slope: Slope) -> tuple[bool, bool, float]:
    """Return a key by which the worst slope is the largest: wrong, then hidden, then right."""
    hidden = slope.noise is not None
    return slope.error > AGREES and not hidden, hidden, slope.error


class Line:
    """Know one loss along a line through the parameters, as far as it was evaluated.

    Args:
        at: (distance from the start) → every loss by name; it is called once for each distance.
        step: half a central difference where the loss is computed in float64 throughout.
    """

    def __init__(self, at: Callable[[float], dict[str, float]], step: float) -> None:
        self._at, self.step = functools.cache(at), step

    def slope(self, loss: str, expected: float, scale: float) -> Slope:
        """Return how far the loss's slope is from the one that its gradient says.

        Args:
            loss: its name.
            expected: slope by the gradient.
            scale: what an error is relative to; 0 where there is no gradient.
        """
        missed = abs(self._difference(loss, self.step) - expected)
        rounding = EPSILON * abs(self._at(self.step)[loss])
        if not scale:
            return Slope(0.0 if missed <= ROUNDINGS * rounding / self.step else math.inf)
        error = missed / scale
        if error <= AGREES:
            return Slope(error)
        noise = max(rounding, *(self._noise(loss, grown * self.step) for grown in (1.0, 100.0)))
        hidden = missed * self.step <= SURELY * noise
        return Slope(error, noise if hidden and self._relative(loss, noise) <= COARSEST else None)

    def coarse_slope(self, loss: str, expected: float, noise: float) -> Slope:
        """Return what `slope` does of a loss with this noise, at steps that are large against it.

        A part of a case may compute in float32 whatever it is given.
        """
        enough = SURELY * noise / (AGREES * abs(expected)) if expected else math.inf
        least = math.inf
        for step in (max(self.step, enough) * grown for grown in (1.0, 10.0, 0.3)):
            if step > LARGEST * self.step:
                continue
            second, double = self._difference(loss, step), self._difference(loss, 2 * step)
            fourth = (4 * second - double) / 3
            if abs(fourth - second) <= AGREES * abs(expected):  # else the loss is bent too much
                least = min(least, abs(fourth - expected) / abs(expected))
            if least <= AGREES:
                break
        if math.isinf(least):
            return Slope(0.0, noise, self._relative(loss, noise))
        return Slope(least, coarse=self._relative(loss, noise))

    def _relative(self, loss: str, noise: float) -> float:
        """Return the noise relative to the loss."""
        return noise / max(abs(self._at(0.0)[loss]), TINY)

    def _difference(self, loss: str, step: float) -> float:
        """Return the central difference of second order."""
        return (self._at(step)[loss] - self._at(-step)[loss]) / (2 * step)

    def _noise(self, loss: str, step: float) -> float:
        """Return the standard deviation of what rounding adds to the loss within two steps.

        Differences of a high order of equidistant values are those of the noise alone: what is
        smooth is a polynomial of a low order within a few steps.
        """
        values = np.array([self._at(i * step / 2)[loss] for i in range(-ORDER, ORDER + 1)])
        variance = float(np.mean(np.diff(values, ORDER) ** 2)) / math.comb(2 * ORDER, ORDER)
        return math.sqrt(variance)
