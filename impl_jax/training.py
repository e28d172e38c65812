"""Training by a plan: segments of steps, each step one turn after the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import optax

from impl_jax import optimizers
from impl_jax.problem import Buffers, Parameters, Problem
from impl_jax.recipes import RECIPES, Gradient, Recipe, as_it_is


@dataclass(frozen=True)
class Turn:
    """A problem that is stepped: its gradient, and what the optimizer makes of it."""

    problem: Problem
    recipe: Recipe
    transformation: optax.GradientTransformation
    gradient: Gradient

    @cached_property
    def update(self) -> Any:
        """The update, compiled; (gradients, state, parameters) → (parameters, state)."""

        def update(grads: Parameters, state: Any, parameters: Parameters) -> Any:
            updates, state = self.transformation.update(grads, state, parameters)
            return optax.apply_updates(parameters, updates), state

        return jax.jit(update)


class Training:
    """Problems over the same parameters, taken in turns, and the optimizer that outlives them.

    ``optimizer`` is kind, settings, rates and arrangement; ``networks`` are the names that make
    its groups; ``recipe`` how the turns freeze what they do not train; ``compiled`` the gradients
    that were compiled before. Arrays are immutable, so ``parameters``, ``buffers`` and ``state``
    are what the training has come to so far.
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
        """One segment: ``steps`` times all turns.

        Before it the learning rates are multiplied by ``rate``: in the state, the rest of it kept,
        or with ``renew`` by a new optimizer, that state lost. What is trained from here on and was
        not before gets a state of its own beside the others'.
        """
        recipes = [self.recipe(problem) for problem in turns]
        if len(turns) > 1 and any(r.optimizer is not as_it_is for r in recipes):
            raise ValueError(
                f"{self.recipe.__name__} wraps the optimizer, whose state the turns share; "
                "use grad_of_trainable or stop_gradient for several turns"
            )
        if len(turns) > 1 and self.optimizer["arrangement"] != "separate":
            raise ValueError(
                f"arrangement {self.optimizer['arrangement']!r} makes one update of all networks, "
                "and a turn has gradients of some; use 'separate' for several turns"
            )
        learning = {name: None for recipe in recipes for name in recipe.held}
        own = optimizers.build(self.optimizer, self.networks, learning, adjustable=True)
        made = [
            Turn(problem, recipe, recipe.optimizer(own), self._jitted(recipe.gradient))
            for problem, recipe in zip(turns, recipes, strict=True)
        ]
        self._adjust(made[0].transformation, list(learning), rate, renew)
        for _ in range(steps):
            for turn in made:
                self._turn(turn)

    def _jitted(self, gradient: Gradient) -> Gradient:
        return self.compiled.setdefault(gradient, jax.jit(gradient))

    def _turn(self, turn: Turn) -> None:
        held = {name: self.parameters[name] for name in turn.recipe.held}
        rest = {n: p for n, p in self.parameters.items() if n not in held}
        constants = {**turn.problem.constants, "frozen": rest, "buffers": self.buffers}
        grads, buffers = turn.gradient(held, constants)
        held, self.state = turn.update(grads, self.state, held)
        self.parameters = {**self.parameters, **held}
        self.buffers = {**self.buffers, **buffers}

    def _adjust(
        self, optimizer: optax.GradientTransformation, learning: list[str], rate: float, renew: bool
    ) -> None:
        """Bring the state to what this segment starts from."""
        held = {name: self.parameters[name] for name in learning}
        fresh = optimizers.scale_rates(optimizer.init(held), self.factor)
        if renew or self.state is None:
            self.state = fresh
        elif self.optimizer["arrangement"] == "separate":
            self.state = {**fresh, **self.state}  # an old label keeps its moments and its count
        self.state = optimizers.scale_rates(self.state, rate)
        self.factor *= rate
