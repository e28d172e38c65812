"""Tell what an operation reads, writes and computes by its arguments and results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
    shape_wrapper,
)

from impl_torch.structure import stored

Shape = tuple[int, ...]

# Operations that make a tensor of the shape of another one, whose elements they do not read.
SHAPES_ONLY = ("_like", "aten::new_", "aten::empty")
# In-place operations that do not read what they overwrite.
OVERWRITE = {"aten::fill_", "aten::zero_", "aten::copy_", "aten::normal_", "aten::uniform_"}
# Operations that read of their first tensor only the elements that they return.
PICK = {"aten::embedding", "aten::gather", "aten::index_select", "aten::index"}
# The gradients are declared as written, which they are with a loss scaler alone.
FUSED = {"aten::_fused_adam_", "aten::_fused_adamw_", "aten::_fused_sgd_", "aten::_fused_adagrad_"}


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of attention, by the shapes of its arguments."""
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(
    grad: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any
) -> int:
    """Return the FLOPs of the backward pass of attention."""
    return int(sdpa_backward_flop_count(grad, query, key, value))


def _recurrent(value: Shape, of_value: Shape, of_state: Shape, *_: Any, **__: Any) -> int:
    """Return the FLOPs of a layer of an LSTM, by the shapes of its input and its two weights."""
    return 2 * prod(value[:-1]) * (prod(of_value) + prod(of_state))


def _recurrent_backward(*shapes: Any, **__: Any) -> int:
    """Return the FLOPs of the backward pass of a layer of an LSTM: by its input and its weights."""
    return 2 * _recurrent(*shapes)


def _self_attention(value: Shape, width: int, *weights: Shape) -> int:
    """Return the FLOPs of attention of sequences to themselves, with the products by weights."""
    batch, length = value[0], value[1]
    return 2 * batch * length * sum(map(prod, weights)) + 4 * batch * length**2 * width


def _multi_head(query: Shape, key: Shape, value: Shape, width: int, *rest: Any, **__: Any) -> int:
    """Return the FLOPs of multi-head attention of sequences to themselves in one kernel."""
    return _self_attention(query, width, rest[1], rest[3])


def _encoder_layer(value: Shape, width: int, *rest: Any, **__: Any) -> int:
    """Return the FLOPs of a layer of an encoder in one kernel."""
    return _self_attention(value, width, rest[1], rest[3], rest[12], rest[14])


aten = torch.ops.aten
# Operations that torch's own counter leaves out: kernels of a CPU, and those for inference.
FORMULAS = {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
    aten.mkldnn_rnn_layer: _recurrent,
    aten.mkldnn_rnn_layer_backward: _recurrent_backward,
    aten._native_multi_head_attention: _multi_head,
    aten._transformer_encoder_layer_fwd: _encoder_layer,
}
_BY_TENSORS = {operation: shape_wrapper(formula) for operation, formula in FORMULAS.items()}


def flops(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any) -> int | None:
    """Return the FLOPs of a product, a convolution or attention; None of any other operation."""
    packet: Any = getattr(func, "_overloadpacket", None)
    formula = _BY_TENSORS.get(packet) or flop_registry.get(packet)
    return int(formula(*args, **kwargs, out_val=out)) if formula else None


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
    also_read = [] if name in OVERWRITE else overwritten
    return _total([*_distinct(read), *also_read]), _total([*overwritten, *fresh])


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
