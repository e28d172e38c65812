"""Train by a plan: segments of steps, in each of which the turns step one after another.

A turn is a problem over the networks' parameters: which losses it has, and what is frozen in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from impl_torch import optimizers
from impl_torch.problem import Problem
from impl_torch.recipes import RECIPES, Recipe

Steppers = list[torch.optim.Optimizer]


class Training:
    """Hold the optimizers that outlive the segments, and step problems in turns.

    Args:
        optimizer: kind, settings, rates and arrangement; see `optimizers.build`.
        networks: the names of the networks, of which the optimizer makes its groups.
        recipe: the name of the recipe by which each turn freezes, ``requires_grad_false`` by
            default.

    ``factor`` is the product of all changes of the learning rate so far.
    """

    def __init__(
        self, optimizer: Mapping[str, Any], networks: list[str], recipe: str | None = None
    ) -> None:
        self.optimizer = optimizer
        self.networks = networks
        self.recipe = RECIPES[recipe or "requires_grad_false"]
        self.steppers: Steppers = []
        self.factor = 1.0

    def run(self, turns: list[Problem], *, steps: int, rate: float, renew: bool) -> None:
        """Run one segment: ``steps`` times all turns.

        First the learning rates are multiplied by ``rate``. This happens in place, which keeps the
        optimizers' state, or with ``renew`` by new optimizers, which loses it. Parameters that are
        trained for the first time join the first optimizer as a new group.
        """
        recipes = [(problem, self.recipe(problem)) for problem in turns]
        self._adjust(recipes, rate, renew)
        for _ in range(steps):
            for problem, recipe in recipes:
                self._turn(problem, recipe)

    def _turn(self, problem: Problem, recipe: Recipe) -> None:
        """Step one turn: compute gradients by its recipe, then step the optimizers over them."""
        # also clears every gradient: one left by another turn must not be applied in this turn
        problem.require_grad(recipe.requires_grad)
        recipe.strategy.backward(recipe.strategy.forward())
        for name in set(recipe.requires_grad) - set(recipe.optimized):
            problem.parameters[name].grad = None  # an optimizer may be over frozen parameters too
        for stepper in optimizers.containing(self.steppers, recipe.optimized):
            stepper.step()

    def _adjust(self, recipes: list[tuple[Problem, Recipe]], rate: float, renew: bool) -> None:
        """Bring the optimizers to the state that a segment starts from.

        Args:
            recipes: each turn of the segment with its recipe.
            rate: the factor of all learning rates.
            renew: whether new optimizers replace the present ones.
        """
        trained = {n: p for _, recipe in recipes for n, p in recipe.optimized.items()}
        if renew or not self.steppers:
            self.steppers = optimizers.build(self.optimizer, self.networks, trained)
            optimizers.scale_rates(self.steppers, self.factor)
        optimizers.extend(self.steppers, trained, self.factor)
        optimizers.scale_rates(self.steppers, rate)
        self.factor *= rate
