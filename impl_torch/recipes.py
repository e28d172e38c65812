"""Ways to freeze a part of the networks, one short function each, for any scenario.

A recipe says what requires a gradient, how the losses are computed and pulled back, and what the
optimizer is over. The costs quoted are products (GEMMs) of the backward pass, and activations
saved by the forward pass, of two networks of three Linear layers, the front one frozen; with
nothing frozen they are 11 and 7.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import nn

from impl_torch.problem import Losses, Problem
from impl_torch.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Recipe(Strategy):
    """A strategy, with the parameters that require a gradient and those the optimizer is over."""

    requires_grad: Collection[str]
    optimized: Mapping[str, nn.Parameter]


def of(problem: Problem, strategy: Strategy) -> Recipe:
    """A strategy as a recipe: what is trained requires gradients and is what is optimized."""
    learning = problem.trainable
    return Recipe(**vars(strategy), requires_grad=learning, optimized=learning)


def unfrozen(problem: Problem) -> Recipe:
    """The baseline: everything is trained, by every loss: 11 products, 7 activations."""
    return Recipe(
        forward=lambda: problem.losses(among=problem.reach),
        backward=_backward,
        requires_grad=problem.parameters,
        optimized=problem.parameters,
    )


def requires_grad_false(problem: Problem) -> Recipe:
    """``requires_grad_(False)`` on what is frozen: 5 products, 4 activations.

    Where what is frozen stands behind, 8: its weights' gradients are left out, those of its inputs
    are needed on the way.
    """
    return Recipe(
        forward=problem.losses,
        backward=_backward,
        requires_grad=problem.trainable,
        optimized=problem.trainable,
    )


def no_grad_forward(problem: Problem) -> Recipe:
    """What is frozen stands in front and runs under ``no_grad``: 5 products, 4 activations."""
    _check_front(problem, "no_grad_forward")

    def forward() -> Losses:
        with torch.no_grad():
            value = problem.run_front()
        return problem.losses_behind(value)

    return Recipe(
        forward=forward,
        backward=_backward,
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def detach(problem: Problem) -> Recipe:
    """What is frozen stands in front, its output is detached: 5 products, 7 activations.

    The front's graph is built all the same, and let go at the boundary.
    """
    _check_front(problem, "detach")
    return Recipe(
        forward=lambda: problem.losses_behind(problem.run_front().detach()),
        backward=_backward,
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def grad_of_trainable(problem: Problem) -> Recipe:
    """``autograd.grad`` of the trained part alone: 5 products, but 7 activations are kept."""

    def backward(losses: Losses) -> None:
        inputs = list(problem.trainable.values())
        grads = torch.autograd.grad(reduce(add, losses.values()), inputs)
        for parameter, grad in zip(inputs, grads, strict=True):
            parameter.grad = grad

    return Recipe(
        forward=problem.losses,
        backward=backward,
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def optimizer_only(problem: Problem) -> Recipe:
    """Only the optimizer leaves the frozen part out: 11 products, 7 activations, nothing saved."""
    return Recipe(
        forward=lambda: problem.losses(among=problem.reach),
        backward=_backward,
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def _backward(losses: Losses) -> None:
    reduce(add, losses.values()).backward()


def _check_front(problem: Problem, recipe: str) -> None:
    """Raises ValueError unless all that is frozen stands in front of all that is trained."""
    front = tuple(f"{stage.name}." for stage in problem.stages[: problem.front])
    frozen = [name for name in problem.parameters if name not in problem.trainable]
    if not front or not all(name.startswith(front) for name in frozen):
        raise ValueError(f"{recipe}: what is frozen must stand in front, in networks of its own")


RECIPES: dict[str, Callable[[Problem], Recipe]] = {
    f.__name__: f
    for f in (
        unfrozen,
        requires_grad_false,
        no_grad_forward,
        detach,
        grad_of_trainable,
        optimizer_only,
    )
}
