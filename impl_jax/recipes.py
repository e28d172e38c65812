"""Define the ways to freeze a part of the networks, one short function each, for any scenario.

A recipe decides which gradients are computed, which parameters the step updates, and what the
optimizer makes of them. The costs quoted are those of two networks of three Linear layers each with
a loss after each, the front network frozen: products (GEMMs) of the backward pass. With nothing
frozen they are 11 products. One jitted step also has the 6 products of the forward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import TypeAlias

import optax

from impl_jax import optimizers
from impl_jax.problem import Buffers, Constants, Parameters, Problem
from impl_jax.recipe_passes import (
    ConditionalGradient,
    GradientOfAll,
    GradientOfTrained,
    StoppedGradient,
)
from impl_jax.strategies import Jit, Strategy

Gradient = Callable[[Parameters, Constants], tuple[Parameters, Buffers]]
Transformation: TypeAlias = optax.GradientTransformation


def unwrapped(optimizer: Transformation) -> Transformation:
    """Return the optimizer itself: for recipes whose optimizer is over no frozen parameter."""
    return optimizer


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Hold one way to freeze: how gradients are computed, and what the optimizer makes of them.

    A gradient function stands where the recipe of ``impl_torch`` has a strategy: in JAX forward
    pass, backward pass and update are one jitted function, which has to return the buffers that
    the forward pass moves.

    Attributes:
        gradient: (step parameters, constants) → (gradients, buffers after the forward pass).
        step_parameters: names of the parameters that the step takes and returns updated.
        update_gradients: names of the gradients that the update reads and that are not 0 whatever
            the loss is. A jit without the update must return just these: XLA removes the
            computation of the others, as it does in a step.
        wrap_optimizer: makes of the scenario's optimizer the one that leaves frozen parameters.
        return_gradients: whether the step returns all gradients beside the updated parameters.
        one_jit: whether ``gradient`` is a plain function, to be compiled together with the update.
            Otherwise it calls functions that are compiled already.
    """

    gradient: Gradient
    step_parameters: Collection[str]
    update_gradients: Collection[str]
    wrap_optimizer: Callable[[Transformation], Transformation] = unwrapped
    return_gradients: bool = False
    one_jit: bool = True


