"""Hand the weights and the batch of a case to the other framework's case, as plain arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from impl_torch.case import OpenCase

Arrays = dict[str, NDArray[Any]]


def handed_over(opened: OpenCase, untouched: Sequence[str]) -> Arrays:
    """Return what a case starts from, floating-point numbers in float64: nothing is rounded.

    Args:
        opened: the case, after its examination.
        untouched: parameters that no loss reaches.

    Returns:
        ``weights/<name>`` for each parameter that a loss reaches, ``unused/<name>`` for the others,
        ``alias/<name>`` for every further name of a tied one, ``buffers/<name>`` of
        real numbers, and ``batch/<path>``.
    """
    problem = opened.problem
    problem.restore_buffers()
    arrays: Arrays = {}
    for name, parameter in problem.parameters.items():
        arrays[f"{'unused' if name in untouched else 'weights'}/{name}"] = plain(parameter)
    for name, first in opened.aliases.items():
        arrays[f"alias/{name}"] = np.array(first)
    for name, buffer in problem.buffers.items():
        if buffer.is_floating_point():
            arrays[f"buffers/{name}"] = plain(buffer)
    arrays |= {f"batch/{path}": plain(tensor) for path, tensor in named_tensors(opened.case.batch)}
    return arrays


def plain(tensor: Tensor) -> NDArray[Any]:
    """Return a tensor as an array of NumPy's, whole, floating-point numbers in float64."""
    detached = tensor.detach().to_dense().cpu()
    if detached.is_floating_point():
        detached = detached.to(torch.float64)
    return detached.numpy().copy()


def named_tensors(value: Any, path: str = "") -> Iterator[tuple[str, Tensor]]:
    """Yield (path, tensor) of every tensor in mappings, lists, tuples and dataclasses.

    Args:
        value: nested in any way.
        path: keys, positions and fields on the way to it, joined by dots.
    """
    if isinstance(value, Tensor):
        yield path, value
    for key, one in _items(value):
        yield from named_tensors(one, f"{path}.{key}" if path else str(key))


def _items(value: Any) -> list[tuple[Any, Any]]:
    """Return (key, part) of a value with parts, in order; empty for any other."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    if isinstance(value, (list, tuple)):
        return list(enumerate(value))
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init]
    return []
