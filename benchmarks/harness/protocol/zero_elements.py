"""Find the elements of a gradient that are 0 by mathematics, in the float64 references alone.

A packed tensor can hold such elements beside others: the third of an attention's packed bias that
belongs to the keys shifts every score of a query alike, which the softmax takes out again. What is
computed there is rounding noise, which differs between frameworks, strategies and precisions, and
which Adam scales up to whole steps. The gradients to check have no say in what counts as 0: a
gradient that is wrongly 0 must not hide itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.equivalence import Arrays

Masks = Mapping[str, NDArray[np.bool_]]  # parameter → which elements have the true gradient 0


def find(references: Sequence[Arrays], networks: list[str], *, long_sums: bool) -> Masks:
    """Return the elements whose true gradient is 0, of each parameter that has any.

    An element counts if it is noise in every reference: no larger than the rounding of the sums
    that its network's gradients are. An exact 0 counts only beside noise in the same tensor, where
    it is noise that happened to cancel. Elsewhere an exact 0, as behind a ReLU that no input
    activates, is computed as exactly 0 in float32 as well, and is compared like a value.

    Args:
        references: float64 gradients by parameter, one of each framework that computed them.
        networks: names, to find the norm that noise is compared with.
        long_sums: whether a gradient is the sum of 6·10⁴ terms or more, see `equivalence`.

    Returns:
        Parameter → boolean array of its shape.
    """
    bound = equivalence.zero_bound("float64", long_sums=long_sums)
    scales = [equivalence.norms(reference, networks) for reference in references]
    if not references:  # every framework failed, which is said elsewhere
        return {}
    masks = {}
    for name in set.intersection(*(set(reference) for reference in references)):
        arrays = [np.abs(reference[name]) for reference in references]
        limits = [bound * scale[equivalence.network_of(name, networks)] for scale in scales]
        small = np.all([a <= limit for a, limit in zip(arrays, limits, strict=True)], axis=0)
        noise = small & (np.max(arrays, axis=0) > 0.0)
        if np.any(noise):
            masks[name] = small
    return masks


def entirely_zero(masks: Masks) -> list[str]:
    """Return the parameters all of whose elements have the true gradient 0."""
    return [name for name, mask in masks.items() if bool(np.all(mask))]


def wrongly_declared(
    reference: Arrays, declared: Sequence[str], networks: list[str], *, long_sums: bool
) -> str | None:
    """Return a sentence about a parameter that is declared to have a zero gradient and has none.

    Args:
        reference: parameter → float64 gradient.
        declared: the scenario's ``zero_gradient``.
        networks: names.
        long_sums: as for `find`.

    Returns:
        The sentence about the first such parameter; None if the declaration is right.
    """
    bound = equivalence.zero_bound("float64", long_sums=long_sums)
    scales = equivalence.norms(reference, networks)
    for name in declared:
        size = float(np.max(np.abs(reference.get(name, 0.0)), initial=0.0))
        if size > bound * scales.get(equivalence.network_of(name, networks), 0.0):
            return (
                f"{name}: zero_gradient declares its true gradient 0, but its float64 gradient has "
                f"an element of {size:.2g}; take it out of zero_gradient"
            )
    return None


def without_zeros(array: NDArray[Any], mask: NDArray[np.bool_] | None) -> NDArray[Any]:
    """Return the array without the elements of a mask, flat; all of it where there is no mask."""
    return array if mask is None else array[~mask]
