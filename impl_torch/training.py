"""Train by a plan: segments of steps, in each of which the turns step one after another.

A turn is a problem over the networks' parameters: which losses it has, and what is frozen in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from math import prod
from operator import add
from typing import Any

import torch

from impl_torch import averaging, optimizers
from impl_torch.problem import Problem
from impl_torch.recipe_passes import losses_behind
from impl_torch.recipes import RECIPES, Recipe
from impl_torch.structure import detached

Steppers = list[torch.optim.Optimizer]


class Training:
    """Hold the optimizers that outlive the segments, and step problems in turns.

    Args:
        optimizer: kind, settings, rates and arrangement; see `optimizers.build`.
        networks: the names of the networks, of which the optimizer makes its groups.
        recipe: the name of the recipe by which each turn freezes, ``requires_grad_false`` by
            default.

    ``changes`` lists each change of learning rates so far: its factor, and the labels of the
    parameter groups that it is of, none for all.
    """

    def __init__(
        self, optimizer: Mapping[str, Any], networks: list[str], recipe: str | None = None
    ) -> None:
        self.optimizer = optimizer
        self.networks = networks
        self.recipe = RECIPES[recipe or "requires_grad_false"]
        self.steppers: Steppers = []
        self.changes: list[tuple[float, Sequence[str]]] = []

    def run(
        self,
        turns: list[Problem],
        *,
        steps: int,
        rate: float,
        renew: bool,
        only: Sequence[str] = (),
        share_forward: bool = False,
        follower: Mapping[str, Any] | None = None,
    ) -> None:
        """Run one segment: ``steps`` times all turns.

        First the learning rates are multiplied by ``rate``: those of the parameter groups whose
        labels are in ``only``, or all if it is empty. This happens in place, which keeps the
        optimizers' state, or with ``renew`` by new optimizers, which loses it. Parameters that are
        trained for the first time join the first optimizer as a new group. With ``share_forward``
        the network in front runs forward once for all turns of a round. After each round the
        ``follower`` follows its leader; its entries are arguments of `averaging.follow`.

        Raises ValueError for a label that no group has, and for turns that cannot share.
        """
        recipes = [(problem, self.recipe(problem)) for problem in turns]
        self._adjust(recipes, rate, renew, only)
        for _ in range(steps):
            if share_forward:
                self._round_over_one_forward(recipes)
            else:
                for problem, recipe in recipes:
                    self._turn(problem, recipe)
            if follower:
                averaging.follow(turns[0], **follower)

    def _turn(self, problem: Problem, recipe: Recipe) -> None:
        """Step one turn: compute gradients by its recipe, then step the optimizers over them."""
        # also clears every gradient: one left by another turn must not be applied in this turn
        problem.require_grad(recipe.requires_grad)
        recipe.strategy.backward(recipe.strategy.forward())
        self._step(problem, recipe)

    def _round_over_one_forward(self, recipes: list[tuple[Problem, Recipe]]) -> None:
        """Step the turns of a round over one forward pass of the network in front.

        A turn that trains this network pulls its gradient back through that pass, though what
        stands behind may have stepped since. Every other turn takes the output detached.
        """
        front = front_of_turns([problem for problem, _ in recipes])
        front.require_grad(front.trainable)
        value, _ = front.run_stage(front.stages[0], front.data["x"], among=())
        for problem, recipe in recipes:
            problem.require_grad(recipe.requires_grad)
            entering = value if trains_front(problem) else detached(value, front.stages[0].network)
            reduce(add, losses_behind(problem, entering, 1).values()).backward()
            self._step(problem, recipe)

    def _step(self, problem: Problem, recipe: Recipe) -> None:
        """Step the optimizers over what the recipe optimizes, by the gradients that are there."""
        for name in set(recipe.requires_grad) - set(recipe.optimized):
            problem.parameters[name].grad = None  # an optimizer may be over frozen parameters too
        for stepper in optimizers.containing(self.steppers, recipe.optimized):
            stepper.step()

    def _adjust(
        self,
        recipes: list[tuple[Problem, Recipe]],
        rate: float,
        renew: bool,
        only: Sequence[str],
    ) -> None:
        """Bring the optimizers to the state that a segment starts from.

        Args:
            recipes: each turn of the segment with its recipe.
            rate: the factor of the learning rates.
            renew: whether new optimizers replace the present ones.
            only: labels of the groups whose rates change; empty for all.
        """
        if len(recipes) > 1 and any(recipe.rate_zero for _, recipe in recipes):
            raise ValueError(
                f"{self.recipe.__name__} sets rates in the optimizer, which the turns share; "
                "use requires_grad_false for several turns"
            )
        trained = {n: p for _, recipe in recipes for n, p in recipe.optimized.items()}
        if renew or not self.steppers:
            self.steppers = optimizers.build(self.optimizer, self.networks, trained)
            for factor, labels in self.changes:
                optimizers.scale_rates(self.steppers, factor, labels)
        common = prod(factor for factor, labels in self.changes if not labels)
        optimizers.extend(self.steppers, trained, common)
        optimizers.check_labels(optimizers.labels(self.steppers), only)
        optimizers.scale_rates(self.steppers, rate, only)
        for _, recipe in recipes:
            still = [recipe.optimized[name] for name in recipe.rate_zero]
            optimizers.set_rate_zero(self.steppers, still)
        self.changes.append((rate, only))


def front_of_turns(turns: list[Problem]) -> Problem:
    """Return the turn that trains the network in front, whose forward pass all share.

    Raises ValueError unless there is just one, and where that network has a loss of its own: a
    second one would pull its gradient back through weights that the first has stepped.
    """
    training = [problem for problem in turns if trains_front(problem)]
    if len(training) != 1 or any(problem.stages[0].losses for problem in turns):
        raise ValueError(
            f"share_forward: one turn must train the network in front, not {len(training)} of "
            f"{len(turns)}, and no turn may have a loss at its output; leave share_forward out"
        )
    return training[0]


def trains_front(problem: Problem) -> bool:
    """Return whether a parameter of the first network is trained."""
    names = problem.with_tied(problem.trainable)
    return any(name.startswith(f"{problem.stages[0].name}.") for name in names)
