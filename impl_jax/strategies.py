"""Ways to get the gradients of several losses, one short function each, for any scenario.

A strategy returns ``forward`` and ``backward``. ``forward(parameters, constants)`` builds what the
backward pass needs, ``backward(carry)`` returns each trained parameter's gradient of the summed
loss. The costs quoted are products (GEMMs) of the backward pass over two networks of three Linear
layers, the first of which needs no gradient of its input; where the forward pass cannot be taken
out, its 6 are counted in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from impl_jax.problem import Constants, Losses, Parameters, Problem

Jit = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Strategy:
    """``own_forward``: the forward passes happen inside ``backward`` and cannot be taken out.

    ``one_jit``: the two are plain functions, to be compiled, together where both are timed. The
    others call what they compiled themselves.
    """

    forward: Callable[[Parameters, Constants], Any]
    backward: Callable[[Any], Parameters]
    own_forward: bool = False
    one_jit: bool = True


def summed(problem: Problem, jit: Jit) -> Strategy:
    """One pullback of the sum: 11 products."""

    def forward(parameters: Parameters, constants: Constants) -> Any:
        def total(parameters: Parameters) -> Array:
            return reduce(add, problem.losses(parameters, constants).values())

        return jax.vjp(total, parameters)[1]

    def backward(pullback: Any) -> Parameters:
        return pullback(jnp.ones(()))[0]

    return Strategy(forward, backward)


def separate_retained(problem: Problem, jit: Jit) -> Strategy:
    """A pullback for each loss over one forward, residuals kept in memory: 16 products.

    The counterpart of a retained graph: the closures leave the jit, so their residuals are its
    outputs; each is then pulled back by a call of its own that adds to the gradients so far.
    """

    def forward(parameters: Parameters, constants: Constants) -> list[Any]:
        return [
            jax.vjp(_loss(problem, parameters, constants, name), reached)[1]
            for name, reached in _each(problem, parameters)
        ]

    def pull(pullback: Any, grads: Parameters) -> Parameters:
        return _add(grads, pullback(jnp.ones(()))[0])

    pulls = [jit(pull) for _ in problem.flow]

    def backward(pullbacks: list[Any]) -> Parameters:
        grads: Parameters = {}
        for call, pullback in zip(pulls, pullbacks, strict=True):
            grads = call(pullback, grads)
        return grads

    return Strategy(jit(forward), backward, one_jit=False)


def separate_grad(problem: Problem, jit: Jit) -> Strategy:
    """``jax.grad`` for each loss in one jit, the forward shared by XLA: 22 products with it."""

    def backward(inputs: tuple[Parameters, Constants]) -> Parameters:
        parameters, constants = inputs
        grads = [
            jax.grad(_loss(problem, parameters, constants, name))(reached)
            for name, reached in _each(problem, parameters)
        ]
        return reduce(_add, grads)

    return Strategy(_inputs, backward, own_forward=True)


def separate_pullbacks(problem: Problem, jit: Jit) -> Strategy:
    """One vjp of all losses, pulled back once for each: 22 products, zeros are multiplied too."""

    def backward(pullback: Any) -> Parameters:
        pulled = [
            pullback({name: jnp.asarray(float(name == one)) for name in problem.flow})[0]
            for one in problem.flow
        ]
        return reduce(_add, pulled)

    return Strategy(_all_losses(problem), backward)


def boundary_split(problem: Problem, jit: Jit) -> Strategy:
    """A vjp for each network, pulled back once, last first: 11 products.

    The cotangent that a network's pullback returns for its input joins the cotangents of the
    losses of the network before.
    """

    def forward(parameters: Parameters, constants: Constants) -> list[Any]:
        value, pullbacks = constants["data"]["x"], []
        for i, stage in enumerate(problem.stages):
            prefix = f"{stage.name}."
            own = {n: p for n, p in parameters.items() if n.startswith(prefix)}
            crossed_in, crossed_out = i > 0 and problem.crossed(i - 1), problem.crossed(i)

            def run(own: Parameters, *entering: Any, stage=stage, value=value, out=crossed_out):  # type: ignore[no-untyped-def]
                start = entering[0] if entering else value
                output, losses, _ = problem.run_stage(stage, start, own, constants)
                return (output if out else None, losses), output

            primals = (own, value) if crossed_in else (own,)
            (_, losses), pullback, value = jax.vjp(run, *primals, has_aux=True)
            if losses or crossed_out:
                pullbacks.append((pullback, jax.tree.map(jnp.ones_like, losses)))
        return pullbacks

    def backward(pullbacks: list[Any]) -> Parameters:
        grads, cotangent = Parameters(), None
        for pullback, ones in reversed(pullbacks):
            own, *entering = pullback((cotangent, ones))
            grads |= own
            cotangent = entering[0] if entering else None
        return grads

    return Strategy(forward, backward)


def reforward(problem: Problem, jit: Jit) -> Strategy:
    """A jit for each loss, each with a forward pass of its own, nothing kept in between."""

    def call(name: str) -> Callable[..., Parameters]:
        def grad(parameters: Parameters, constants: Constants, grads: Parameters) -> Parameters:
            loss = _loss(problem, parameters, constants, name)
            return _add(grads, jax.grad(loss)(problem.reached(parameters, name)))

        return jit(grad)

    calls = [call(name) for name in problem.flow]

    def backward(inputs: tuple[Parameters, Constants]) -> Parameters:
        grads: Parameters = {}
        for grad in calls:
            grads = grad(*inputs, grads)
        return grads

    return Strategy(_inputs, backward, own_forward=True, one_jit=False)


def batched(problem: Problem, jit: Jit) -> Strategy:
    """``vmap`` of the pullback over all losses' cotangents: 22 products."""

    def backward(pullback: Any) -> Parameters:
        rows = jnp.eye(len(problem.flow))
        basis = {name: rows[:, i] for i, name in enumerate(problem.flow)}
        return jax.tree.map(lambda grad: grad.sum(0), jax.vmap(pullback)(basis)[0])

    return Strategy(_all_losses(problem), backward)


def _inputs(parameters: Parameters, constants: Constants) -> tuple[Parameters, Constants]:
    return parameters, constants


def _all_losses(problem: Problem) -> Callable[[Parameters, Constants], Any]:
    def forward(parameters: Parameters, constants: Constants) -> Any:
        return jax.vjp(lambda p: problem.losses(p, constants), parameters)[1]

    return forward


def _each(problem: Problem, parameters: Parameters) -> list[tuple[str, Parameters]]:
    return [(name, problem.reached(parameters, name)) for name in problem.flow]


def _loss(
    problem: Problem, parameters: Parameters, constants: Constants, name: str
) -> Callable[[Parameters], Array]:
    """One loss as a function of the parameters it reaches, the others held."""

    def loss(reached: Parameters) -> Array:
        losses: Losses = problem.losses({**parameters, **reached}, constants, until=name)
        return losses[name]

    return loss


def _add(grads: Parameters, more: Parameters) -> Parameters:
    return grads | {n: grads[n] + grad if n in grads else grad for n, grad in more.items()}


STRATEGIES: dict[str, Callable[[Problem, Jit], Strategy]] = {
    f.__name__: f
    for f in (
        summed,
        separate_retained,
        separate_grad,
        separate_pullbacks,
        boundary_split,
        reforward,
        batched,
    )
}
