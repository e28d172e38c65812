"""Canonical arrays in and out: channels last, as JAX's users keep them."""

from __future__ import annotations

import jax
import numpy as np
from numpy.typing import NDArray


def parameter_in(array: NDArray[np.floating], dtype: jax.typing.DTypeLike) -> NDArray[np.floating]:
    """A weight [outputs, inputs, *kernel] → [*kernel, inputs, outputs]; a bias as it is.

    The same turn serves Linear, Conv and ConvTranspose, whose canonical weight is
    [inputs, outputs, *kernel] and whose nnx kernel, with ``transpose_kernel``, is
    [*kernel, outputs, inputs].
    """
    axes = (*range(2, array.ndim), 1, 0) if array.ndim > 1 else (0,)
    return np.ascontiguousarray(array.transpose(axes), dtype=dtype)


def parameter_out(array: jax.Array) -> NDArray[np.floating]:
    """The inverse of `parameter_in`, for weights and for their gradients."""
    axes = (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2)) if array.ndim > 1 else (0,)
    return np.ascontiguousarray(np.asarray(array).transpose(axes))


def data_in(array: NDArray[np.generic], dtype: jax.typing.DTypeLike) -> NDArray[np.generic]:
    """An input or target [batch, channels, *space] → [batch, *space, channels]."""
    moved = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
    return np.ascontiguousarray(moved, dtype=dtype if array.dtype.kind == "f" else None)


def data_out(array: jax.Array) -> NDArray[np.floating]:
    """The inverse of `data_in`, for outputs."""
    moved = np.asarray(array)
    return np.ascontiguousarray(np.moveaxis(moved, -1, 1) if moved.ndim > 2 else moved)
