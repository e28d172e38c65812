"""Say what one training step has done: a backward pass, a change by an optimizer, its size."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

Graph = set[Any]


@dataclass
class Pass:
    """Hold one backward pass of a step that was not started inside another.

    Attributes:
        adds: whether it adds into ``.grad`` of whatever it reaches, as ``.backward()`` does.
        nodes: the graph that it walked, without its leaves.
        mergeable: whether it walked again what an earlier pass of this step had walked, nothing
            having been stepped, cleared or changed in between: one pass from both would do.
        left: ``.grad`` of each parameter as it left it.
    """

    adds: bool
    nodes: Graph
    mergeable: bool = False
    left: dict[str, Tensor | None] = field(default_factory=dict)


@dataclass
class Move:
    """Hold one change of one parameter by one step of an optimizer.

    Attributes:
        step: number of the training step, from 0.
        name: of the parameter.
        by: class of the optimizer.
        optimizer: its identity.
        size: largest change of an element.
        gradient: ``.grad`` as the optimizer found it: ``none``, ``zero`` or ``value``.
        fresh: whether that gradient had grown since the last change.
        accumulated: whether any backward pass of the recorded steps had reached the parameter.
        required: whether the parameter required a gradient.
        decay, rate: weight decay and learning rate of its group.
        inside: whether the optimizer stepped inside a backward pass.
        wraps: whether another optimizer stepped inside this step: it is a wrapper of that one.
    """

    step: int
    name: str
    by: str
    optimizer: int
    size: float
    gradient: str
    fresh: bool
    accumulated: bool
    required: bool
    decay: float
    rate: float
    inside: bool
    wraps: bool


def change(before: Tensor, after: Tensor) -> float:
    """Return the largest absolute difference of an element; 0 where every bit is the same.

    NaN in both is no change; NaN in one of them, or another shape, is infinite.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        return float("inf")
    one, two = before.detach(), after.detach()
    differs = (one != two) & ~(one.isnan() & two.isnan())
    if not bool(differs.any()):
        return 0.0
    largest = float((one - two).abs()[differs].double().max())
    return largest if largest == largest else float("inf")


def graph(roots: list[Tensor]) -> Graph:
    """Return the operations that a backward pass from these tensors walks, without its leaves."""
    waiting = [root.grad_fn for root in roots if isinstance(root, Tensor) and root.grad_fn]
    found: Graph = set()
    while waiting:
        node = waiting.pop()
        if node in found or not node.next_functions:  # a leaf is followed by nothing
            continue
        found.add(node)
        waiting += [following for following, _ in node.next_functions if following is not None]
    return found


def as_roots(tensors: Any) -> list[Tensor]:
    """Return what a backward pass was started from as a list."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def state(gradient: Tensor | None) -> str:
    """Return ``none``, ``zero`` (every element exactly) or ``value``."""
    if gradient is None:
        return "none"
    return "value" if bool(gradient.any()) else "zero"


def norm(tensors: list[Tensor]) -> float:
    """Return the norm of these tensors taken together."""
    return float(torch.stack([t.double().norm() for t in tensors]).norm())
