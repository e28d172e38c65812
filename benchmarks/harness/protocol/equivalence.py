"""Decide whether two gradients are the same, by rules whose bounds are derived or measured.

A difference is relative to the tensor's own Euclidean norm, as rounding is. A tensor, or an element
of one, whose true gradient is zero has no scale of its own and is compared with its network's norm.
Names, shapes and dtypes must be equal, and NaN or infinity never passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]  # parameter → its gradient

EPS = {"float32": float(np.finfo(np.float32).eps), "float64": float(np.finfo(np.float64).eps)}
REFERENCES_AGREE = 1e-12  # the two frameworks' float64 references, per tensor
FLOAT64_TOLERANCE = 1e-11
ROUNDING = 100 * EPS["float32"]  # at sizes `seed` and `small`
ROUNDING_OF_LONG_SUMS = 1e-3  # at size `medium`
# A kink is where a ReLU's derivative jumps. Where no random seed keeps every activation away from
# its kink, some fall on the other side in float32. One of them in a layer of 512 units and 192 rows
# is 1/√(active) = 4.5e-3 of the layer's cotangent.
KINKS = 1e-2
DEAD = 1e-6  # a tensor with a smaller share of its network's norm would prove nothing
# Bounds of a tensor whose true gradient is 0, in eps × the network's norm. A sum that cancels
# leaves the rounding of its terms, and from size `medium` up it has 6·10⁴ terms and more: 28 eps
# were seen at 125,000 terms, 98 eps at 1.9 million, both in torch.
ZERO_GRADIENT, ZERO_GRADIENT_LONG = 10, 1000


@dataclass(frozen=True)
class Difference:
    """The difference between gradients and their reference.

    Attributes:
        relative: relative difference of the worst tensor.
        tensor: name of the worst tensor.
        problem: a sentence about the first tensor out of bounds; None where all are within.
        parameters: relative difference of each parameter. One whose true gradient is 0 has no
            scale to be relative to and is left out.
    """

    relative: float
    tensor: str
    problem: str | None
    parameters: Mapping[str, float] = field(default_factory=dict)


def tolerance(dtype: str, kink_margin: float | None) -> float:
    """Return the largest relative difference of a tensor that rounding, or a kink, explains.

    Args:
        dtype: float32 or float64.
        kink_margin: smallest distance of an activation to its kink, relative to its scale; None
            where it is not known.
    """
    if dtype == "float64":
        return FLOAT64_TOLERANCE
    if kink_margin is None or kink_margin < 1e-6:  # float32 rounding can cross the kink
        return KINKS
    return ROUNDING if kink_margin >= 1e-5 else ROUNDING_OF_LONG_SUMS


def long_sums(kink_margin: float | None) -> bool:
    """Return whether float32 gets the tolerance of long sums, or of kinks, at this margin."""
    return tolerance("float32", kink_margin) > ROUNDING


def zero_bound(dtype: str, *, long_sums: bool) -> float:
    """Return the largest element, as a share of its network's norm, of a gradient that is 0.

    Args:
        dtype: float32 or float64, in which the gradient is computed.
        long_sums: whether it is the sum of 6·10⁴ terms or more, as from size `medium` up.
    """
    times = ZERO_GRADIENT_LONG if long_sums else ZERO_GRADIENT
    return times * EPS[dtype]


def network_of(name: str, networks: list[str]) -> str:
    """Return the network that a parameter belongs to; its own name where it belongs to none."""
    return next((net for net in networks if name.startswith(f"{net}.")), name)


def norms(arrays: Arrays, networks: list[str]) -> dict[str, float]:
    """Return network → Euclidean norm of its whole gradient, over all its parameters."""
    squares: dict[str, float] = {}
    for name, array in arrays.items():
        net = network_of(name, networks)
        squares[net] = squares.get(net, 0.0) + float(np.sum(np.square(array, dtype=np.float64)))
    return {net: float(np.sqrt(square)) for net, square in squares.items()}


def relative(array: NDArray[Any], reference: NDArray[Any]) -> float:
    """Return the Euclidean norm of the difference over that of the reference.

    The largest difference of an element would not do: one activation on the other side of its kink
    changes a few elements by their whole value, and the tensor hardly at all.
    """
    scale = float(np.linalg.norm(reference))
    difference = float(np.linalg.norm(array.astype(np.float64) - reference))
    return difference / scale if scale else (0.0 if difference == 0.0 else float("inf"))


def compare(
    gradients: Arrays,
    reference: Arrays,
    *,
    allowed: float,
    dtype: str,
    networks: list[str],
    zero_gradient: tuple[str, ...] = (),
    zero_elements: Mapping[str, NDArray[np.bool_]] | None = None,
    long_sums: bool | None = None,
    zero_allowed: float | None = None,
) -> Difference:
    """Compare gradients with the float64 reference, tensor by tensor.

    Args:
        gradients: parameter → the gradient to check.
        reference: parameter → the right gradient, for each parameter that must have one.
        allowed: largest relative difference of a tensor, see `tolerance`.
        dtype: that every gradient must have.
        networks: names, to find the norm that a zero gradient is compared with.
        zero_gradient: parameters whose true gradient is 0.
        zero_elements: parameter → elements whose true gradient is 0, as `zero_elements.find` finds
            them in the references. The other elements are compared as if these did not exist.
        long_sums: whether such a gradient is the sum of 6·10⁴ terms or more, as from size `medium`
            up. None reads it off ``allowed``, which says nothing of it in float64.
        zero_allowed: largest element of such a gradient, as a share of its network's norm; None: by
            `zero_bound`.

    Returns:
        The relative difference of every parameter and of the worst one, and a sentence that names
        the first tensor out of bounds, the rule and the value; None where every tensor is right.
    """
    problem = next(_malformed(gradients, reference, dtype), None)
    if problem:
        return Difference(float("nan"), "", problem)
    long = allowed > ROUNDING if long_sums is None else long_sums
    masks = {n: np.ones(a.shape, bool) for n, a in reference.items() if n in zero_gradient}
    masks = {**(zero_elements or {}), **masks}
    bound = zero_bound(dtype, long_sums=long) if zero_allowed is None else zero_allowed
    scales = norms(reference, networks) if masks else {}
    worst, problems = (0.0, ""), []
    parameters: dict[str, float] = {}
    for name, true in reference.items():
        gradient, mask = gradients[name], masks.get(name)
        if mask is not None:
            limit = bound * scales[network_of(name, networks)]
            problems.append(_zero_problem(name, gradient[mask], limit, bool(np.all(mask))))
            if np.all(mask):
                continue
            gradient, true = gradient[~mask], true[~mask]
        error = parameters[name] = relative(gradient, true)
        worst = max(worst, (error, name))
        if not error <= allowed:  # NaN is not
            problems.append(f"{name}: relative difference {error:.2g}, allowed {allowed:.2g}")
    return Difference(*worst, next(filter(None, problems), None), parameters)


def _zero_problem(name: str, gradient: NDArray[Any], limit: float, whole: bool) -> str | None:
    """Return a sentence about a gradient that should be 0 and has an element above the limit.

    Args:
        name: of the parameter.
        gradient: the elements that should be 0.
        limit: largest absolute value that rounding explains.
        whole: whether these are all elements of the parameter.
    """
    size = float(np.max(np.abs(gradient), initial=0.0))
    if size <= limit:
        return None
    which = (
        "its true gradient is 0" if whole else f"the true gradient of {gradient.size} elements is 0"
    )
    return f"{name}: {which}, found {size:.2g} > {limit:.2g}"


def _malformed(gradients: Arrays, reference: Arrays, dtype: str) -> Iterator[str]:
    """Yield a sentence for each name, shape, dtype or value that rules out a comparison."""
    missing = sorted(set(reference) - set(gradients))
    extra = sorted(set(gradients) - set(reference))
    if missing:
        yield f"no gradient for {', '.join(missing)}"
    if extra:
        yield f"a gradient for {', '.join(extra)}, which should have none"
    for name in reference.keys() & gradients.keys():
        if gradients[name].shape != reference[name].shape:
            yield f"{name}: shape {gradients[name].shape}, should be {reference[name].shape}"
        elif gradients[name].dtype != np.dtype(dtype):
            yield f"{name}: dtype {gradients[name].dtype}, should be {dtype}"
        elif not np.all(np.isfinite(gradients[name])):
            yield f"{name}: not finite"
        elif not np.all(np.isfinite(reference[name])):
            yield f"{name}: the reference is not finite"


def dead_tensors(
    reference: Arrays, networks: list[str], zero_gradient: tuple[str, ...]
) -> list[str]:
    """Return the names of the tensors whose gradient is so small that they would prove nothing.

    These have less than `DEAD` of their network's norm, as behind a ReLU that no input activates,
    and are not declared zero.
    """
    scales = norms(reference, networks)
    return [
        name
        for name, array in reference.items()
        if name not in zero_gradient
        and float(np.linalg.norm(array)) < DEAD * scales[network_of(name, networks)]
    ]


def gradient_state(array: NDArray[Any] | None) -> str:
    """Return ``absent``, ``zero`` (every element exactly) or ``value``: three different things."""
    if array is None:
        return "absent"
    return "value" if np.any(array) else "zero"
