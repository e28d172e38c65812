"""Read and convert what a user's case is made of: nested values, closures, random draws."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import CellType
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode


class CaseError(Exception):
    """Report a case that cannot be run: what is wrong, and what to write (``mend``)."""

    def __init__(self, message: str, mend: str) -> None:
        super().__init__(message)
        self.mend = mend


def takes_networks(losses: Callable[..., Any]) -> bool:
    """Return whether a user's ``losses`` takes (networks, batch) and not the batch alone."""
    try:
        parameters = inspect.signature(losses).parameters.values()
    except (TypeError, ValueError):  # of a builtin
        return False
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needed = [p for p in parameters if p.kind in kinds and p.default is inspect.Parameter.empty]
    return len(needed) == 2


def map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a nested value with every tensor replaced by ``change(tensor)``.

    Looked into are mappings, lists, tuples, named tuples and dataclasses; anything else is returned
    as it is.
    """
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, Mapping):
        return _like(value, {key: map_tensors(one, change) for key, one in value.items()})
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(map_tensors(one, change) for one in value))
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(one, change) for one in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if field.init]
        return dataclasses.replace(
            value, **{name: map_tensors(getattr(value, name), change) for name in names}
        )
    return value


def _like(value: Mapping[Any, Any], changed: dict[Any, Any]) -> Any:
    """Return a mapping of the same type with these items; a plain dict where it has no copy."""
    if type(value) is dict:
        return changed
    try:
        copied: Any = copy.copy(value)
        copied.update(changed)
    except Exception:  # a mapping of the user's that cannot be copied
        return changed
    return copied


def tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    """Yield (name, tensor) of every tensor in a nested value, in the order of `map_tensors`."""
    items: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        items.append(tensor)
        return tensor

    map_tensors(value, keep)
    yield from ((f"{name}[{i}]" if len(items) > 1 else name, one) for i, one in enumerate(items))


def converted(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a floating-point tensor in this dtype, any other as it is."""
    if not tensor.is_floating_point() or tensor.dtype == dtype:
        return tensor
    changed = tensor.detach().to(dtype)
    return changed.requires_grad_() if tensor.requires_grad and tensor.is_leaf else changed


def convert_closure(function: Callable[..., Any], dtype: torch.dtype) -> None:
    """Convert the floating-point tensors and modules that a function closes over, in place.

    These are class weights, a fixed feature extractor and the like, which a case need not name.
    Functions inside the closure are followed.
    """
    for cell in _cells(function, set()):
        contents = cell.cell_contents
        if isinstance(contents, nn.Module):
            contents.to(dtype)
        elif not callable(contents):
            cell.cell_contents = map_tensors(contents, lambda tensor: converted(tensor, dtype))


def closed_over_modules(function: Callable[..., Any]) -> list[nn.Module]:
    """Return the modules that a function closes over, itself or through other functions."""
    contents = [cell.cell_contents for cell in _cells(function, set())]
    return [value for value in contents if isinstance(value, nn.Module)]


def _cells(function: Any, seen: set[int]) -> Iterator[CellType]:
    """Yield the filled cells of a function's closure, and those of functions inside them."""
    if id(function) in seen:
        return
    seen.add(id(function))
    for cell in getattr(inspect.unwrap(function), "__closure__", None) or ():
        try:
            contents = cell.cell_contents
        except ValueError:  # the cell is empty: the name is bound later, or never
            continue
        yield cell
        if inspect.isfunction(contents):
            yield from _cells(contents, seen)


def digest(tensor: Tensor) -> str:
    """Return a short hash of a tensor's shape, dtype and elements."""
    plain = tensor.detach().cpu().contiguous()
    raw = plain.reshape(-1).view(torch.uint8) if plain.numel() else plain
    parts = (str(tuple(plain.shape)), str(plain.dtype), raw.numpy().tobytes())
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(part if isinstance(part, bytes) else part.encode())
    return hashed.hexdigest()[:16]


class DrawAsFloat32(TorchDispatchMode):
    """Draw every random number of float64 in float32, so that both dtypes see the same numbers.

    torch's generators yield other numbers for another dtype. In this mode `torch.randn` and its
    kin draw what they draw in float32, and convert.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation; a random one in float32."""
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        first = args[0] if args and isinstance(args[0], Tensor) else None
        if first is None:
            return self._draw_new(func, args, kwargs)
        if first.dtype != torch.float64:
            return func(*args, **kwargs)
        if func._schema.name.rpartition("::")[2].endswith("_"):
            drawn = func(first.to(torch.float32), *args[1:], **kwargs)
            return first.copy_(drawn)
        if func is torch.ops.aten.native_dropout.default:  # its mask does not depend on the dtype
            return func(*args, **kwargs)
        drawn = func(*_in(torch.float32, args), **kwargs)
        return _in(torch.float64, drawn)

    @staticmethod
    def _draw_new(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run an operation that makes a new tensor of random numbers, in float32."""
        wanted = kwargs.get("dtype") or torch.get_default_dtype()
        whole = "rand" in func.__name__ and ("int" in func.__name__ or "perm" in func.__name__)
        if (
            whole
            or wanted != torch.float64
            or "dtype" not in {a.name for a in func._schema.arguments}
        ):
            return func(*args, **kwargs)
        return func(*args, **(kwargs | {"dtype": torch.float32})).to(torch.float64)


def _in(dtype: torch.dtype, values: Any) -> Any:
    """Return nested values with their floating-point tensors in this dtype."""
    return map_tensors(values, lambda t: t.to(dtype) if t.is_floating_point() else t)
