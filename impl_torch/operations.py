"""Count what a program's operations compute and move: FLOPs, and bytes read and written.

The bytes are those that an operation cannot avoid: each element that it needs is read once, each
that it makes is written once. What is slower than these counts allow is the library's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

# Operations that make a tensor of the shape of another one, whose elements they do not read.
SHAPES_ONLY = ("_like", "aten::new_", "aten::empty")
# In-place operations that do not read what they overwrite.
OVERWRITE = {"aten::fill_", "aten::zero_", "aten::copy_", "aten::normal_", "aten::uniform_"}
# Operations that read of their first tensor only the elements that they return.
PICK = {"aten::embedding", "aten::gather", "aten::index_select", "aten::index"}
# The gradients are declared as written, which they are with a loss scaler alone.
FUSED = {"aten::_fused_adam_", "aten::_fused_adamw_", "aten::_fused_sgd_", "aten::_fused_adagrad_"}

Counted = dict[str, Any]


class Watch(TorchDispatchMode):
    """Count each operation that runs while this dispatch mode is active, equal ones together."""

    def __init__(self) -> None:
        super().__init__()
        self._counted: dict[str, Counted] = {}
        self._passes: set[int] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation, and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        part = self._part()
        key = f"{part} {func} {_layouts(args)} {_layouts(kwargs)} {_layouts(out)}"
        if key not in self._counted:
            self._counted[key] = _described(func, args, kwargs, out) | {"dispatch": part}
        self._counted[key]["count"] += 1
        return out

    def _part(self) -> str:
        """Return the part of a training step that runs now: forward, backward or update."""
        if torch._C._current_autograd_node() is not None:
            self._passes.add(torch._C._current_graph_task_id())
            return "backward"
        return "forward" if torch.is_grad_enabled() else "update"

    def operations(self) -> list[Counted]:
        """Return the operations seen so far, and one entry for the backward passes begun.

        Each has ``name``, ``count``; ``flops`` of one, and the bytes ``read`` and ``written``;
        ``dispatch``, the kind of call that issues it; and ``work``, by which `Calibration.measure`
        can run it alone, or None where its bytes tell how long it takes.
        """
        passes = {"name": "begin a backward pass", "count": len(self._passes), "dispatch": "pass"}
        return [
            *self._counted.values(),
            passes | {"flops": 0, "read": 0, "written": 0, "work": None},
        ]


def _described(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> Counted:
    """Return an operation's name and counts, with a ``count`` of 0."""
    known = flop_registry.get(func._overloadpacket)
    shapes = " ".join("×".join(map(str, t.shape)) for t in _tensors((args, kwargs)) if t.dim())
    read, written = moved_bytes(func, args, kwargs, out)
    alone = known is not None or (bool(written) and _has_time_of_its_own(func))
    return {
        "name": f"{func._overloadpacket.__name__} {shapes}".strip()[:120],
        "count": 0,
        "flops": int(known(*args, **kwargs, out_val=out)) if known else 0,
        "read": read,
        "written": written,
        "work": _work(func, args, kwargs) if alone else None,
    }


def _has_time_of_its_own(func: Any) -> bool:
    """Return whether bytes do not tell the time of an operation, as of a pool or a norm.

    What overwrites its arguments is not run alone: repeated, its numbers may become such that the
    processor takes longer over them. Of a norm these are running means, which settle.
    """
    changes = func._schema.is_mutable and "norm" not in func._schema.name
    return not changes and torch.Tag.pointwise not in func.tags and not func.is_view


def moved_bytes(
    func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], out: Any
) -> tuple[int, int]:
    """Return the bytes that an operation reads, and writes; 0 of one that only makes a view."""
    name = func._schema.name
    read, overwritten = _arguments(func, args, kwargs)
    results = [t for t in _tensors(out) if not any(t is one for one in overwritten)]
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
        given = list(_tensors(by_name.get(argument.name)))
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


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    """Yield the tensors in nested lists, tuples and dicts."""
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _tensors(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _layouts(value: Any) -> Any:
    """Return arguments with a short description in the place of each tensor."""
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.stride(), value.dtype
    if isinstance(value, Mapping):
        return [(name, _layouts(item)) for name, item in value.items()]
    return [_layouts(item) for item in value] if isinstance(value, (list, tuple)) else value


def _work(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Counted | None:
    """Return an operation as JSON data, for `calibration.measure`; None where it is not to be had.

    Tensors become their shape, strides and dtype.
    """
    try:
        return {"op": str(func), "args": _encoded(args), "kwargs": _encoded(kwargs)}
    except TypeError:
        return None


def _encoded(value: Any) -> Any:
    """Return a value as JSON data; raise TypeError for what has no such form."""
    if isinstance(value, torch.Tensor):
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tensor": [list(value.shape), list(value.stride()), dtype]}
    if isinstance(value, Mapping):
        return {name: _encoded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encoded(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")
