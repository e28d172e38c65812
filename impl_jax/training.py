"""Train by a plan: segments of steps, in each of which the turns step one after another.

A turn is a problem over the networks' parameters: which losses it has, and what is frozen in it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

import jax
import optax
from jax import Array

from impl_jax import averaging, optimizers
from impl_jax.problem import Buffers, Constants, Losses, Parameters, Problem
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
        compiled: gradient functions → the same, jitted. A caller that passes the same dict again
            finds the programs of an earlier training in it: these functions are hashable, and equal
            where their problems are.

    Arrays are immutable: each step replaces ``parameters``, ``buffers`` and ``state``. ``changes``
    lists each change of learning rates so far: its factor, and the labels of the parameter groups
    that it is of, none for all.
    """

    def __init__(
        self,
        optimizer: Mapping[str, Any],
        networks: list[str],
        parameters: Parameters,
        buffers: Buffers,
        recipe: str | None = None,
        compiled: dict[Any, Any] | None = None,
    ) -> None:
        self.compiled = {} if compiled is None else compiled
        self.optimizer = optimizer
        self.networks = networks
        self.recipe = RECIPES[recipe or "grad_of_trainable"]
        self.parameters = parameters
        self.buffers = buffers
        self.state: Any = None
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
        labels are in ``only``, or all if it is empty. This happens in the state, which keeps the
        rest of it, or with ``renew`` by a new optimizer, which loses it. Parameters that are
        trained for the first time get a state of their own beside those of the others. With
        ``share_forward`` the network in front runs forward once for all turns of a round. After
        each round the ``follower`` follows its leader; its entries are arguments of
        `averaging.follow`.

        Raises ValueError for several turns that would need one common update, for a label that no
        group has, and for turns that cannot share.
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
        self._adjust(compiled[0].transformation, trained, rate, renew, only)
        for _ in range(steps):
            if share_forward:
                self._round_over_one_forward(compiled)
            else:
                for turn in compiled:
                    self._turn(turn, turn.gradient)
            if follower:
                self.parameters, self.buffers = averaging.follow(
                    self.parameters, self.buffers, **follower
                )

    def _jitted(self, gradient: Any) -> Any:
        """Return this gradient function jitted, from ``compiled`` if it is there already."""
        return self.compiled.setdefault(gradient, jax.jit(gradient))

    def _arguments(self, turn: Turn) -> tuple[Parameters, Constants]:
        """Return the parameters that a turn steps, and all else that its losses depend on."""
        stepped = {name: self.parameters[name] for name in turn.recipe.step_parameters}
        rest = {n: p for n, p in self.parameters.items() if n not in stepped}
        return stepped, {**turn.problem.constants, "frozen": rest, "buffers": self.buffers}

    def _round_over_one_forward(self, turns: list[Turn]) -> None:
        """Step the turns of a round over one forward pass of the network in front.

        A turn that trains this network pulls its gradient back through that pass, though what
        stands behind may have stepped since. Every other turn takes the output as a constant.
        """
        front = front_of_turns(turns)
        run = self._jitted(ForwardOfFront(front.problem))
        value, pullback, buffers = run(*self._arguments(front))
        self.buffers = {**self.buffers, **buffers}
        for turn in turns:
            behind = self._jitted(GradientBehind(turn.problem))
            pull = pullback if trains_front(turn.problem) else None
            self._turn(turn, lambda p, c, f=behind, pull=pull: f(p, c, value, pull))

    def _turn(self, turn: Turn, gradient: Callable[..., tuple[Parameters, Buffers]]) -> None:
        """Step one turn: compute its gradients, and replace parameters, state and buffers.

        ``gradient`` is called with the parameters that are stepped and the constants.
        """
        stepped, constants = self._arguments(turn)
        grads, buffers = gradient(stepped, constants)
        stepped, self.state = turn.update(grads, self.state, stepped)
        self.parameters = {**self.parameters, **stepped}
        self.buffers = {**self.buffers, **buffers}

    def _adjust(
        self,
        optimizer: optax.GradientTransformation,
        trained: list[str],
        rate: float,
        renew: bool,
        only: Sequence[str],
    ) -> None:
        """Bring the optimizer's state to the one that a segment starts from.

        Args:
            optimizer: makes the state of a new optimizer over the trained parameters.
            trained: names of the parameters that the segment steps.
            rate: the factor of the learning rates.
            renew: whether the state of a new optimizer replaces the present one.
            only: labels of the groups whose rates change; empty for all.
        """
        parameters = {name: self.parameters[name] for name in trained}
        fresh = optimizer.init(parameters)
        for factor, labels in self.changes:
            fresh = optimizers.scale_rates(fresh, factor, labels)
        if renew or self.state is None:
            self.state = fresh
        elif self.optimizer["arrangement"] == "separate":
            self.state = {**fresh, **self.state}  # a label that is there keeps its moments
        optimizers.check_labels(optimizers.labels(self.state), only)
        self.state = optimizers.scale_rates(self.state, rate, only)
        self.changes.append((rate, only))


def front_of_turns(turns: list[Turn]) -> Turn:
    """Return the turn that trains the network in front, whose forward pass all share.

    Raises ValueError unless there is just one, and where that network has a loss of its own: a
    second one would pull its gradient back through weights that the first has stepped.
    """
    training = [turn for turn in turns if trains_front(turn.problem)]
    if len(training) != 1 or any(turn.problem.stages[0].losses for turn in turns):
        raise ValueError(
            f"share_forward: one turn must train the network in front, not {len(training)} of "
            f"{len(turns)}, and no turn may have a loss at its output; leave share_forward out"
        )
    return training[0]


def trains_front(problem: Problem) -> bool:
    """Return whether a parameter of the first network is trained."""
    names = problem.with_tied(problem.trainable)
    return any(name.startswith(f"{problem.stages[0].name}.") for name in names)


@dataclass(frozen=True)
class ForwardOfFront:
    """Run the first network; return its output, its pullback, and its buffers afterwards."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Any, Any, Buffers]:
        first, x = self.problem.stages[0], constants["data"]["x"]

        def run(parameters: Parameters) -> tuple[Any, Buffers]:
            output, _, buffers = self.problem.run_stage(first, x, parameters, constants, among=())
            return output, buffers

        return jax.vjp(run, parameters, has_aux=True)


@dataclass(frozen=True)
class GradientBehind:
    """Compute the gradient of the losses behind the first network, from that one's output.

    ``pullback`` is that of the first network, or None where the output is a constant.
    """

    problem: Problem

    def __call__(
        self, parameters: Parameters, constants: Constants, value: Any, pullback: Any
    ) -> tuple[Parameters, Buffers]:
        def total(parameters: Parameters, value: Any) -> tuple[Array, Buffers]:
            losses, buffers = Losses(), Buffers()
            for stage in self.problem.stages[1:]:
                value, own, moved = self.problem.run_stage(stage, value, parameters, constants)
                losses, buffers = losses | own, buffers | moved
            return reduce(add, losses.values()), buffers

        (grads, cotangent), buffers = jax.grad(total, (0, 1), has_aux=True)(parameters, value)
        pulled = {} if pullback is None else pullback(cotangent)[0]
        # a parameter of the first network has a gradient of 0 behind it, and its own from there
        return {name: grad + pulled.get(name, 0) for name, grad in grads.items()}, buffers
