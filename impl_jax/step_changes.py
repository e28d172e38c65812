"""Say what one training step has done to an array: how far it moves, and along what."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

ALONG = 0.999  # cosine of two directions that are the same
SAME = 1e-3  # relative difference of two moves that are the same


def bits(array: Any) -> bytes:
    """Return the bytes of an array, a key's too."""
    if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
        array = jax.random.key_data(array)
    return np.ascontiguousarray(np.asarray(array)).tobytes()


def change(before: Any, after: Any) -> float:
    """Return the largest absolute difference of an element; 0 where every bit is the same.

    NaN in both is no change; NaN in one of them, or another shape, is infinite.
    """
    one, two = (np.asarray(each) for each in (before, after))
    if one.shape != two.shape or one.dtype != two.dtype:
        return float("inf")
    differs = (one != two) & ~((one != one) & (two != two))
    if not differs.any():
        return 0.0
    difference = one[differs].astype(np.float64) - two[differs].astype(np.float64)
    largest = float(np.abs(difference).max())
    return largest if largest == largest else float("inf")


def cause_of_move(before: Any, after: Any, gradients: Iterable[Any], reached: bool) -> str:
    """Return by what a frozen array has moved: ``raw``, ``decay``, ``momentum`` or ``update``.

    Args:
        before, after: the array.
        gradients: those that may have been added as they are.
        reached: whether a loss sends it a gradient that is not 0.
    """
    move = np.asarray(after, np.float64) - np.asarray(before, np.float64)
    if cosine(move, -np.asarray(before, np.float64)) > ALONG:
        return "decay"
    for gradient in gradients:
        if np.linalg.norm(move - gradient) <= SAME * np.linalg.norm(move):
            return "raw"
    return "update" if reached else "momentum"


def follows(name: str, before: Any, after: Any, others: Mapping[str, tuple[Any, Any]]) -> bool:
    """Return whether an array moves straight towards another of the same path, as a teacher does.

    Args:
        name: of the array, ``network.path``.
        before, after: the array.
        others: name → value before and after, of all parameters.
    """
    path = name.partition(".")[2]
    start = np.asarray(before, np.float64)
    move = np.asarray(after, np.float64) - start
    for other, values in others.items():
        if other == name or other.partition(".")[2] != path or values[0].shape != start.shape:
            continue
        ways = (np.asarray(value, np.float64) - start for value in values)
        if any(cosine(move, way) > ALONG for way in ways):
            return True
    return False


def cosine(one: Any, other: Any) -> float:
    """Return the cosine between two arrays; 0 where one of them is 0."""
    size = float(np.linalg.norm(one)) * float(np.linalg.norm(other))
    return float(np.vdot(one, other)) / size if size and np.isfinite(size) else 0.0
