"""Convert arrays from and to the canonical layout, which is torch's; in JAX channels are last."""

from __future__ import annotations

from collections.abc import Sequence

import jax
import numpy as np
from numpy.typing import NDArray

TABLE = "table"
Image = tuple[int, int, int]  # channels, height, width
Form = Image | str  # of a weight that is not merely transposed, see `parameter_in`


def parameter_in(
    array: NDArray[np.floating], dtype: jax.typing.DTypeLike, form: Form | None = None
) -> NDArray[np.floating]:
    """Transpose a weight [outputs, inputs, *kernel] to [*kernel, inputs, outputs].

    A bias is returned as it is. The same permutation serves Linear, Conv and ConvTranspose: the
    canonical weight of the last is [inputs, outputs, *kernel], and its nnx kernel with
    ``transpose_kernel`` is [*kernel, outputs, inputs].

    Args:
        array: the canonical weight or bias.
        dtype: of the result.
        form: `TABLE` for the table of an embedding, [entries, width] in both frameworks. For a
            Linear layer behind an image that is flattened, the (channels, height, width) of the
            image: in the canonical layout its pixels are ordered channels · height · width, in JAX
            height · width · channels.
    """
    if isinstance(form, tuple):
        images = array.reshape(len(array), *form)
        array = images.transpose(0, 2, 3, 1).reshape(array.shape)
    axes = tuple(range(array.ndim))
    if array.ndim > 1 and form != TABLE:
        axes = (*range(2, array.ndim), 1, 0)
    return np.asarray(array.transpose(axes), dtype=dtype, order="C")


def parameter_out(
    array: jax.Array | NDArray[np.floating], form: Form | None = None
) -> NDArray[np.floating]:
    """Return a weight or its gradient in the canonical layout, the inverse of `parameter_in`."""
    axes = tuple(range(array.ndim))
    if array.ndim > 1 and form != TABLE:
        axes = (array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
    weight = np.asarray(array).transpose(axes)
    if isinstance(form, tuple):
        channels, height, width = form
        images = weight.reshape(len(weight), height, width, channels)
        weight = images.transpose(0, 3, 1, 2).reshape(weight.shape)
    return np.asarray(weight, order="C")


def shape_out(shape: Sequence[int], form: Form | None = None) -> list[int]:
    """Return the canonical shape of a weight or bias of this shape, which `parameter_in` made."""
    if len(shape) < 2 or form == TABLE:
        return list(shape)
    return [shape[-1], shape[-2], *shape[:-2]]


def data_in(
    array: NDArray[np.generic], dtype: jax.typing.DTypeLike, layout: str | None = None
) -> NDArray[np.generic]:
    """Return an input or target in the layout that JAX's users have it in.

    Args:
        array: the canonical array.
        dtype: of the floats; whole numbers stay what they are.
        layout: ``image`` is transposed from [batch, channels, *space] to [batch, *space,
            channels], any other stays as it is. None, of a spec that declares no layout, is an
            image if the array has more than two axes.
    """
    moved = np.moveaxis(array, 1, -1) if _is_image(array.ndim, layout) else array
    return np.ascontiguousarray(moved, dtype=dtype if array.dtype.kind == "f" else None)


def data_out(array: jax.Array, layout: str | None = None) -> NDArray[np.floating]:
    """Return an output in the canonical layout, the inverse of `data_in`."""
    output = np.asarray(array)
    image = _is_image(output.ndim, layout)
    return np.ascontiguousarray(np.moveaxis(output, -1, 1) if image else output)


def _is_image(axes: int, layout: str | None) -> bool:
    """Return whether an array is declared an image, or taken for one where nothing is declared."""
    return axes > 2 if layout is None else layout == "image"
