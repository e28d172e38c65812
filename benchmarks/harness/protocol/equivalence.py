"""When two gradients are the same: the rules, and where they come from.

Rounding is relative to each tensor's own norm; a tensor whose true gradient is zero has
no scale of its own and is held against its network's norm. Names, shapes and dtypes must be equal,
and what is not finite never passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]

EPS = {"float32": float(np.finfo(np.float32).eps), "float64": float(np.finfo(np.float64).eps)}
REFERENCES_AGREE = 1e-12  # the two frameworks' float64 references, per tensor
FLOAT64_TOLERANCE = 1e-11
ROUNDING = 100 * EPS["float32"]  # at `seed` and `small`
ROUNDING_OF_LONG_SUMS = 1e-3  # at `medium`
# Where no seed keeps every activation off its kink, some fall on the other side in float32. One of
# them in a layer of 512 units and 192 rows is 1/√(active) = 4.5e-3 of the layer's cotangent.
KINKS = 1e-2
DEAD = 1e-6  # a tensor with less of its network's norm would prove nothing
# For a tensor whose true gradient is 0, in eps × the network's norm: a sum that cancels leaves the
# rounding of its terms, and from `medium` up it has 6·10⁴ of them and more (28 eps were seen at
# 125,000 terms, 98 at 1.9 million, both in torch).
ZERO_GRADIENT, ZERO_GRADIENT_LONG = 10, 1000


@dataclass(frozen=True)
class Difference:
    """The worst tensor, relative to itself, and what each of the ``parameters`` differs by.

    One whose true gradient is 0 has nothing to be relative to and is left out. ``problem`` is None
    where all is within bounds.
    """

    relative: float
    tensor: str
    problem: str | None
    parameters: Mapping[str, float] = field(default_factory=dict)


def tolerance(dtype: str, kink_margin: float | None) -> float:
    """The largest relative difference of a tensor that rounding, or a kink, explains."""
    if dtype == "float64":
        return FLOAT64_TOLERANCE
    if kink_margin is None or kink_margin < 1e-6:  # float32 itself can carry it across
        return KINKS
    return ROUNDING if kink_margin >= 1e-5 else ROUNDING_OF_LONG_SUMS


def long_sums(kink_margin: float | None) -> bool:
    """Whether float32 is held to the tolerance of long sums, or of kinks, at this size."""
    return tolerance("float32", kink_margin) > ROUNDING


def network_of(name: str, networks: list[str]) -> str:
    """Which of these networks a parameter belongs to."""
    return next((net for net in networks if name.startswith(f"{net}.")), name)


def norms(arrays: Arrays, networks: list[str]) -> dict[str, float]:
    """Network → Euclidean norm of its whole gradient."""
    squares: dict[str, float] = {}
    for name, array in arrays.items():
        net = network_of(name, networks)
        squares[net] = squares.get(net, 0.0) + float(np.sum(np.square(array, dtype=np.float64)))
    return {net: float(np.sqrt(square)) for net, square in squares.items()}


def relative(found: NDArray[Any], reference: NDArray[Any]) -> float:
    """Euclidean norm of the difference over that of the reference.

    Not the largest element's: one activation on the other side of its kink changes a few elements
    by all they are, and the tensor hardly at all.
    """
    scale = float(np.linalg.norm(reference))
    difference = float(np.linalg.norm(found.astype(np.float64) - reference))
    return difference / scale if scale else (0.0 if difference == 0.0 else float("inf"))


def compare(
    found: Arrays,
    reference: Arrays,
    *,
    allowed: float,
    dtype: str,
    networks: list[str],
    zero_gradient: tuple[str, ...] = (),
    long_sums: bool | None = None,
) -> Difference:
    """Hold gradients against the float64 reference, tensor by tensor.

    ``long_sums`` says whether a gradient that is truly 0 is the sum of 6·10⁴ terms and more, as
    from size `medium` up; None: as ``allowed`` tells, which float64 does not.

    Returns the worst tensor and what is wrong, naming the tensor, the rule and the value found.
    """
    problem = next(_malformed(found, reference, dtype), None)
    if problem:
        return Difference(float("nan"), "", problem)
    scales = norms(reference, networks) if zero_gradient else {}
    long = allowed > ROUNDING if long_sums is None else long_sums
    worst, problem = (0.0, ""), None
    parameters: dict[str, float] = {}
    for name, true in reference.items():
        if name in zero_gradient:
            times = ZERO_GRADIENT_LONG if long else ZERO_GRADIENT
            limit = times * EPS[dtype] * scales[network_of(name, networks)]
            size = float(np.max(np.abs(found[name])))
            if not size <= limit:
                problem = (
                    problem or f"{name}: its true gradient is 0, found {size:.2g} > {limit:.2g}"
                )
            continue
        error = relative(found[name], true)
        parameters[name] = error
        worst = max(worst, (error, name))
        if not error <= allowed:
            problem = problem or f"{name}: relative difference {error:.2g}, allowed {allowed:.2g}"
    return Difference(worst[0], worst[1], problem, parameters)


def _malformed(found: Arrays, reference: Arrays, dtype: str) -> Iterator[str]:
    missing, extra = sorted(set(reference) - set(found)), sorted(set(found) - set(reference))
    if missing:
        yield f"no gradient for {', '.join(missing)}"
    if extra:
        yield f"a gradient for {', '.join(extra)}, which should have none"
    for name in reference.keys() & found.keys():
        if found[name].shape != reference[name].shape:
            yield f"{name}: shape {found[name].shape}, should be {reference[name].shape}"
        elif found[name].dtype != np.dtype(dtype):
            yield f"{name}: dtype {found[name].dtype}, should be {dtype}"
        elif not np.all(np.isfinite(found[name])):
            yield f"{name}: not finite"
        elif not np.all(np.isfinite(reference[name])):
            yield f"{name}: the reference is not finite"


def dead(reference: Arrays, networks: list[str], zero_gradient: tuple[str, ...]) -> list[str]:
    """Tensors whose reference is under `DEAD` of their network's norm and not declared zero."""
    scales = norms(reference, networks)
    return [
        name
        for name, array in reference.items()
        if name not in zero_gradient
        and float(np.linalg.norm(array)) < DEAD * scales[network_of(name, networks)]
    ]


def state(array: NDArray[Any] | None) -> str:
    """``absent``, ``zero`` (every element exactly) or ``value``: three different things."""
    if array is None:
        return "absent"
    return "value" if np.any(array) else "zero"
