"""Hold gradients of a user's losses against central differences of the losses themselves.

Nothing here knows a framework: `impl_torch.case_slopes` and `impl_jax.case_slopes` have the
parameters, and evaluate losses along a direction through them.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

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


Direction = Mapping[str, Any]  # parameter → tensor or array of the framework


class Directions(Protocol):
    """Directions through the parameters of a case, and its losses and gradients along them.

    Attributes:
        losses: names.
        networks: name → names of its parameters; networks without any are left out.
    """

    losses: list[str]
    networks: dict[str, list[str]]

    def random(self, network: str) -> Direction:
        """Return a random direction of length 1 in the space of a network's parameters."""

    def uphill(self, loss: str, direction: Direction) -> Direction:
        """Return the direction with the signs of the loss's gradient: along it the loss grows."""

    def length(self, direction: Direction) -> float:
        """Return the norm of the parameters that a direction changes."""

    def slope(self, loss: str, direction: Direction) -> float:
        """Return the slope along a direction that the loss's gradient says."""

    def usual_slope(self, loss: str, direction: Direction) -> float:
        """Return what that slope is on average over random directions of length 1."""

    def values_at(self, direction: Direction, step: float) -> dict[str, float]:
        """Return every loss at the parameters moved by ``step`` along a direction."""


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


def described(directions: Directions, until: float = math.inf) -> tuple[dict[str, Any], list[str]]:
    """Return what central differences say of the gradients, and what there was no time for.

    Args:
        directions: through the parameters of the case.
        until: after which no direction is begun, by ``time.monotonic``.

    Returns:
        ``slope_errors`` and ``coarse`` of `benchmarks.harness.protocol.case_messages.CaseFacts`,
        and notes for the reader.
    """
    errors: dict[str, dict[str, Any]] = {loss: {} for loss in directions.losses}
    coarse: dict[str, dict[str, Any]] = {}
    slopes = Slopes(directions, until)
    for loss, network, slope in slopes.worst_slopes():
        errors[loss][network] = None if math.isinf(slope.error) else slope.error
        if slope.coarse is not None:
            hidden = slope.noise is not None
            coarse.setdefault(loss, {})[network] = {"noise": slope.coarse, "hidden": hidden}
    return {"slope_errors": errors, "coarse": coarse}, slopes.hurried()


class Slopes:
    """Compare gradients with slopes along random directions, network by network.

    Args:
        directions: through the parameters of the case.
        until: after which no direction is begun, by ``time.monotonic``.

    Attributes:
        direction_counts: network → directions that were taken.
    """

    def __init__(self, directions: Directions, until: float = math.inf) -> None:
        self.directions, self.until = directions, until
        self.direction_counts: dict[str, int] = {}

    def worst_slopes(self) -> Iterator[tuple[str, str, Slope]]:
        """Yield (loss, network, slope) of the worst of `DIRECTIONS` directions in the network.

        A direction is random in all parameters of the network. An error is relative to the slope,
        or to what a random direction's slope is on average where that is larger. Where rounding
        hides such slopes, each element's direction is the one in which the loss grows.

        Fewer directions are taken where time is short: one of each network as long as there is
        any, the others within the network's share of half of it.
        """
        half = (time.monotonic() + self.until) / 2
        networks = list(self.directions.networks)
        for index, network in enumerate(networks):
            sampled: list[tuple[Direction, Line]] = []
            deadline = self._share(half, len(networks) - index)
            slopes: dict[str, list[Slope]] = {loss: [] for loss in self.directions.losses}
            while len(sampled) < DIRECTIONS and time.monotonic() < (
                deadline if sampled else self.until
            ):
                direction = self.directions.random(network)
                sampled.append((direction, self._line(direction)))
                for loss, network_slopes in slopes.items():
                    network_slopes.append(self._slope(loss, sampled[-1][1], direction))
            self.direction_counts[network] = len(sampled)
            for loss, network_slopes in slopes.items() if sampled else ():
                hidden = [slope.noise for slope in network_slopes if slope.noise is not None]
                if hidden and max(network_slopes, key=_doubt).noise is not None:
                    late = time.monotonic() > deadline
                    uphill = [direction for direction, _ in (sampled[:1] if late else sampled)]
                    network_slopes = [self._uphill(loss, one, max(hidden)) for one in uphill]
                yield loss, network, max(network_slopes, key=_doubt)

    @staticmethod
    def _share(end: float, networks: int) -> float:
        """Return when the next of so many networks has had its share of the time until an end."""
        now = time.monotonic()
        return now + (end - now) / networks

    def hurried(self) -> list[str]:
        """Return sentences about what there was no time for in `worst_slopes`."""
        unconfirmed = [network for network, count in self.direction_counts.items() if not count]
        partly = [
            network for network, count in self.direction_counts.items() if 0 < count < DIRECTIONS
        ]
        sentences = []
        if unconfirmed:
            sentences.append(
                f"No time to confirm the gradients by {', '.join(unconfirmed)} by central "
                "differences; a larger budget has it"
            )
        if partly:
            sentences.append(
                f"The gradients by {', '.join(partly)} are confirmed along fewer than {DIRECTIONS} "
                "directions, for lack of time"
            )
        return sentences

    def _line(self, direction: Direction) -> Line:
        """Return the line from the start in a direction."""
        at = functools.partial(self.directions.values_at, direction)
        return Line(at, STEP * max(self.directions.length(direction), 1.0))

    def _slope(self, loss: str, line: Line, direction: Direction) -> Slope:
        """Return the slope of a loss along a line in this direction."""
        expected = self.directions.slope(loss, direction)
        usual = self.directions.usual_slope(loss, direction)
        return line.slope(loss, expected, max(abs(expected), usual))

    def _uphill(self, loss: str, direction: Direction, noise: float) -> Slope:
        """Return the slope along a direction whose elements have the signs of the gradient's.

        It is as many times that of a random direction as the root of the number of elements, so
        that a loss may be coarse, and its slope still shows.
        """
        turned = self.directions.uphill(loss, direction)
        return self._line(turned).coarse_slope(loss, self.directions.slope(loss, turned), noise)


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
        difference = abs(self._difference(loss, self.step) - expected)
        rounding = EPSILON * abs(self._at(self.step)[loss])
        if not scale:
            return Slope(0.0 if difference <= ROUNDINGS * rounding / self.step else math.inf)
        error = difference / scale
        if error <= AGREES:
            return Slope(error)
        noise = max(rounding, *(self._noise(loss, grown * self.step) for grown in (1.0, 100.0)))
        hidden = difference * self.step <= SURELY * noise
        return Slope(error, noise if hidden and self._relative(loss, noise) <= COARSEST else None)

    def coarse_slope(self, loss: str, expected: float, noise: float) -> Slope:
        """Return what `slope` does of a loss with this noise, at steps that are large against it.

        A part of a case may compute in float32 whatever it is given.
        """
        least_step = SURELY * noise / (AGREES * abs(expected)) if expected else math.inf
        least = math.inf
        for step in (max(self.step, least_step) * grown for grown in (1.0, 10.0, 0.3)):
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
