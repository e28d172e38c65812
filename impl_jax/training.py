"""Train by a plan: segments of steps, in each of which the turns step one after another.

A turn is a problem over the networks' parameters: which losses it has, and what is frozen in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import optax

from impl_jax import optimizers
from impl_jax.problem import Buffers, Parameters, Problem
from impl_jax.recipes import RECIPES, Gradient, Recipe, unwrapped


@dataclass(frozen=True)
class Turn:
    """Hold a problem that is stepped, its gradient, and the optimizer of its recipe."""

    problem: Problem
    recipe: Recipe
    transformation: optax.GradientTransformation
    gradient: Gradient

    @cached_property
    def update(self) -> Any:
        """The compiled update: (gradients, state, parameters) → (parameters, state)."""

        def update(grads: Parameters, state: Any, parameters: Parameters) -> Any:
            updates, state = self.transformation.update(grads, state, parameters)
            return optax.apply_updates(parameters, updates), state

        return jax.jit(update)


class Training:
    """Hold parameters and optimizer state, which outlive the segments, and step problems in turns.

    Args:
        optimizer: kind, settings, rates and arrangement; see `optimizers.build`.
        networks: the names of the networks, of which the optimizer makes its groups.
        parameters: all parameters at the start.
        buffers: all buffers at the start.
        recipe: the name of the recipe by which each turn freezes, ``grad_of_trainable`` by default.
        compiled: gradients → the same, jitted. A caller that passes the same dict again finds the
            programs of an earlier training in it: the gradients of recipes are hashable, and equal
            where their problems are.

    Arrays are immutable: each step replaces ``parameters``, ``buffers`` and ``state``. ``factor``
    is the product of all changes of the learning rate so far.
    """

    def __init__(
        self,
        optimizer: Mapping[str, Any],
        networks: list[str],
        parameters: Parameters,
        buffers: Buffers,
        recipe: str | None = None,
        compiled: dict[Gradient, Gradient] | None = None,
    ) -> None:
        self.compiled = {} if compiled is None else compiled
        self.optimizer = optimizer
        self.networks = networks
        self.recipe = RECIPES[recipe or "grad_of_trainable"]
        self.parameters = parameters
        self.buffers = buffers
        self.state: Any = None
        self.factor = 1.0

    def run(self, turns: list[Problem], *, steps: int, rate: float, renew: bool) -> None:
        """Run one segment: ``steps`` times all turns.

        First the learning rates are multiplied by ``rate``. This happens in the state, which keeps
        the rest of it, or with ``renew`` by a new optimizer, which loses it. Parameters that are
        trained for the first time get a state of their own beside those of the others.

        Raises ValueError for several turns that would need one common update.
        """
        recipes = [self.recipe(problem) for problem in turns]
        if len(turns) > 1 and any(r.wrap_optimizer is not unwrapped for r in recipes):
            raise ValueError(
                f"{self.recipe.__name__} wraps the optimizer, whose state the turns share; "
                "use grad_of_trainable or stop_gradient for several turns"
            )
        if len(turns) > 1 and self.optimizer["arrangement"] != "separate":
            raise ValueError(
                f"arrangement {self.optimizer['arrangement']!r} makes one update of all networks, "
                "and a turn has gradients of some; use 'separate' for several turns"
            )
        trained = list(dict.fromkeys(name for r in recipes for name in r.step_parameters))
        own = optimizers.build(self.optimizer, self.networks, trained, adjustable=True)
        compiled = [
            Turn(problem, recipe, recipe.wrap_optimizer(own), self._jitted(recipe.gradient))
            for problem, recipe in zip(turns, recipes, strict=True)
        ]
        self._adjust(compiled[0].transformation, trained, rate, renew)
        for _ in range(steps):
            for turn in compiled:
                self._turn(turn)

    def _jitted(self, gradient: Gradient) -> Gradient:
        """Return this gradient function jitted, from ``compiled`` if it is there already."""
        return self.compiled.setdefault(gradient, jax.jit(gradient))

    def _turn(self, turn: Turn) -> None:
        """Step one turn: compute its gradients, and replace parameters, state and buffers."""
        stepped = {name: self.parameters[name] for name in turn.recipe.step_parameters}
        rest = {n: p for n, p in self.parameters.items() if n not in stepped}
        constants = {**turn.problem.constants, "frozen": rest, "buffers": self.buffers}
        grads, buffers = turn.gradient(stepped, constants)
        stepped, self.state = turn.update(grads, self.state, stepped)
        self.parameters = {**self.parameters, **stepped}
        self.buffers = {**self.buffers, **buffers}

    def _adjust(
        self, optimizer: optax.GradientTransformation, trained: list[str], rate: float, renew: bool
    ) -> None:
        """Bring the optimizer's state to the one that a segment starts from.

        Args:
            optimizer: makes the state of a new optimizer over the trained parameters.
            trained: names of the parameters that the segment steps.
            rate: the factor of all learning rates.
            renew: whether the state of a new optimizer replaces the present one.
        """
        parameters = {name: self.parameters[name] for name in trained}
        fresh = optimizers.scale_rates(optimizer.init(parameters), self.factor)
        if renew or self.state is None:
            self.state = fresh
        elif self.optimizer["arrangement"] == "separate":
            self.state = {**fresh, **self.state}  # a label that is there keeps its moments
        self.state = optimizers.scale_rates(self.state, rate)
        self.factor *= rate