def from_strategy(problem: Problem, strategy: Strategy, jit: Jit) -> Recipe:
    """Make a strategy a recipe: gradients and optimizer are over the trained parameters alone.

    So scenarios with several losses and scenarios with frozen parameters run by the same programs.
    """

    def forward_again(parameters: Parameters, constants: Constants) -> Buffers:
        return problem.forward(parameters, constants)[1]

    # A strategy whose forward pass returns no buffers takes another one for them. In the same jit
    # XLA shares the two. Otherwise it is a jit of its own, made only where there are buffers: a jit
    # that is never called has no FLOPs that could be counted.
    moved, own_jit = strategy.moved_buffers, not strategy.one_jit
    if moved is None and own_jit and problem.constants["buffers"]:
        forward_again = jit(forward_again)

    def gradient(parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        carry = strategy.forward(parameters, constants)
        grads = strategy.backward(carry)
        if not constants["buffers"]:
            return grads, {}
        return grads, moved(carry) if moved else forward_again(parameters, constants)

    trained = list(problem.trainable)
    return Recipe(
        gradient=gradient,
        step_parameters=trained,
        update_gradients=trained,
        one_jit=strategy.one_jit,
    )


def unfrozen(problem: Problem) -> Recipe:
    """Train everything by every loss, the baseline: 11 products."""
    return Recipe(
        gradient=GradientOfAll(problem),
        step_parameters=problem.names,
        update_gradients=problem.names,
    )


def stop_gradient(problem: Problem) -> Recipe:
    """Apply ``stop_gradient`` to the frozen parameters: 5 products.

    Their gradients are zeros, not absent, so the optimizer is over the trained parameters alone:
    with a gradient of 0, momentum and weight decay still move a parameter.
    """
    trained = list(problem.trainable)
    return Recipe(
        gradient=StoppedGradient(problem), step_parameters=trained, update_gradients=trained
    )


def grad_of_trainable(problem: Problem) -> Recipe:
    """Differentiate by the trained parameters alone (``jax.grad``): 5 products.

    With the back network frozen instead there are 8 products: the gradients of its weights are
    left out, those of its inputs are needed on the way to the front network.
    """
    trained = list(problem.trainable)
    return Recipe(
        gradient=GradientOfTrained(problem), step_parameters=trained, update_gradients=trained
    )


def partition(problem: Problem) -> Recipe:
    """Send the frozen parameters to ``set_to_zero`` by ``optax.partition``: 5 products.

    All gradients are computed by the program as written; XLA removes those that the update does not
    read, as long as they do not leave the jit.
    """
    return _parted(problem, lambda _: optax.set_to_zero(), list(problem.trainable))


def selective_transform(problem: Problem) -> Recipe:
    """Mask the frozen parameters by ``optax.selective_transform``: 5 products, as `partition`."""

    def wrap(own: Transformation) -> Transformation:
        return optax.selective_transform(own, freeze_mask=_mask(problem, frozen=True))

    return _by_the_optimizer(problem, wrap, list(problem.trainable))


def masked(problem: Problem) -> Recipe:
    """Mask the frozen parameters by ``optax.masked``, and set their updates to 0: 5 products.

    `optax.masked` alone returns the raw gradients of what it masks out as their updates.
    """

    def wrap(own: Transformation) -> Transformation:
        return optax.chain(
            optax.masked(own, _mask(problem, frozen=False)),
            optax.masked(optax.set_to_zero(), _mask(problem, frozen=True)),
        )

    return _by_the_optimizer(problem, wrap, list(problem.trainable))


def chain_freeze(problem: Problem) -> Recipe:
    """Set frozen parameters' updates to 0 by ``optax.freeze`` behind the optimizer: 11 products.

    Nothing is saved: the optimizer has read every gradient, and has a state for each, before the
    update is dropped. Plain SGD has no state, so in a step XLA removes those gradients after all.
    """
    return _by_the_optimizer(
        problem,
        lambda own: optax.chain(own, optax.freeze(_mask(problem, frozen=True))),
        problem.names,
    )


def all_gradients(problem: Problem) -> Recipe:
    """Freeze as `partition` does and return every gradient from the jit: 11 products.

    Nothing is saved: XLA must compute what is returned.
    """
    wrap = partition(problem).wrap_optimizer
    recipe = _by_the_optimizer(problem, wrap, problem.names)
    return replace(recipe, return_gradients=True)


def rate_zero(problem: Problem) -> Recipe:
    """Give the frozen parameters an optimizer whose learning rate is 0: 11 products.

    Nothing is saved, and the optimizer keeps a state for what is frozen, too.
    """
    stop = optax.scale(0.0)
    return _parted(problem, lambda own: optax.chain(own, stop), problem.names)


def scale_zero(problem: Problem) -> Recipe:
    """Multiply the gradients of the frozen parameters by 0, by ``optax.scale``: 11 products.

    Nothing is saved: 0 times infinity is not 0, so XLA must compute what is multiplied.
    """
    return _parted(problem, lambda _: optax.scale(0.0), problem.names)


def traced_mask(problem: Problem) -> Recipe:
    """Multiply the updates by a mask that is an argument of the jitted step: 11 products.

    Nothing is saved, as the mask is unknown when the step is compiled; so it can change without
    compiling anew. The optimizer has a state for each parameter.
    """
    mask = optimizers.masked_by_state(problem.frozen)
    return _by_the_optimizer(problem, lambda own: optax.chain(own, mask), problem.names)


def cond(problem: Problem) -> Recipe:
    """Choose by ``lax.cond`` whether frozen parameters are differentiated: 5 products while not.

    Both branches are compiled, and one runs. Updates are masked as in `traced_mask`, since with a
    gradient of 0 a parameter would still move; the optimizer has a state for each.
    """
    return replace(
        traced_mask(problem),
        gradient=ConditionalGradient(problem),
        update_gradients=list(problem.trainable),
    )


def _by_the_optimizer(
    problem: Problem,
    wrap_optimizer: Callable[[Transformation], Transformation],
    update_gradients: list[str],
) -> Recipe:
    """Return a recipe that differentiates by all parameters, and whose optimizer freezes.

    ``wrap_optimizer`` makes it of the scenario's; it reads the gradients of ``update_gradients``.
    """
    return Recipe(
        gradient=GradientOfAll(problem),
        step_parameters=problem.names,
        update_gradients=update_gradients,
        wrap_optimizer=wrap_optimizer,
    )


def _parted(
    problem: Problem,
    of_frozen: Callable[[Transformation], Transformation],
    update_gradients: list[str],
) -> Recipe:
    """Return a recipe by ``optax.partition``; ``of_frozen`` makes what steps the frozen part."""
    labels = {n: "frozen" if n in problem.frozen else "trained" for n in problem.names}

    def wrap(own: Transformation) -> Transformation:
        return optax.partition({"trained": own, "frozen": of_frozen(own)}, labels)

    return _by_the_optimizer(problem, wrap, update_gradients)


def _mask(problem: Problem, *, frozen: bool) -> dict[str, bool]:
    """Return parameter name → whether it is frozen, or with ``frozen=False`` whether trained."""
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
        rate_zero,
        scale_zero,
        traced_mask,
        cond,
    )
}
