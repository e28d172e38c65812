"""Canonical arrays in and out: torch's own layout is the canonical one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray


def parameter_in(array: NDArray[np.floating], dtype: torch.dtype) -> torch.Tensor:
    """A weight [outputs, inputs, *kernel], or a bias, as torch keeps it."""
    return torch.tensor(array, dtype=dtype)


def parameter_out(tensor: torch.Tensor) -> NDArray[np.floating]:
    """The inverse of `parameter_in`, for weights and for their gradients."""
    return tensor.detach().cpu().numpy().copy()


def data_in(array: NDArray[np.generic], dtype: torch.dtype) -> torch.Tensor:
    """An input or target [batch, features] or [batch, channels, *space]: channels first."""
    return torch.tensor(array, dtype=dtype if array.dtype.kind == "f" else None)


def data_out(tensor: torch.Tensor) -> NDArray[np.floating]:
    """The inverse of `data_in`, for outputs."""
    return tensor.detach().cpu().numpy().copy()
