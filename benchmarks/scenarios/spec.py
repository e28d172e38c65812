"""The form of a scenario's facts: what both implementations must agree on, and neither decides."""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arguments = Mapping[str, Any]
Array = NDArray[np.float64]
SIZES = ("seed", "small", "medium", "large", "large_batch32", "gpu")
FRAMEWORKS = ("torch", "jax")
# The more activations a size has, the nearer to 0 the nearest of them comes, whatever the seed.
KINK_MARGIN = {"seed": 1e-5, "small": 1e-5, "medium": 1e-6, "large": 1e-7, "large_batch32": 1e-6}


@dataclass(frozen=True)
class Parameter:
    """A tensor in torch's layout, drawn uniformly from centre ± bound.

    ``draw_as`` is the name it is drawn under where that is not its own, so that two scenarios can
    start from the same weights.
    """

    shape: tuple[int, ...]
    bound: float
    draw_as: str | None = None
    centre: float = 0.0


Parameters = dict[str, Parameter]


def linear(name: str, inputs: int, outputs: int, *, relu: bool) -> Parameters:
    """Weight [outputs, inputs] and bias [outputs]; ``relu`` says whether one follows."""
    return _layer(name, (outputs, inputs), inputs, outputs, relu)


def conv(
    name: str, inputs: int, outputs: int, kernel: tuple[int, ...], *, relu: bool, bias: bool = True
) -> Parameters:
    """Weight [outputs, inputs, *kernel] and bias [outputs] of a convolution."""
    fan_in = inputs * math.prod(kernel)
    layer = _layer(name, (outputs, inputs, *kernel), fan_in, outputs, relu)
    return layer if bias else {f"{name}.weight": layer[f"{name}.weight"]}


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


def batch_norm(name: str, channels: int) -> Parameters:
    """Scale and shift [channels] of a BatchNorm, around 1 and 0."""
    return {
        f"{name}.weight": Parameter((channels,), 0.2, centre=1.0),
        f"{name}.bias": Parameter((channels,), 0.2),
    }


def batch_statistics(name: str, channels: int) -> Parameters:
    """Running mean and variance [channels] of a BatchNorm, as if it had seen some batches."""
    return {
        f"{name}.running_mean": Parameter((channels,), 0.2),
        f"{name}.running_var": Parameter((channels,), 0.3, centre=1.0),
    }


@dataclass(frozen=True)
class Optimizer:
    """``kind`` and its settings; ``arrangement`` is how it spreads over the networks.

    ``rates`` gives layers or networks a learning rate of their own.
    """

    kind: str
    settings: Mapping[str, Any]
    arrangement: str = "groups"
    rates: Mapping[str, float] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "kind": self.kind,
            "settings": dict(self.settings),
            "arrangement": self.arrangement,
            "rates": dict(self.rates),
        }


@dataclass(frozen=True)
class Variant:
    """A sub-case of a row; of an alternation, a turn.

    ``networks`` are the names that the flow speaks of, in order. ``flow`` lists for each loss the
    networks it reaches, ``frozen`` the networks or layers that keep still all the same: a loss may
    change what it reaches and is not frozen. ``exact_zero`` are layers whose gradient is exactly 0
    here, ``arguments`` what the builder gets beside the size's, ``drawing`` what only the drawing
    of weights and data gets. ``impossible`` are the strategies and recipes that cannot exist here,
    by ``strategy``, ``framework/strategy`` or ``framework/mode``, with the reason.
    """

    networks: tuple[str, ...]
    flow: Mapping[str, tuple[str, ...]]
    frozen: tuple[str, ...] = ()
    exact_zero: tuple[str, ...] = ()
    arguments: Arguments = field(default_factory=dict)
    drawing: Arguments = field(default_factory=dict)
    impossible: Mapping[str, str] = field(default_factory=dict)
    optimizer: Optimizer | None = None

    @property
    def allowed(self) -> dict[str, tuple[str, ...]]:
        """For each loss the networks it may change: what it reaches and is not frozen whole."""
        return {
            loss: tuple(net for net in reached if net not in self.frozen)
            for loss, reached in self.flow.items()
        }

    @property
    def frozen_in_front(self) -> bool:
        """Whether all that is frozen are networks, in front of all that is trained."""
        front = len(self.frozen)
        return front > 0 and set(self.networks[:front]) == set(self.frozen)

    def reason_against(self, framework: str, strategy: str, mode: str = "") -> str | None:
        """Why this strategy, or any in this mode, cannot exist here; None if it can."""
        specific = self.impossible.get(f"{framework}/{strategy}")
        return (
            specific or self.impossible.get(strategy) or self.impossible.get(f"{framework}/{mode}")
        )


@dataclass(frozen=True)
class Segment:
    """A stretch of training: ``steps`` times each of the ``turns``, which are variants, in order.

    Before it the learning rates are multiplied by ``rate``, in place, or with ``renew`` by new
    optimizers that remember nothing.
    """

    steps: int
    turns: tuple[str, ...] = ("-",)
    rate: float = 1.0
    renew: bool = False


