"""Define the ways to freeze a part of the networks, one short function each, for any scenario.

A recipe decides which parameters require a gradient, how the losses are computed and pulled back,
and which parameters the optimizer is over. The costs quoted are those of two networks of three
Linear layers each with a loss after each, the front network frozen: products (GEMMs) of the
backward pass, and activations that the forward pass saves for it. With nothing frozen they are 11
products and 7 activations.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import nn

from impl_torch import structure
from impl_torch.problem import Losses, Problem
from impl_torch.recipe_passes import (
    backward_of_sum,
    check_front,
    losses_behind,
    networks_in_front,
    run_front,
)
from impl_torch.runtime import Unavailable
from impl_torch.strategies import Strategy


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hold one way to freeze: how gradients are computed, and what the optimizer makes of them.

    Attributes:
        strategy: how the losses are computed and pulled back.
        requires_grad: names of the parameters that require a gradient.
        optimized: the parameters that the optimizer is over, by name.
        rate_zero: names of those of them that have a learning rate of 0.
    """

    strategy: Strategy
    requires_grad: Collection[str]
    optimized: Mapping[str, nn.Parameter]
    rate_zero: Collection[str] = ()


def from_strategy(problem: Problem, strategy: Strategy) -> Recipe:
    """Make a strategy a recipe: gradients and optimizer are over the trained parameters alone.

    So scenarios with several losses and scenarios with frozen parameters run by the same programs.
    """
    trained = problem.trainable
    return Recipe(strategy=strategy, requires_grad=trained, optimized=trained)


def unfrozen(problem: Problem) -> Recipe:
    """Train everything by every loss, the baseline: 11 products, 7 activations."""
    return Recipe(
        strategy=Strategy(lambda: problem.losses(among=problem.reach), backward_of_sum),
        requires_grad=problem.parameters,
        optimized=problem.parameters,
    )


def requires_grad_false(problem: Problem) -> Recipe:
    """Call ``requires_grad_(False)`` on the frozen parameters: 5 products, 4 activations.

    With the back network frozen instead there are 8 products: the gradients of its weights are
    left out, those of its inputs are needed on the way to the front network.
    """
    return Recipe(
        strategy=Strategy(problem.losses, backward_of_sum),
        requires_grad=problem.trainable,
        optimized=problem.trainable,
    )


def no_grad_forward(problem: Problem) -> Recipe:
    """Run the frozen front networks under ``torch.no_grad``: 5 products, 4 activations.

    Raises:
        ValueError: a frozen parameter does not stand in front of everything that is trained.
    """
    check_front(problem, "no_grad_forward")

    def forward() -> Losses:
        with torch.no_grad():
            value = run_front(problem)
        return losses_behind(problem, value, networks_in_front(problem))

    return Recipe(
        strategy=Strategy(forward, backward_of_sum),
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def detach(problem: Problem) -> Recipe:
    """Detach the output of the frozen front networks: 5 products, 7 activations.

    The graph of the front networks is built all the same, and freed when its output is detached.

    Raises:
        ValueError: a frozen parameter does not stand in front of everything that is trained.
    """
    check_front(problem, "detach")

    def forward() -> Losses:
        output, front = run_front(problem), networks_in_front(problem)
        network = problem.stages[front - 1].network
        return losses_behind(problem, structure.detached(output, network), front)

    return Recipe(
        strategy=Strategy(forward, backward_of_sum),
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def grad_of_trainable(problem: Problem) -> Recipe:
    """Differentiate by the trained parameters alone (``autograd.grad``): 5 products, 7 activations.

    Every parameter requires a gradient, so the forward pass saves the activations of all.
    """

    def backward(losses: Losses) -> None:
        inputs = list(problem.trainable.values())
        grads = torch.autograd.grad(reduce(add, losses.values()), inputs)
        for parameter, grad in zip(inputs, grads, strict=True):
            parameter.grad = grad

    return Recipe(
        strategy=Strategy(problem.losses, backward),
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def optimizer_only(problem: Problem) -> Recipe:
    """Leave the frozen parameters out of the optimizer alone: 11 products, 7 activations.

    Nothing is saved: every gradient is computed, and those of the frozen parameters are not read.
    """
    return Recipe(
        strategy=Strategy(lambda: problem.losses(among=problem.reach), backward_of_sum),
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


def rate_zero(problem: Problem) -> Recipe:
    """Give the frozen parameters a learning rate of 0: 11 products, 7 activations.

    Nothing is saved, and the optimizer keeps a state for what is frozen, too.
    """
    return Recipe(
        strategy=Strategy(lambda: problem.losses(among=problem.reach), backward_of_sum),
        requires_grad=problem.parameters,
        optimized=problem.parameters,
        rate_zero=[name for name in problem.parameters if name not in problem.trainable],
    )


def inference_mode(problem: Problem) -> Recipe:
    """Run the frozen front networks in ``torch.inference_mode``, whose output cannot be saved.

    What is trained behind nearly always saves its input for the backward pass. Where something is
    computed in between, as noise is added, its result is an ordinary tensor: then 5 products.

    Raises:
        ValueError: a frozen parameter does not stand in front of everything that is trained.
        Unavailable: when it runs, what is trained would save an inference tensor.
    """
    check_front(problem, "inference_mode")

    def forward() -> Losses:
        with torch.inference_mode():
            value = run_front(problem)
        try:
            return losses_behind(problem, value, networks_in_front(problem))
        except RuntimeError as error:
            if "Inference tensors cannot be saved" not in str(error):
                raise
            raise Unavailable(
                "what is trained saves its input for the backward pass, and a tensor made in "
                "torch.inference_mode cannot be saved: use no_grad_forward"
            ) from None

    return Recipe(
        strategy=Strategy(forward, backward_of_sum),
        requires_grad=problem.parameters,
        optimized=problem.trainable,
    )


RECIPES: dict[str, Callable[[Problem], Recipe]] = {
    f.__name__: f
    for f in (
        unfrozen,
        requires_grad_false,
        no_grad_forward,
        detach,
        grad_of_trainable,
        optimizer_only,
        rate_zero,
        inference_mode,
    )
}
