"""Define the passes of the recipes: functions that return gradients and the moved buffers.

Each is made for a problem and called with (parameters, constants); it runs the forward pass and the
backward pass, and `impl_jax.recipes` says which recipe uses which.

They are instances of frozen dataclasses and not closures, because `jax.jit` keys its cache on the
function's hash and equality. A closure that is made anew for each recipe is a new key each time,
and is traced and compiled again. Two instances over the same problem are equal, so whoever makes
the same recipe twice finds the program of the first (see `impl_jax.training.Training`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from impl_jax.operations import TRUE
from impl_jax.problem import Buffers, Constants, Parameters, Problem


@dataclass(frozen=True)
class GradientOfAll:
    """Compute the gradient of every loss by every parameter."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        def total(parameters: Parameters) -> tuple[Array, Buffers]:
            return _total(self.problem, parameters, constants, self.problem.reach)

        return jax.grad(total, has_aux=True)(parameters)


@dataclass(frozen=True)
class StoppedGradient:
    """Return the trained parameters' gradients, with the frozen ones behind ``stop_gradient``."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        problem = self.problem

        def total(both: Parameters) -> tuple[Array, Buffers]:
            stopped = {n: jax.lax.stop_gradient(both[n]) for n in problem.frozen}
            return _total(problem, {**both, **stopped}, constants, problem.flow)

        both = {**constants["frozen"], **parameters}
        grads, buffers = jax.grad(total, has_aux=True)(both)
        return {n: grads[n] for n in parameters}, buffers


@dataclass(frozen=True)
class GradientOfTrained:
    """Compute the gradient by the trained parameters of the losses that reach one of them."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        def total(parameters: Parameters) -> tuple[Array, Buffers]:
            return _total(self.problem, parameters, constants, self.problem.flow)

        return jax.grad(total, has_aux=True)(parameters)


@dataclass(frozen=True)
class ConditionalGradient:
    """Decide by an argument, in each call, whether gradients of the frozen are computed or 0."""

    problem: Problem

    def __call__(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        problem = self.problem

        def of_trained(parameters: Parameters) -> tuple[Parameters, Buffers]:
            zeros = {n: jnp.zeros_like(parameters[n]) for n in problem.frozen}
            trained = {n: p for n, p in parameters.items() if n not in zeros}
            frozen = {n: parameters[n] for n in zeros}
            grads, buffers = GradientOfTrained(problem)(trained, {**constants, "frozen": frozen})
            return {n: (zeros | grads)[n] for n in parameters}, buffers

        of_all = partial(GradientOfAll(problem), constants=constants)
        with jax.named_scope(TRUE):  # while it is counted and timed
            return jax.lax.cond(constants["stopped"], of_trained, of_all, parameters)


def _total(
    problem: Problem, parameters: Parameters, constants: Constants, among: Any
) -> tuple[Array, Buffers]:
    """Return the sum of the losses named in ``among``, and the buffers after the forward pass."""
    losses, buffers = problem.forward(parameters, constants, among=among)
    return reduce(add, losses.values()), buffers