@dataclass(frozen=True)
class Training:
    """A run of the row's optimizer, and what it must end at.

    Only ``losses`` are trained on, if named. ``reaches`` is {network: (target, tolerance)} for
    every element of its output; ``unmoved`` the networks that must end bit-identical to where they
    began; ``steps_counted`` {network: steps} what Adam must have counted; ``band`` how far, as a
    share of the distance travelled, float32 may end from float64, beside the rounding of the
    weights themselves.
    """

    name: str
    segments: tuple[Segment, ...]
    losses: tuple[str, ...] | None = None
    reaches: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    unmoved: tuple[str, ...] = ()
    steps_counted: Mapping[str, int] = field(default_factory=dict)
    band: float = 1e-4


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
    which the checks without a clock run, ``freeze_size`` that of the proofs of a freeze. ``file``
    is where a spec from outside this repository stands; its loader fills it in, and ``family``.
    """

    name: str
    summary: str
    sizes: Mapping[str, Arguments]
    structure: tuple[str, ...]
    parameters: Callable[..., Parameters]
    data: Callable[..., dict[str, Array]]
    variants: Mapping[str, Variant]
    optimizer: Optimizer
    family: str = ""
    zero_gradient: tuple[str, ...] = ()
    trainings: tuple[Training, ...] = ()
    expected: tuple[Expected, ...] = ()
    buffers: Callable[..., Parameters] | None = None
    draw_as: str | None = None
    seed: int = 0
    seeds: Mapping[tuple[str, str], int] = field(default_factory=dict)
    kinked: tuple[tuple[str, str], ...] = ()
    check_sizes: tuple[str, ...] = ("seed",)
    freeze_size: str = "seed"
    baseline: str = "summed"
    file: Path | None = None

    def kink_margin(self, variant: str, size: str) -> float | None:
        """How far every pre-activation keeps off its kink, relative to its tensor's largest.

        None where none is promised.
        """
        return None if (variant, size) in self.kinked else KINK_MARGIN.get(size)

    def lacks(self, framework: str) -> str | None:
        """Why there is no part for this framework; None if there is."""
        if self.file is None or part_of(self.file, framework).is_file():
            return None
        return f"{self.file.name} has no {framework} part: no {part_of(self.file, framework).name}"

    def arguments(self, variant: str, size: str) -> dict[str, Any]:
        """What the implementations' function of this name is called with."""
        shaping = {name: self.sizes[size][name] for name in self.structure}
        return {**shaping, **self.variants[variant].arguments}

    def optimizer_of(self, variant: str) -> Optimizer:
        """The variant's own optimizer, or else the row's."""
        return self.variants[variant].optimizer or self.optimizer

    def parameters_of(self, variant: str, size: str) -> Parameters:
        """Every parameter by its canonical name."""
        return self.parameters(**self.everything(variant, size))

    def buffers_of(self, variant: str, size: str) -> Parameters:
        """Every buffer, such as BatchNorm's running statistics, by its canonical name."""
        return self.buffers(**self.everything(variant, size)) if self.buffers else {}

    def everything(self, variant: str, size: str) -> dict[str, Any]:
        """What `parameters`, `buffers` and `data` are called with."""
        chosen = self.variants[variant]
        return {**self.sizes[size], **chosen.arguments, **chosen.drawing}

    def draw(self, variant: str, size: str) -> tuple[dict[str, Array], dict[str, Array]]:
        """Weights (and buffers) and data, float64 values that float32 holds exactly.

        Both precisions then start from the same point, and what they differ by is arithmetic.
        """
        seed = self.seeds.get((variant, size), self.seed)
        key = self.draw_as or self.name
        drawn = self.parameters_of(variant, size) | self.buffers_of(variant, size)
        weights = {
            name: p.centre + _rng(seed, key, p.draw_as or name).uniform(-p.bound, p.bound, p.shape)
            for name, p in drawn.items()
        }
        data = self.data(_rng(seed, key, "data"), **self.everything(variant, size))
        return _representable(weights), _representable(data)

    def facts(self, variant: str, size: str) -> dict[str, Any]:
        """Plain facts for an implementation: names spelled out, nothing but JSON."""
        chosen = self.variants[variant]
        names = list(self.parameters_of(variant, size))
        frozen = [name for name in names if matches(name, chosen.frozen)]
        reach = {
            loss: [name for name in names if matches(name, networks)]
            for loss, networks in chosen.flow.items()
        }
        return {
            "family": str(self.file) if self.file else self.family,
            "build": self.name,
            "arguments": self.arguments(variant, size),
            "networks": list(chosen.networks),
            "reach": reach,
            "flow": {loss: [n for n in near if n not in frozen] for loss, near in reach.items()},
            "frozen": frozen,
            "optimizer": self.optimizer_of(variant).facts(),
        }


def part_of(spec: Path, framework: str) -> Path:
    """Where a framework's part of a spec from outside stands: ``net.py`` → ``net_torch.py``."""
    return spec.with_name(f"{spec.stem}_{framework}.py")


def _rng(seed: int, scenario: str, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(scenario.encode()), zlib.crc32(name.encode())])


def _representable(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Floats as float32 holds them; labels are whole numbers and stay."""
    return {
        name: array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


def matches(name: str, prefixes: tuple[str, ...]) -> bool:
    """Whether a parameter belongs to one of these networks, by whole parts of its name."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
