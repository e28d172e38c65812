"""Convert arrays from and to the canonical layout, which is torch's: channels first."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def parameter_in(array: NDArray[np.floating], dtype: torch.dtype) -> torch.Tensor:
    """Return a weight [outputs, inputs, *kernel] or a bias as a tensor of this dtype."""
    return torch.tensor(array, dtype=dtype)


def parameter_out(tensor: torch.Tensor) -> NDArray[np.floating]:
    """Return a weight or its gradient in the canonical layout, the inverse of `parameter_in`."""
    return tensor.detach().cpu().numpy().copy()


def data_in(
    array: NDArray[np.generic], dtype: torch.dtype, layout: str | None = None
) -> torch.Tensor:
    """Return an input or target as a tensor; its ``layout`` is the canonical one, whichever.

    Floats get this dtype, whole numbers stay what they are.
    """
    return torch.tensor(array, dtype=dtype if array.dtype.kind == "f" else None)


def data_out(tensor: torch.Tensor, layout: str | None = None) -> NDArray[np.floating]:
    """Return an output in the canonical layout, the inverse of `data_in`."""
    return tensor.detach().cpu().numpy().copy()
