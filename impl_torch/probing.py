"""Look at how a problem runs: dtypes of its inputs, random numbers, distance from a kink."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from impl_torch.branches import Nearest
from impl_torch.graph_problem import generator_states
from impl_torch.problem import Problem

REPEATS = 20  # runs in which a rare draw has to show, such as that of a Dropout of 1 %


def input_dtypes(problem: Problem) -> dict[str, str]:
    """Return the dtype of each input and target as the networks get it, such as ``float32``."""
    return {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in problem.data.items()}


def random_part(problem: Problem) -> str | None:
    """Return what draws random numbers when the problem runs; None where nothing does.

    Two runs from the same weights, buffers and data are compared. Where the random number
    generators have moved although both came out alike, as a small Dropout may do, more follow.
    The innermost module that gives different outputs for equal inputs is named with its class.
    """
    before = generator_states()
    first = _run(problem)
    for _ in range(REPEATS):
        if not _same(first, _run(problem)):
            return _differing_module(problem)
        if generator_states() == before:
            return None
    return None


def _run(problem: Problem) -> list[torch.Tensor]:
    """Run every loss once from the buffers that were loaded, and return the losses."""
    with torch.no_grad():
        problem.restore_buffers()
        losses = problem.losses(among=problem.reach)
        problem.restore_buffers()
    return list(losses.values())


@dataclass(frozen=True)
class _Call:
    """Hold one call of a module: its tensors on the way in and on the way out."""

    module: nn.Module
    inputs: list[torch.Tensor]
    outputs: list[torch.Tensor]


def _differing_module(problem: Problem) -> str:
    """Return the name and class of the first module that differs from one run to the next."""
    first = _recorded(problem)
    for _ in range(REPEATS):
        for one, other in zip(first, _recorded(problem), strict=False):
            inside = one.module is other.module and _same(one.inputs, other.inputs)
            if inside and not _same(one.outputs, other.outputs):
                return _described(problem, one.module)
    return "a link or a loss"


def _recorded(problem: Problem) -> list[_Call]:
    """Run every loss once, and return each call of a module in the order in which they ended."""
    calls: list[_Call] = []

    def record(module: nn.Module, inputs: Any, output: Any) -> None:
        calls.append(_Call(module, _tensors(inputs), _tensors(output)))

    handle = nn.modules.module.register_module_forward_hook(record)
    try:
        _run(problem)
    finally:
        handle.remove()
    return calls


def _tensors(value: Any) -> list[torch.Tensor]:
    """Return copies of the tensors in a tensor, tuple, list or dict, and in those inside it."""
    if isinstance(value, torch.Tensor):
        return [value.detach().clone()]
    values = value.values() if isinstance(value, dict) else value
    if not isinstance(value, (tuple, list, dict)):
        return []
    return [tensor for one in values for tensor in _tensors(one)]


def _same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    """Return whether these tensors are equal up to rounding; NaN is equal to NaN."""
    return len(one) == len(other) and all(
        a.shape == b.shape
        and (a.dtype == b.dtype)
        and bool(torch.isclose(a, b, rtol=_rounding(a), atol=0.0, equal_nan=True).all())
        for a, b in zip(one, other, strict=True)
    )


def _rounding(tensor: torch.Tensor) -> float:
    """Return the relative difference that two orders of the same sum can make."""
    return 100 * torch.finfo(tensor.dtype).eps if tensor.dtype.is_floating_point else 0.0


def _described(problem: Problem, module: nn.Module) -> str:
    """Return a module's canonical name and, in brackets, its class with its settings."""
    names = [
        f"{stage.name}.{name}".rstrip(".")
        for stage in problem.stages
        for name, one in stage.network.named_modules()
        if one is module
    ]
    kind, settings = type(module).__name__, module.extra_repr()
    return f"{names[0] if names else 'a module'} ({kind}{', ' if settings else ''}{settings})"


def kink_distance(problem: Problem) -> float:
    """Return the smallest distance of any activation from a kink.

    It is relative to the largest absolute value of the activation's tensor. At a kink two
    frameworks may return different gradients, and both be right. ReLU and LeakyReLU have a kink
    at 0; max-pooling has one where the two largest values of a window are equal. Two zeros in a
    window behind a ReLU are no kink: the ReLU stops the gradient of either. A choice of the nearest
    has one where the two smallest distances are equal.
    """
    distances = [1.0]
    with torch.no_grad(), _inputs_of_kinked() as inputs:
        problem.losses(among=problem.reach)
    for module, value in inputs:
        distances.append(float(_kink_distance(module, value) / value.abs().max()))
    return min(distances)


@contextmanager
def _inputs_of_kinked() -> Iterator[list[tuple[nn.Module, torch.Tensor]]]:
    """Yield a list that collects (module, input) of every module with a kink as it runs."""
    recorded: list[tuple[nn.Module, torch.Tensor]] = []

    def record(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, (nn.ReLU, nn.LeakyReLU, nn.MaxPool2d, Nearest)):
            recorded.append((module, inputs[0].detach().clone()))

    handle = nn.modules.module.register_module_forward_pre_hook(record)
    try:
        yield recorded
    finally:
        handle.remove()


def _kink_distance(module: nn.Module, value: torch.Tensor) -> torch.Tensor:
    """Return the smallest distance of any element of the module's input from a kink."""
    if isinstance(module, Nearest):
        smallest, second = value.topk(2, dim=-1, largest=False).values.unbind(-1)
        return (second - smallest).min()
    if not isinstance(module, nn.MaxPool2d):
        return value.abs().min()
    windows = F.unfold(value.flatten(0, 1)[:, None], module.kernel_size, stride=module.stride)
    largest, second = windows.topk(2, dim=1).values.unbind(1)
    return (largest - second)[largest > 0].min()
