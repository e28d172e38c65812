"""Ways to freeze a part of the networks, one short function each, for any scenario.

A recipe says what is differentiated, what the step holds and updates, and what the optimizer
makes of it. The costs quoted are products (GEMMs) of one jitted step, forward and backward, of two
networks of one Linear layer, the front one frozen; with nothing frozen they are 5.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any, TypeAlias

import jax
import optax
from jax import Array

from impl_jax.problem import Buffers, Constants, Parameters, Problem
from impl_jax.strategies import Jit, Strategy

Gradient = Callable[[Parameters, Constants], tuple[Parameters, Buffers]]
Transformation: TypeAlias = optax.GradientTransformation


def as_it_is(optimizer: Transformation) -> Transformation:
    """The optimizer itself, where it holds nothing that is frozen."""
    return optimizer


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One way to freeze.

    ``held`` names the parameters that the step takes and updates; ``gradient(held, constants)``
    returns gradients and buffers; ``read`` names the gradients that the update looks at, which are
    those that a jit without the update must return. ``optimizer`` wraps the scenario's own;
    ``returned`` says that the step hands all gradients out as well; ``one_jit`` that the gradient
    is a plain function, to be compiled together with the update.
    """

    held: Collection[str]
    gradient: Gradient
    read: Collection[str]
    optimizer: Callable[[Transformation], Transformation] = as_it_is
    returned: bool = False
    one_jit: bool = True


def of(problem: Problem, strategy: Strategy, jit: Jit) -> Recipe:
    """A strategy as a recipe: what is trained is differentiated and held."""

    def buffers(parameters: Parameters, constants: Constants) -> Buffers:
        return problem.forward(parameters, constants)[1]

    # Strategies hand on losses alone. In the same jit XLA shares this forward pass with theirs;
    # outside it needs one of its own, but only where it is called: what never is has no FLOPs.
    own_jit = bool(problem.constants["buffers"]) and not strategy.one_jit
    moved = jit(buffers) if own_jit else buffers

    def gradient(parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        grads = strategy.backward(strategy.forward(parameters, constants))
        return grads, moved(parameters, constants) if constants["buffers"] else {}

    learning = list(problem.trainable)
    return Recipe(held=learning, gradient=gradient, read=learning, one_jit=strategy.one_jit)


@dataclass(frozen=True)
class ByEverything:
    """The gradient of every loss by every parameter."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        def total(parameters: Parameters) -> tuple[Array, Buffers]:
            return _total(self.problem, parameters, constants, self.problem.reach)

        return jax.grad(total, has_aux=True)(parameters)


def unfrozen(problem: Problem) -> Recipe:
    """The baseline: everything is trained, by every loss: 5 products."""
    return Recipe(held=problem.names, gradient=ByEverything(problem), read=problem.names)


@dataclass(frozen=True)
class Stopped:
    """The gradient by every parameter, the frozen ones stopped; of it, the trained part."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        problem = self.problem

        def total(everything: Parameters) -> tuple[Array, Buffers]:
            stopped = {n: jax.lax.stop_gradient(everything[n]) for n in problem.frozen}
            return _total(problem, {**everything, **stopped}, constants, problem.flow)

        everything = {**constants["frozen"], **parameters}
        grads, buffers = jax.grad(total, has_aux=True)(everything)
        return {n: grads[n] for n in parameters}, buffers


def stop_gradient(problem: Problem) -> Recipe:
    """What is frozen passes ``stop_gradient``: 3 products.

    Its gradients are zeros, not absent, so the optimizer is over the trained part alone: over
    everything, momentum and weight decay would move what is frozen.
    """
    learning = list(problem.trainable)
    return Recipe(held=learning, gradient=Stopped(problem), read=learning)


@dataclass(frozen=True)
class ByTrained:
    """The gradient of the losses that still reach something, by what is trained."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        def total(parameters: Parameters) -> tuple[Array, Buffers]:
            return _total(self.problem, parameters, constants, self.problem.flow)

        return jax.grad(total, has_aux=True)(parameters)


def grad_of_trainable(problem: Problem) -> Recipe:
    """Only what is trained is an argument that is differentiated: 3 products."""
    learning = list(problem.trainable)
    return Recipe(held=learning, gradient=ByTrained(problem), read=learning)


def partition(problem: Problem) -> Recipe:
    """``optax.partition`` sends what is frozen to ``set_to_zero``: 3 products.

    XLA removes the gradients that nothing reads, as long as they stay inside the jit.
    """
    labels = {n: "frozen" if n in problem.frozen else "trained" for n in problem.names}

    def optimizer(own: Transformation) -> Transformation:
        return optax.partition({"trained": own, "frozen": optax.set_to_zero()}, labels)

    return _by_the_optimizer(problem, optimizer, read=list(problem.trainable))


def selective_transform(problem: Problem) -> Recipe:
    """``optax.selective_transform`` by a mask of what is frozen: the same as `partition`."""

    def optimizer(own: Transformation) -> Transformation:
        return optax.selective_transform(own, freeze_mask=_mask(problem, frozen=True))

    return _by_the_optimizer(problem, optimizer, read=list(problem.trainable))


def masked(problem: Problem) -> Recipe:
    """``optax.masked``, and ``set_to_zero`` on the rest: 3 products.

    `masked` alone does not freeze: it hands the gradients of the rest on as their updates.
    """

    def optimizer(own: Transformation) -> Transformation:
        return optax.chain(
            optax.masked(own, _mask(problem, frozen=False)),
            optax.masked(optax.set_to_zero(), _mask(problem, frozen=True)),
        )

    return _by_the_optimizer(problem, optimizer, read=list(problem.trainable))


def chain_freeze(problem: Problem) -> Recipe:
    """``optax.freeze`` behind the optimizer: it holds, and saves nothing: 5 products.

    The optimizer has read every gradient, and keeps a state for it, before the update is dropped.
    Plain SGD keeps no state: in a step XLA then removes those gradients after all.
    """

    def optimizer(own: Transformation) -> Transformation:
        return optax.chain(own, optax.freeze(_mask(problem, frozen=True)))

    return _by_the_optimizer(problem, optimizer, read=problem.names)


def all_gradients(problem: Problem) -> Recipe:
    """As `partition`, but every gradient leaves the jit, to be looked at: 5 products."""
    optimizer = partition(problem).optimizer
    return replace(_by_the_optimizer(problem, optimizer, read=problem.names), returned=True)


def _by_the_optimizer(
    problem: Problem, optimizer: Callable[[Transformation], Transformation], read: list[str]
) -> Recipe:
    """Everything is differentiated and held; the optimizer lets only the trained part move."""
    gradient = ByEverything(problem)
    return Recipe(held=problem.names, gradient=gradient, read=read, optimizer=optimizer)


def _total(
    problem: Problem, parameters: Parameters, constants: Constants, among: Any
) -> tuple[Array, Buffers]:
    losses, buffers = problem.forward(parameters, constants, among=among)
    return reduce(add, losses.values()), buffers


def _mask(problem: Problem, *, frozen: bool) -> dict[str, bool]:
    return {name: (name in problem.frozen) == frozen for name in problem.names}


RECIPES: dict[str, Callable[[Problem], Recipe]] = {
    f.__name__: f
    for f in (
        unfrozen,
        stop_gradient,
        grad_of_trainable,
        partition,
        selective_transform,
        masked,
        chain_freeze,
        all_gradients,
    )
}
