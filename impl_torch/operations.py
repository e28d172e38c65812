"""Count what a program's operations compute and move: FLOPs, and bytes read and written.

The bytes are those that an operation cannot avoid: each element that it needs is read once, each
that it makes is written once. What is slower than these counts allow is the library's affair.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from impl_torch.operation_arguments import flops, moved_bytes, tensors
from impl_torch.structure import stored

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
    known = flops(func, args, kwargs, out)
    shapes = " ".join("×".join(map(str, t.shape)) for t in tensors((args, kwargs)) if t.dim())
    read, written = moved_bytes(func, args, kwargs, out)
    alone = known is not None or (bool(written) and _has_time_of_its_own(func))
    return {
        "name": f"{func._overloadpacket.__name__} {shapes}".strip()[:120],
        "count": 0,
        "flops": known or 0,
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


def _layouts(value: Any) -> Any:
    """Return arguments with a short description in the place of each tensor."""
    if isinstance(value, torch.Tensor):
        parts = [(tuple(t.shape), t.stride(), t.dtype) for t in stored(value)]
        return tuple(value.shape), value.layout, parts
    if isinstance(value, Mapping):
        return [(name, _layouts(item)) for name, item in value.items()]
    return [_layouts(item) for item in value] if isinstance(value, (list, tuple)) else value


def _work(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Counted | None:
    """Return an operation as JSON data, for `calibration.measure`; None where it is not to be had.

    Tensors become their shape, strides and dtype.
    """
    try:
        return {"op": str(func), "args": encoded(args), "kwargs": encoded(kwargs)}
    except TypeError:
        return None


def encoded(value: Any) -> Any:
    """Return a value as JSON data; raise TypeError for what has no such form."""
    if isinstance(value, torch.Tensor) and value.layout is torch.strided:
        dtype = str(value.dtype).removeprefix("torch.")
        return {"tensor": [list(value.shape), list(value.stride()), dtype]}
    if isinstance(value, Mapping):
        return {name: encoded(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    if value is None or type(value) in (bool, int, float, str):
        return value
    raise TypeError(f"{type(value).__name__} has no form in JSON")
