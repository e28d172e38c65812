"""Tell what an operation reads and writes by its arguments and results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch

from impl_torch.structure import stored

# Operations that make a tensor of the shape of another one, whose elements they do not read.
SHAPES_ONLY = ("_like", "aten::new_", "aten::empty")
# In-place operations that do not read what they overwrite.
OVERWRITE = {"aten::fill_", "aten::zero_", "aten::copy_", "aten::normal_", "aten::uniform_"}
# Operations that read of their first tensor only the elements that they return.
PICK = {"aten::embedding", "aten::gather", "aten::index_select", "aten::index"}
# The gradients are declared as written, which they are with a loss scaler alone.
FUSED = {"aten::_fused_adam_", "aten::_fused_adamw_", "aten::_fused_sgd_", "aten::_fused_adagrad_"}


def moved_bytes(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> tuple[int, int]:
    """Return the bytes that an operation reads, and writes; 0 of one that only makes a view."""
    name = func._schema.name
    read, overwritten = _arguments(func, args, kwargs)
    results = [t for t in tensors(out) if not any(t is one for one in overwritten)]
    inputs = {t.untyped_storage().data_ptr() for t in read}
    fresh = [t for t in results if t.untyped_storage().data_ptr() not in inputs]
    if not fresh and not overwritten:
        return 0, 0
    if name.startswith(("aten::empty", "aten::new_empty")):
        return 0, 0
    if any(part in name for part in SHAPES_ONLY):
        read = []
    if name in PICK:
        return _total([*fresh, *read[1:]]), _total(fresh)
    if name == "aten::convolution_backward":
        read = _needed_by_convolution(args)
    kept = [] if name in OVERWRITE else overwritten
    return _total([*_distinct(read), *kept]), _total([*overwritten, *fresh])


def _arguments(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the tensors that an operation only reads, and those that it writes in place."""
    schema = func._schema
    by_name = dict(zip((a.name for a in schema.arguments), args, strict=False)) | dict(kwargs)
    read: list[torch.Tensor] = []
    written: list[torch.Tensor] = []
    for argument in schema.arguments:
        given = list(tensors(by_name.get(argument.name)))
        writes = argument.alias_info is not None and argument.alias_info.is_write
        if schema.name in FUSED and argument.name == "grads" and by_name.get("grad_scale") is None:
            writes = False
        (written if writes else read).extend(given)
    if schema.name in OVERWRITE and schema.name != "aten::copy_":
        read = []
    return read, written


def _needed_by_convolution(args: tuple[Any, ...]) -> list[torch.Tensor]:
    """Return what the backward pass of a convolution reads for the gradients asked of it."""
    gradient, value, weight, wanted = args[0], args[1], args[2], args[-1]
    return [gradient, *([weight] if wanted[0] else []), *([value] if wanted[1] else [])]


def _total(tensors: list[torch.Tensor]) -> int:
    """Return the bytes of these tensors."""
    return sum(map(_bytes, tensors))


def _distinct(tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return the tensors, each memory region once: x · x reads x once."""
    return list({(t.data_ptr(), tuple(t.shape), t.stride()): t for t in tensors}.values())


def _bytes(tensor: torch.Tensor) -> int:
    """Return the bytes of a tensor's distinct elements: what is expanded counts once."""
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    return prod(n for n, stride in pairs if stride or not n) * tensor.element_size()


def tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested lists, tuples and dicts, those that a sparse one is stored as."""
    if isinstance(value, torch.Tensor):
        yield from stored(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)
