"""The form of a scenario's facts: what both implementations must agree on, and neither decides."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arguments = Mapping[str, Any]
Array = NDArray[np.float64]
SIZES = ("seed", "small", "medium", "large", "gpu")
FRAMEWORKS = ("torch", "jax")
# The more activations a size has, the nearer to 0 the nearest of them comes, whatever the seed.
KINK_MARGIN = {"seed": 1e-5, "small": 1e-5, "medium": 1e-6, "large": 1e-7}


@dataclass(frozen=True)
class Parameter:
    """A tensor in torch's layout, drawn uniformly from [-bound, bound].

    ``draw_as`` is the name it is drawn under where that is not its own, so that two scenarios can
    start from the same weights.
    """

    shape: tuple[int, ...]
    bound: float
    draw_as: str | None = None


Parameters = dict[str, Parameter]


def linear(name: str, inputs: int, outputs: int, *, relu: bool) -> Parameters:
    """Weight [outputs, inputs] and bias [outputs]; ``relu`` says whether one follows."""
    return _layer(name, (outputs, inputs), inputs, outputs, relu)


def conv(
    name: str, inputs: int, outputs: int, kernel: tuple[int, ...], *, relu: bool
) -> Parameters:
    """Weight [outputs, inputs, *kernel] and bias [outputs] of a convolution."""
    return _layer(name, (outputs, inputs, *kernel), inputs * math.prod(kernel), outputs, relu)


def conv_transpose(
    name: str, inputs: int, outputs: int, kernel: tuple[int, ...], *, relu: bool
) -> Parameters:
    """Weight [inputs, outputs, *kernel] and bias [outputs] of a transposed convolution."""
    return _layer(name, (inputs, outputs, *kernel), inputs * math.prod(kernel), outputs, relu)


def _layer(name: str, shape: tuple[int, ...], fan_in: int, outputs: int, relu: bool) -> Parameters:
    # uniform on ±b has variance b²/3; wanted is gain²/fan_in, gain √2 where a ReLU follows
    bound = math.sqrt(3.0 * (2.0 if relu else 1.0) / fan_in)
    return {
        f"{name}.weight": Parameter(shape, bound),
        f"{name}.bias": Parameter((outputs,), 1.0 / math.sqrt(fan_in)),
    }


@dataclass(frozen=True)
class Optimizer:
    """``kind`` and its settings; ``arrangement`` is how it spreads over the networks."""

    kind: str
    settings: Mapping[str, float]
    arrangement: str = "groups"


@dataclass(frozen=True)
class Variant:
    """A sub-case of a row.

    ``networks`` are the names that the flow speaks of, in order. ``flow`` lists for each loss the
    networks it may change, ``frozen`` the networks that keep still, ``arguments`` what the builder
    gets beside the size's, ``impossible`` the strategies that cannot exist here, by ``strategy``
    or ``framework/strategy``, with the reason.
    """

    networks: tuple[str, ...]
    flow: Mapping[str, tuple[str, ...]]
    frozen: tuple[str, ...] = ()
    arguments: Arguments = field(default_factory=dict)
    impossible: Mapping[str, str] = field(default_factory=dict)

    def reason_against(self, framework: str, strategy: str) -> str | None:
        """Why this strategy cannot exist here; None if it can."""
        specific = self.impossible.get(f"{framework}/{strategy}")
        return specific or self.impossible.get(strategy)


@dataclass(frozen=True)
class Training:
    """A run of the row's optimizer, and what it must end at.

    ``reaches`` is {network: (target, tolerance)} for every element of its output; ``unmoved`` the
    networks that must end bit-identical to where they began.
    """

    steps: int
    losses: tuple[str, ...]
    reaches: Mapping[str, tuple[float, float]]
    unmoved: tuple[str, ...] = ()


@dataclass(frozen=True)
class Expected:
    """What asking for the gradient of a loss that reaches nothing does: raise, or return."""

    framework: str
    variant: str
    loss: str
    error: str | None
    message: str = ""


@dataclass(frozen=True)
class Scenario:
    """A row of the catalogue: one spec here, one function of its name in each implementation.

    ``sizes`` hold every number of a size; ``structure`` names those that shape the networks, which
    is what the implementations are called with. ``seeds`` are chosen so that no pre-activation
    lies at a kink and no tensor is dead; the checks say so where they are not. ``kinked`` are the
    (variant, size) pairs for which no such seed is to be found. ``check_sizes`` are the sizes at
    which the checks without a clock run.
    """

    name: str
    family: str
    summary: str
    sizes: Mapping[str, Arguments]
    structure: tuple[str, ...]
    parameters: Callable[..., Parameters]
    data: Callable[..., dict[str, Array]]
    variants: Mapping[str, Variant]
    optimizer: Optimizer
    zero_gradient: tuple[str, ...] = ()
    trainings: tuple[Training, ...] = ()
    expected: tuple[Expected, ...] = ()
    draw_as: str | None = None
    seed: int = 0
    seeds: Mapping[tuple[str, str], int] = field(default_factory=dict)
    kinked: tuple[tuple[str, str], ...] = ()
    check_sizes: tuple[str, ...] = ("seed",)
    baseline: str = "summed"

    def kink_margin(self, variant: str, size: str) -> float | None:
        """How far every pre-activation keeps off its kink, relative to its tensor's largest.

        None where none is promised.
        """
        return None if (variant, size) in self.kinked else KINK_MARGIN.get(size)

    def arguments(self, variant: str, size: str) -> dict[str, Any]:
        """What the implementations' function of this name is called with."""
        shaping = {name: self.sizes[size][name] for name in self.structure}
        return {**shaping, **self.variants[variant].arguments}

    def parameters_of(self, variant: str, size: str) -> Parameters:
        """Every parameter by its canonical name."""
        return self.parameters(**{**self.sizes[size], **self.variants[variant].arguments})

    def draw(self, variant: str, size: str) -> tuple[dict[str, Array], dict[str, Array]]:
        """Weights and data, float64 values that float32 holds exactly.

        Both precisions then start from the same point, and what they differ by is arithmetic.
        """
        seed = self.seeds.get((variant, size), self.seed)
        key = self.draw_as or self.name
        weights = {
            name: _rng(seed, key, p.draw_as or name).uniform(-p.bound, p.bound, p.shape)
            for name, p in self.parameters_of(variant, size).items()
        }
        everything = {**self.sizes[size], **self.variants[variant].arguments}
        data = self.data(_rng(seed, key, "data"), **everything)
        return _representable(weights), _representable(data)

    def facts(self, variant: str, size: str) -> dict[str, Any]:
        """Plain facts for an implementation: names spelled out, nothing but JSON."""
        chosen = self.variants[variant]
        names = list(self.parameters_of(variant, size))
        frozen = [name for name in names if matches(name, chosen.frozen)]
        flow = {
            loss: [n for n in names if matches(n, networks) and n not in frozen]
            for loss, networks in chosen.flow.items()
        }
        optimizer = self.optimizer
        return {
            "family": self.family,
            "build": self.name,
            "arguments": self.arguments(variant, size),
            "networks": list(chosen.networks),
            "flow": flow,
            "frozen": frozen,
            "optimizer": {
                "kind": optimizer.kind,
                "settings": dict(optimizer.settings),
                "arrangement": optimizer.arrangement,
            },
        }


def _rng(seed: int, scenario: str, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(scenario.encode()), zlib.crc32(name.encode())])


def _representable(arrays: Mapping[str, Array]) -> dict[str, Array]:
    return {name: array.astype(np.float32).astype(np.float64) for name, array in arrays.items()}


def matches(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a parameter belongs to one of these networks, by whole parts of its name."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
