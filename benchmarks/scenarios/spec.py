"""Define the form of a scenario's spec: everything that both implementations must agree on.

A spec is plain Python and NumPy. It holds sizes, parameters, data, flows, frozen parts, optimizers
and trainings; the networks themselves stand in ``impl_torch/`` and ``impl_jax/``.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.scenarios.layers import (
    Parameter,
    Parameters,
    batch_norm,
    batch_statistics,
    conv,
    conv_transpose,
    embedding,
    layer_norm,
    linear,
)
from benchmarks.scenarios.trainings import Follower, Segment, Training

__all__ = [
    "FRAMEWORKS",
    "KINK_MARGIN",
    "SIZES",
    "Array",
    "Expected",
    "Follower",
    "Optimizer",
    "Parameter",
    "Parameters",
    "Scenario",
    "Segment",
    "Training",
    "Variant",
    "batch_norm",
    "batch_statistics",
    "conv",
    "conv_transpose",
    "embedding",
    "layer_norm",
    "linear",
    "matches",
    "part_of",
]

Arguments = Mapping[str, Any]
Array = NDArray[np.float64]
SIZES = ("seed", "small", "medium", "large", "large_batch32", "gpu")
FRAMEWORKS = ("torch", "jax")
# The least relative distance from a kink that a seed must leave, by size: the more activations, the
# nearer to 0 the nearest of them comes, whatever the seed.
KINK_MARGIN = {"seed": 1e-5, "small": 1e-5, "medium": 1e-6, "large": 1e-7, "large_batch32": 1e-6}


@dataclass(frozen=True)
class Optimizer:
    """Describe an optimizer: its kind, its settings, and how it is spread over the networks.

    ``arrangement`` is ``groups`` (one optimizer, a parameter group for each network), ``separate``
    (one optimizer for each network) or ``together`` (one over everything that is trained).
    ``rates`` gives networks or layers a learning rate of their own, by name.
    """

    kind: str
    settings: Mapping[str, Any]
    arrangement: str = "groups"
    rates: Mapping[str, float] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return kind, settings, arrangement and rates as plain data, for the worker protocol."""
        return {
            "kind": self.kind,
            "settings": dict(self.settings),
            "arrangement": self.arrangement,
            "rates": dict(self.rates),
        }


@dataclass(frozen=True)
class Variant:
    """Describe a sub-case of a scenario; of an alternation, the turn of one player.

    Attributes:
        networks: The names of the networks, in the order in which the data passes them.
        flow: For each loss the networks that its gradient reaches.
        frozen: Networks or layers whose parameters must not change, although a loss reaches them.
        exact_zero: Layers whose gradient is exactly 0 in this variant.
        estimated: For a loss, networks that it reaches by a gradient which is no slope: moved a
            little, they leave the loss as it is, as in front of a rounding.
        arguments: Arguments of the builder beside those of the size.
        drawing: Arguments of the drawing of weights and data alone.
        impossible: Reasons why strategies and recipes cannot exist in this variant, by
            ``strategy``, ``framework/strategy`` or ``framework/mode``.
        optimizer: An optimizer in place of the scenario's.
    """

    networks: tuple[str, ...]
    flow: Mapping[str, tuple[str, ...]]
    frozen: tuple[str, ...] = ()
    exact_zero: tuple[str, ...] = ()
    estimated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    arguments: Arguments = field(default_factory=dict)
    drawing: Arguments = field(default_factory=dict)
    impossible: Mapping[str, str] = field(default_factory=dict)
    optimizer: Optimizer | None = None

    @property
    def allowed(self) -> dict[str, tuple[str, ...]]:
        """Return loss → the networks that it may change: reached, and not frozen."""
        return {
            loss: tuple(net for net in reached if not matches(net, self.frozen))
            for loss, reached in self.flow.items()
        }

    @property
    def frozen_in_front(self) -> bool:
        """Return whether whole networks are frozen, all of them in front of all trained ones."""
        front = len(self.frozen)
        return front > 0 and set(self.networks[:front]) == set(self.frozen)

    def reason_against(self, framework: str, strategy: str, mode: str = "") -> str | None:
        """Return why this variant cannot have a strategy or recipe in a mode; None if it can."""
        specific = self.impossible.get(f"{framework}/{strategy}")
        return (
            specific or self.impossible.get(strategy) or self.impossible.get(f"{framework}/{mode}")
        )


@dataclass(frozen=True)
class Expected:
    """Describe the outcome of asking for the gradient of a loss that reaches nothing trainable.

    ``error`` is the type that is raised, with ``message`` in its text; None where nothing is
    raised.
    """

    framework: str
    variant: str
    loss: str
    error: str | None
    message: str = ""


