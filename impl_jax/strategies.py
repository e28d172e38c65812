"""Define the ways to compute the gradients of several losses, one short function each.

A strategy works for any scenario. Its ``forward(parameters, constants)`` takes the trained
parameters and all other arrays (data, frozen parameters, buffers) and returns pullbacks, which hold
the residuals. Its ``backward(carry)`` takes these and returns, for each trained parameter, the
gradient of the sum of all losses. In `separate_grad` and `reforward` the ``forward`` only returns
its arguments, and ``backward`` runs the forward passes. The argument ``jit`` of each function
compiles a function, or returns it unchanged where nothing is compiled.

The costs quoted are products (GEMMs) of the backward pass over two networks of three Linear layers
each with a loss after each. The very first layer needs no gradient of its input. Where the forward
pass cannot be separated, its 6 products are included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from impl_jax.problem import Constants, Losses, Parameters, Problem
from impl_jax.structure import demand_tree

Jit = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Strategy:
    """Hold the two functions of a strategy, and how they may be compiled.

    Attributes:
        forward: (trained parameters, constants) → the argument of ``backward``: pullbacks, or the
            arguments themselves if ``own_forward``.
        backward: returns the gradients by the name of the parameter.
        own_forward: whether ``backward`` runs the forward passes, so that they cannot be left out
            of its time.
        one_jit: whether both are plain functions, to be compiled, together where both are timed.
            Otherwise they call functions that are compiled already.
    """

    forward: Callable[[Parameters, Constants], Any]
    backward: Callable[[Any], Parameters]
    own_forward: bool = False
    one_jit: bool = True


def summed(problem: Problem, jit: Jit) -> Strategy:
    """Run one pullback of the summed loss: 11 products."""

    def forward(parameters: Parameters, constants: Constants) -> Any:
        def total(parameters: Parameters) -> Array:
            return in_full(reduce(add, problem.losses(parameters, constants).values()))

        return jax.vjp(total, parameters)[1]

    def backward(pullback: Any) -> Parameters:
        return pullback(jnp.ones(()))[0]

    return Strategy(forward, backward)


def separate_retained(problem: Problem, jit: Jit) -> Strategy:
    """Run a pullback for each loss over one forward pass: 16 products.

    This is the counterpart of a retained graph. The pullbacks leave the jit of the forward pass, so
    their residuals are its outputs and stay in memory. A jitted call for each pullback adds its
    gradients to the sum so far.
    """

    def forward(parameters: Parameters, constants: Constants) -> list[Any]:
        return [
            jax.vjp(_loss(problem, parameters, constants, name), reached)[1]
            for name, reached in _each(problem, parameters)
        ]

    return Strategy(jit(forward), _pull_each(problem, jit), one_jit=False)


def separate_grad(problem: Problem, jit: Jit) -> Strategy:
    """Call ``jax.grad`` for each loss in one jit: 22 products, the forward pass included.

    XLA computes the forward passes of all losses once, where they are the same.
    """

    def backward(inputs: tuple[Parameters, Constants]) -> Parameters:
        parameters, constants = inputs
        grads = [
            jax.grad(_loss(problem, parameters, constants, name))(reached)
            for name, reached in _each(problem, parameters)
        ]
        return reduce(_add, grads)

    return Strategy(_inputs, backward, own_forward=True)


def separate_pullbacks(problem: Problem, jit: Jit) -> Strategy:
    """Take one vjp of all losses and pull it back once for each: 22 products.

    Each pullback walks both networks, also where its cotangents are zeros.
    """

    def backward(pullback: Any) -> Parameters:
        pulled = [
            pullback({name: jnp.asarray(float(name == one)) for name in problem.flow})[0]
            for one in problem.flow
        ]
        return reduce(_add, pulled)

    return Strategy(_all_losses(problem), backward)


def boundary_split(problem: Problem, jit: Jit) -> Strategy:
    """Take a vjp of each network and pull each back once, last first: 11 products.

    A network's pullback returns the cotangent of its input. This is the cotangent of the output of
    the network before, beside those of that network's own losses. The output may be any tree.
    """

    def forward(parameters: Parameters, constants: Constants) -> list[Any]:
        value, pullbacks = constants["data"]["x"], []
        for i, stage in enumerate(problem.stages):
            own = problem.used_by(stage, parameters)
            crossed_in = i > 0 and problem.gradient_crosses(i - 1)
            crossed_out = problem.gradient_crosses(i)

            def run(own: Parameters, *entering: Any, stage=stage, value=value, out=crossed_out):  # type: ignore[no-untyped-def]
                start = entering[0] if entering else value
                output, losses, _ = problem.run_stage(stage, start, own, constants)
                demand_tree(output, problem.network_of(stage))
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
            grads = _add(grads, own)
            cotangent = entering[0] if entering else None
        return grads

    return Strategy(forward, backward)


def reforward(problem: Problem, jit: Jit) -> Strategy:
    """Run a forward and a backward pass for each loss in a jit of its own: 25 products.

    9 of them are forward.
    """

    def call(name: str) -> Callable[..., Parameters]:
        def grad(parameters: Parameters, constants: Constants, grads: Parameters) -> Parameters:
            loss = _loss(problem, parameters, constants, name)
            return _add(grads, jax.grad(loss)(problem.reached(parameters, name)))

        return jit(grad)

    calls = [call(name) for name in problem.flow]

    return Strategy(_inputs, call_each(calls), own_forward=True, one_jit=False)


def batched(problem: Problem, jit: Jit) -> Strategy:
    """Pull back a batch of cotangents, one row for each loss (``vmap``): 22 products.

    Each row walks both networks, also where its cotangents are zeros.
    """

    def backward(pullback: Any) -> Parameters:
        rows = jnp.eye(len(problem.flow))
        basis = {name: rows[:, i] for i, name in enumerate(problem.flow)}
        return jax.tree.map(lambda grad: grad.sum(0), jax.vmap(pullback)(basis)[0])

    return Strategy(_all_losses(problem), backward)


def checkpointed(problem: Problem, jit: Jit) -> Strategy:
    """Keep only what passes between the networks, and a pullback for each loss: 25 products.

    Each pullback computes the inside of the networks that it walks once more, 9 products in all
    (`jax.checkpoint`). The residuals are parameters and the networks' inputs alone, so this needs
    the least memory.
    """

    def one_loss(parameters: Parameters, constants: Constants, name: str) -> Any:
        def loss(reached: Parameters) -> Array:
            value: Any = constants["data"]["x"]
            for stage in problem.stages:

                def run(own: Parameters, value: Any, stage=stage) -> Any:  # type: ignore[no-untyped-def]
                    both = {**parameters, **own}
                    return problem.run_stage(stage, value, both, constants, among=())[0]

                value = jax.checkpoint(run)(problem.used_by(stage, reached), value)
                if name in stage.losses:
                    break
            return in_full(stage.losses[name](value, constants["data"]))

        return jax.vjp(loss, problem.reached(parameters, name))[1]

    def forward(parameters: Parameters, constants: Constants) -> list[Any]:
        return [one_loss(parameters, constants, name) for name in problem.flow]

    return Strategy(jit(forward), _pull_each(problem, jit), one_jit=False)


def call_each(
    calls: Sequence[Callable[..., Parameters]],
) -> Callable[[tuple[Parameters, Constants]], Parameters]:
    """Return a ``backward`` that has each call add its gradients to the sum of those before.

    ``calls`` take parameters, constants and the sum so far, and return the new sum.
    """

    def backward(inputs: tuple[Parameters, Constants]) -> Parameters:
        grads: Parameters = {}
        for call in calls:
            grads = call(*inputs, grads)
        return grads

    return backward


def _pull_each(problem: Problem, jit: Jit) -> Callable[[list[Any]], Parameters]:
    """Return a ``backward`` of a list of pullbacks, one for each loss, each in a jit of its own.

    Each call adds its gradients to the sum so far.
    """

    def pull(pullback: Any, grads: Parameters) -> Parameters:
        return _add(grads, pullback(jnp.ones(()))[0])

    pulls = [jit(pull) for _ in problem.flow]

    def backward(pullbacks: list[Any]) -> Parameters:
        grads: Parameters = {}
        for call, pullback in zip(pulls, pullbacks, strict=True):
            grads = call(pullback, grads)
        return grads

    return backward


def _inputs(parameters: Parameters, constants: Constants) -> tuple[Parameters, Constants]:
    """Return both arguments: the ``forward`` of a strategy whose ``backward`` runs the networks."""
    return parameters, constants


def _all_losses(problem: Problem) -> Callable[[Parameters, Constants], Any]:
    """Return the ``forward`` that returns one pullback of all losses by all trained parameters.

    The pullback takes a cotangent for each loss, by name.
    """

    def forward(parameters: Parameters, constants: Constants) -> Any:
        def losses(parameters: Parameters) -> Losses:
            return {n: in_full(one) for n, one in problem.losses(parameters, constants).items()}

        return jax.vjp(losses, parameters)[1]

    return forward


def _each(problem: Problem, parameters: Parameters) -> list[tuple[str, Parameters]]:
    """Return for each loss its name and the trained parameters that it reaches."""
    return [(name, problem.reached(parameters, name)) for name in problem.flow]


def _loss(
    problem: Problem, parameters: Parameters, constants: Constants, name: str
) -> Callable[[Parameters], Array]:
    """Return the loss of this name as a function of the parameters that it reaches.

    All other parameters are fixed at ``parameters``.
    """

    def loss(reached: Parameters) -> Array:
        losses: Losses = problem.losses({**parameters, **reached}, constants, until=name)
        return in_full(losses[name])

    return loss


def in_full(loss: Array) -> Array:
    """Return a loss in the dtype of a cotangent of 1, which one in bfloat16 would not take."""
    return jnp.asarray(loss, jnp.result_type(float))


def _add(grads: Parameters, more: Parameters) -> Parameters:
    """Return the sums of two sets of gradients by name; a name may be in only one of them."""
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
        checkpointed,
    )
}
