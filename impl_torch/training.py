"""Training by a plan: segments of steps, each step one turn after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from impl_torch import optimizers
from impl_torch.problem import Problem
from impl_torch.recipes import RECIPES, Recipe

Steppers = list[torch.optim.Optimizer]


class Training:
    """Problems over the same parameters, taken in turns, and the optimizers that outlive them.

    ``optimizer`` is kind, settings, rates and arrangement; ``networks`` are the names that make
    its groups; ``recipe`` how the turns freeze what they do not train.
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
        """One segment: ``steps`` times all turns.

        Before it the learning rates are multiplied by ``rate``: in place, their optimizer's state
        kept, or with ``renew`` by new optimizers, that state lost. What is trained from here on
        and was not before joins the first optimizer as a new group.
        """
        recipes = [(problem, self.recipe(problem)) for problem in turns]
        self._adjust(recipes, rate, renew)
        for _ in range(steps):
            for problem, recipe in recipes:
                self._turn(problem, recipe)

    def _turn(self, problem: Problem, recipe: Recipe) -> None:
        # clears every gradient: what another turn left must not be applied in this one
        problem.require_grad(recipe.requires_grad)
        recipe.backward(recipe.forward())
        for name in set(recipe.requires_grad) - set(recipe.optimized):
            problem.parameters[name].grad = None  # an optimizer may hold who rests in this turn
        for stepper in optimizers.holding(self.steppers, recipe.optimized):
            stepper.step()

    def _adjust(self, recipes: list[tuple[Problem, Recipe]], rate: float, renew: bool) -> None:
        learning = {n: p for _, recipe in recipes for n, p in recipe.optimized.items()}
        if renew or not self.steppers:
            self.steppers = optimizers.build(self.optimizer, self.networks, learning)
            optimizers.scale_rates(self.steppers, self.factor)
        optimizers.extend(self.steppers, learning, self.factor)
        optimizers.scale_rates(self.steppers, rate)
        self.factor *= rate
