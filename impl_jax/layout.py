"""Canonical arrays in and out: channels last, as JAX's users keep them."""

from __future__ import annotations

import jax
import numpy as np
from numpy.typing import NDArray

Image = tuple[int, int, int]  # channels, height, width


def parameter_in(
    array: NDArray[np.floating], dtype: jax.typing.DTypeLike, flattened: Image | None = None
) -> NDArray[np.floating]:
    """A weight [outputs, inputs, *kernel] → [*kernel, inputs, outputs]; a bias as it is.

    The same turn serves Linear, Conv and ConvTranspose, whose canonical weight is
    [inputs, outputs, *kernel] and whose nnx kernel, with ``transpose_kernel``, is
    [*kernel, outputs, inputs]. ``flattened`` is the image that a Linear layer's inputs come from:
    C·H·W in the canonical order, H·W·C here.
    """
    if flattened:
        images = array.reshape(len(array), *flattened)
        array = images.transpose(0, 2, 3, 1).reshape(array.shape)
    axes = (*range(2, array.ndim), 1, 0) if array.ndim > 1 else tuple(range(array.ndim))
    return np.asarray(array.transpose(axes), dtype=dtype, order="C")


def parameter_out(
    array: jax.Array | NDArray[np.floating], flattened: Image | None = None
) -> NDArray[np.floating]:
    """The inverse of `parameter_in`, for weights and for their gradients."""
    last = (array.ndim - 1, array.ndim - 2)
    axes = (*last, *range(array.ndim - 2)) if array.ndim > 1 else tuple(range(array.ndim))
    turned = np.asarray(array).transpose(axes)
    if flattened:
        channels, height, width = flattened
        images = turned.reshape(len(turned), height, width, channels)
        turned = images.transpose(0, 3, 1, 2).reshape(turned.shape)
    return np.asarray(turned, order="C")


def data_in(array: NDArray[np.generic], dtype: jax.typing.DTypeLike) -> NDArray[np.generic]:
    """An input or target [batch, channels, *space] → [batch, *space, channels]."""
    moved = np.moveaxis(array, 1, -1) if array.ndim > 2 else array
    return np.ascontiguousarray(moved, dtype=dtype if array.dtype.kind == "f" else None)


def data_out(array: jax.Array) -> NDArray[np.floating]:
    """The inverse of `data_in`, for outputs."""
    moved = np.asarray(array)
    return np.ascontiguousarray(np.moveaxis(moved, -1, 1) if moved.ndim > 2 else moved)
