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

from impl_torch.structure import stored


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
    """Return a floating-point tensor in this dtype, a complex one of such parts, others as is."""
    wanted = _in_kind(tensor, dtype)
    if tensor.dtype == wanted:
        return tensor
    changed = tensor.detach().to(wanted)
    return changed.requires_grad_() if tensor.requires_grad and tensor.is_leaf else changed


def convert_module(module: nn.Module, dtype: torch.dtype) -> None:
    """Convert the floating-point and complex parameters and buffers of a module, in place.

    ``module.to(dtype)`` would leave of a complex buffer, as rotary positions are, the real part.
    """
    module._apply(lambda tensor: tensor.to(_in_kind(tensor, dtype)))


def _in_kind(tensor: Tensor, dtype: torch.dtype) -> torch.dtype:
    """Return the dtype that a tensor gets where floating-point numbers get this one."""
    if tensor.is_floating_point():
        return dtype
    return dtype.to_complex() if tensor.is_complex() else tensor.dtype


def convert_closure(function: Callable[..., Any], dtype: torch.dtype) -> None:
    """Convert the floating-point tensors and modules that a function closes over, in place.

    These are class weights, a fixed feature extractor and the like, which a case need not name.
    Functions inside the closure are followed.
    """
    for cell in _cells(function, set()):
        contents = cell.cell_contents
        if isinstance(contents, nn.Module):
            convert_module(contents, dtype)
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
    hashed = hashlib.sha256(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
    for part in stored(tensor.detach().resolve_conj().resolve_neg().cpu()):
        if part.numel():
            raw = part.contiguous().reshape(-1).view(torch.uint8)
            hashed.update(raw.numpy().tobytes())
    return hashed.hexdigest()[:16]


# arguments of operations that may draw → the value with which they draw nothing
DRAWING_NOTHING = {"dropout_p": 0.0, "dropout": 0.0, "train": False, "training": False}


class DrawAsFloat32(TorchDispatchMode):
    """Draw every random number of float64 in float32, so that both dtypes see the same numbers.

    torch's generators yield other numbers for another dtype. In this mode `torch.randn` and its
    kin draw what they draw in float32, and convert.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run one operation; one that draws numbers of float64 in float32."""
        kwargs = kwargs or {}
        draws = torch.Tag.nondeterministic_seeded in func.tags
        if draws and _makes_float64(func, args, kwargs) and not _draws_nothing(func, args, kwargs):
            return _drawn_in_float32(func, args, kwargs)
        return func(*args, **kwargs)


def _makes_float64(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether an operation draws numbers of float64, by its tensors or by its dtype."""
    if func is torch.ops.aten.native_dropout.default:  # its mask does not depend on the dtype
        return False
    dtype, given = kwargs.get("dtype"), [t.dtype for _, t in tensors((args, dict(kwargs)), "")]
    if given and dtype is None:
        return torch.float64 in given
    whole = "rand" in func.__name__ and ("int" in func.__name__ or "perm" in func.__name__)
    if whole or "dtype" not in {argument.name for argument in func._schema.arguments}:
        return False
    return (dtype or torch.get_default_dtype()) == torch.float64


def _draws_nothing(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether an operation that may draw is told not to, such as attention without dropout.

    What it computes must not be rounded to float32.
    """
    given = _by_name(func, args, kwargs)
    return any(given.get(name) == value for name, value in DRAWING_NOTHING.items())


def _drawn_in_float32(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """Run an operation in float32; return its results, and what it writes into, in float64."""
    narrow_args, narrow_kwargs = _in(torch.float32, (args, dict(kwargs)))
    if "dtype" in kwargs:
        narrow_kwargs["dtype"] = torch.float32
    drawn = func(*narrow_args, **narrow_kwargs)
    written = _written_back(func, (args, kwargs), (narrow_args, narrow_kwargs))

    def widened(tensor: Tensor) -> Tensor:
        return written[id(tensor)] if id(tensor) in written else _in(torch.float64, tensor)

    return map_tensors(drawn, widened)


def _written_back(func: Any, call: Any, narrow_call: Any) -> dict[int, Tensor]:
    """Copy what a call in float32 has written into the tensors that the user's call names.

    Returns:
        Identity of each tensor of the call in float32 that is written into → the user's.
    """
    own, narrow = (_by_name(func, *one) for one in (call, narrow_call))
    written: dict[int, Tensor] = {}
    for argument in func._schema.arguments:
        into = own.get(argument.name)
        if argument.alias_info is None or not argument.alias_info.is_write or into is None:
            continue
        made = narrow[argument.name]
        if into.shape != made.shape:  # ``out=`` of another shape takes that of the result
            into.resize_(made.shape)
        if into is not made:
            into.copy_(made)
        written[id(made)] = into
    return written


def _by_name(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return name → value of the arguments of a call of an operation, defaults included."""
    known = func._schema.arguments
    defaults = {a.name: a.default_value for a in known if a.has_default_value()}
    return {**defaults, **dict(zip((a.name for a in known), args, strict=False)), **kwargs}


def _in(dtype: torch.dtype, values: Any) -> Any:
    """Return nested values with their tensors of float32 and float64 in this dtype."""
    both = (torch.float32, torch.float64)
    return map_tensors(values, lambda t: t.to(dtype) if t.dtype in both else t)
