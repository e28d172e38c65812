"""Find and change the tensors in what a network returns: a tuple, a dict, a dataclass of them.

Networks of other libraries return more than one tensor, such as the ``ModelOutput`` of Hugging
Face's transformers, which is a dataclass and a dict at once.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

PLAIN = (str, bytes, bool, int, float, complex, type(None))  # values without a tensor in them


# layout of a sparse tensor → the methods that return what it is stored as
PARTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


class UnknownStructure(TypeError):
    """What a network returns is of a class in which no tensors can be found."""


def change_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return a copy of the value with every tensor in it changed, at any depth.

    Args:
        value: a tensor, or a tuple, list, dict or dataclass of such values; None, numbers and texts
            stay as they are.
        change: a function of one tensor.

    Raises:
        UnknownStructure: the value is, or holds, one of another class.
    """
    if isinstance(value, Tensor):
        return change(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        changed = {name: change_tensors(part, change) for name, part in parts.items()}
        return dataclasses.replace(value, **changed)
    if isinstance(value, dict):
        same_class = copy.copy(value)
        same_class.update({key: change_tensors(part, change) for key, part in value.items()})
        return same_class
    if isinstance(value, tuple | list):
        items = [change_tensors(part, change) for part in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    if isinstance(value, PLAIN):
        return value
    raise UnknownStructure(type(value).__name__)


def tensors(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in a value, in the order of `change_tensors`; raise as that does."""
    items: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        items.append(tensor)
        return tensor

    change_tensors(value, keep)
    yield from items


def stored(tensor: Tensor) -> list[Tensor]:
    """Return the tensors whose memory a tensor is: itself, or indices and values of a sparse one.

    There are none of a tensor in a layout of a library, such as oneDNN's.
    """
    if tensor.layout is torch.strided:
        return [tensor]
    return [getattr(tensor, part)() for part in PARTS.get(tensor.layout, ())]


def cut_off(value: Any, network: nn.Module) -> tuple[Any, list[Tensor], list[Tensor]]:
    """Return a network's output with a leaf in place of each tensor that has a gradient.

    Args:
        value: what the network returned.
        network: it is named where its output cannot be cut.

    Returns:
        The copy; the tensors that were replaced; and the leaves in their places, in which the next
        backward pass leaves a cotangent.

    Raises:
        TypeError: no tensors can be found in the output; the message says where the network is
            defined, and what it may return.
    """
    outputs: list[Tensor] = []
    leaves: list[Tensor] = []

    def leaf(tensor: Tensor) -> Tensor:
        if not tensor.requires_grad:  # a mask, or indices
            return tensor
        outputs.append(tensor)
        leaves.append(tensor.detach().requires_grad_())
        return leaves[-1]

    try:
        return change_tensors(value, leaf), outputs, leaves
    except (TypeError, ValueError) as error:
        raise TypeError(refusal(network, value, error)) from None


def detached(value: Any, network: nn.Module) -> Any:
    """Return a network's output with every tensor in it detached; raise as `cut_off` does."""
    try:
        return change_tensors(value, Tensor.detach)
    except (TypeError, ValueError) as error:
        raise TypeError(refusal(network, value, error)) from None


def why_not_cut(value: Any, network: nn.Module) -> str | None:
    """Return why the graph cannot be cut at a network's output, in a sentence; None if it can."""
    try:
        detached(value, network)
    except TypeError as error:
        return str(error)
    return None


def refusal(network: nn.Module, value: Any, error: Exception) -> str:
    """Return in a sentence why a network's output cannot be cut, where it is, and what to do.

    Args:
        network: whose output it is.
        value: the output.
        error: what `change_tensors` raised.
    """
    name, why = type(value).__name__, str(error)
    inside = "" if why == name else f", which holds {why}"
    if not isinstance(error, UnknownStructure):  # its class cannot be built from its parts
        inside = f" ({why.splitlines()[0] if why else type(error).__name__})"
    return (
        f"{_place(network)}{type(network).__name__} returns {name}{inside}, in which no tensors "
        "can be found to cut the graph at: return a tensor, or a tuple, list, dict or dataclass of "
        "tensors"
    )


def _place(network: nn.Module) -> str:
    """Return file and line of the network's forward pass, with a colon; nothing if unknown."""
    code = getattr(inspect.unwrap(type(network).forward), "__code__", None)
    return f"{Path(code.co_filename).name}:{code.co_firstlineno}: " if code else ""