@dataclass(frozen=True)
class Scenario:
    """Describe a scenario of the catalogue, or one from a file of the user's.

    In each implementation a function of the scenario's name builds the networks.

    Attributes:
        name: The name of the scenario and of its builder in each implementation.
        summary: One line that says what it is.
        sizes: Every number of each size, by name.
        structure: The names of those numbers that shape the networks; the builders get these.
        parameters: Returns every parameter by its canonical name ``network.layer.weight``.
        data: Returns inputs and targets as arrays, drawn from a NumPy generator.
        variants: The sub-cases by name; ``-`` is the name of an only one.
        optimizer: The optimizer of every variant that has none of its own.
        family: The module of each implementation that holds the builder.
        zero_gradient: Parameters whose gradient is 0 by mathematics, and noise when computed.
        layouts: How JAX gets the data, by entry, and what networks return, by network: a key of
            `layouts.LAYOUTS`.
        trainings: Trainings that the checks run, with the end that they must come to.
        expected: Outcomes of asking for a gradient that does not exist.
        buffers: Returns running statistics and the like, as ``parameters`` does.
        draw_as: The scenario whose weights and data this one shares.
        seed: The seed of the drawing; ``seeds`` replaces it by (variant, size). Seeds are chosen so
            that no pre-activation lies at a kink of its activation function and no tensor is dead.
        kinked: The (variant, size) pairs for which there is no such seed.
        check_sizes: The sizes at which the checks without a clock run.
        freeze_size: The size at which a freeze is proven.
        baseline: The strategy that ratios refer to.
        file: The file of a spec from outside this repository; the loader fills it in, and
            ``family``.
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
    layouts: Mapping[str, str] = field(default_factory=dict)
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
        """Return the least distance of every pre-activation from its kink; None if unknown.

        The distance is relative to the largest value of the pre-activation's tensor.
        """
        return None if (variant, size) in self.kinked else KINK_MARGIN.get(size)

    def lacks(self, framework: str) -> str | None:
        """Return why the scenario has no file for this framework; None if it has."""
        if self.file is None or part_of(self.file, framework).is_file():
            return None
        return f"{self.file.name} has no {framework} part: no {part_of(self.file, framework).name}"

    def arguments(self, variant: str, size: str) -> dict[str, Any]:
        """Return the arguments of the builder in both implementations: name → value."""
        shaping = {name: self.sizes[size][name] for name in self.structure}
        return {**shaping, **self.variants[variant].arguments}

    def optimizer_of(self, variant: str) -> Optimizer:
        """Return the variant's own optimizer, or else the scenario's."""
        return self.variants[variant].optimizer or self.optimizer

    def parameters_of(self, variant: str, size: str) -> Parameters:
        """Return every parameter by its canonical name, with its shape and how it is drawn."""
        return self.parameters(**self.drawing_arguments(variant, size))

    def buffers_of(self, variant: str, size: str) -> Parameters:
        """Return every buffer, such as BatchNorm's running statistics, by its canonical name."""
        return self.buffers(**self.drawing_arguments(variant, size)) if self.buffers else {}

    def drawing_arguments(self, variant: str, size: str) -> dict[str, Any]:
        """Return the arguments of `parameters`, `buffers` and `data`, each by its name."""
        chosen = self.variants[variant]
        return {**self.sizes[size], **chosen.arguments, **chosen.drawing}

    def draw(self, variant: str, size: str) -> tuple[dict[str, Array], dict[str, Array]]:
        """Draw weights with buffers, and data, each as name → array.

        They are float64 values that float32 holds exactly. Both precisions then start from the same
        point and differ by their arithmetic alone.
        """
        seed = self.seeds.get((variant, size), self.seed)
        key = self.draw_as or self.name
        tensors = self.parameters_of(variant, size) | self.buffers_of(variant, size)
        weights = {
            name: p.centre + _rng(seed, key, p.draw_as or name).uniform(-p.bound, p.bound, p.shape)
            for name, p in tensors.items()
        }
        data = self.data(_rng(seed, key, "data"), **self.drawing_arguments(variant, size))
        return _representable(weights), _representable(data)

    def problem_spec(self, variant: str, size: str) -> dict[str, Any]:
        """Return the description of a problem that goes to a worker: names and numbers, JSON only.

        ``reach`` lists for each loss the parameters that its gradient reaches, ``flow`` those of
        them that are not frozen.
        """
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
            "flow": {
                loss: [name for name in reached if name not in frozen]
                for loss, reached in reach.items()
            },
            "frozen": frozen,
            "optimizer": self.optimizer_of(variant).as_dict(),
            "layouts": dict(self.layouts),
        }


def part_of(spec: Path, framework: str) -> Path:
    """Return the file of a framework's part of an external spec: ``net.py`` → ``net_torch.py``."""
    return spec.with_name(f"{spec.stem}_{framework}.py")


def _rng(seed: int, scenario: str, name: str) -> np.random.Generator:
    """Return the generator that draws one tensor, or the data, of a scenario."""
    return np.random.default_rng([seed, zlib.crc32(scenario.encode()), zlib.crc32(name.encode())])


def _representable(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Round floats to float32; labels are whole numbers and stay."""
    return {
        name: array.astype(np.float32).astype(np.float64) if array.dtype.kind == "f" else array
        for name, array in arrays.items()
    }


def matches(name: str, prefixes: tuple[str, ...]) -> bool:
    """Return whether a parameter's name begins with one of the prefixes, by whole parts of it."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)
