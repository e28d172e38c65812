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
from operator import add, itemgetter
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array
from jax.interpreters import ad

from impl_jax.problem import Buffers, Constants, Losses, Parameters, Problem
from impl_jax.runtime import Unavailable
from impl_jax.structure import demand_tree

# jit(function, donate=positions): the memory of these arguments may be overwritten by the outputs
Jit = Callable[..., Callable[..., Any]]
ForwardPass = Callable[[Parameters, Constants], tuple[Losses, Buffers]]

SYMBOLIC_ZEROS = (0, 10, 2)  # the first release of JAX whose pullbacks take symbolic zeros


@dataclass(frozen=True)
class Strategy:
    """Hold the two functions of a strategy, and how they may be compiled.

    Attributes:
        forward: (trained parameters, constants) → the argument of ``backward``: pullbacks, or the
            arguments themselves if ``own_forward``.
        backward: returns the gradients by the name of the parameter.
        own_forward: whether ``backward`` runs the forward passes, so that they cannot be left out
            of its time.
        one_jit: True where ``forward`` and ``backward`` are not compiled yet: the caller compiles
            them, as one function where both are timed. False where all is compiled already.
        moved_buffers: (argument of ``backward``) → the buffers after the forward pass; None where
            ``forward`` does not return them.
    """

    forward: Callable[[Parameters, Constants], Any]
    backward: Callable[[Any], Parameters]
    own_forward: bool = False
    one_jit: bool = True
    moved_buffers: Callable[[Any], Buffers] | None = None


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
    """Call one pullback once for each loss, after a single forward pass: 16 products.

    This is the counterpart of a retained graph in PyTorch. All losses share one vjp. Its residuals
    are outputs of the compiled forward pass, so they stay in memory, and only once. With a vjp for
    each loss, residuals that several losses share would be stored once for each loss.
    """
    return _pulled_for_each_loss(problem, jit, problem.forward)


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
    """Run for each loss one compiled function, its forward and backward pass: 25 products.

    9 of the products are forward. Each function adds its gradients to the sum so far, in place.
    """

    def call(name: str) -> Callable[..., Parameters]:
        def grad(parameters: Parameters, constants: Constants, grads: Parameters) -> Parameters:
            loss = _loss(problem, parameters, constants, name)
            return _add(grads, jax.grad(loss)(problem.reached(parameters, name)))

        return jit(grad, donate=(2,))

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
    """Store only the inputs of the networks, and recompute the rest for each loss: 25 products.

    For each loss, the pullback recomputes the inside of the networks that it passes through
    (`jax.checkpoint`), 9 products in all. Stored are the inputs of the networks and a copy of their
    parameters, since the compiled forward pass returns its residuals as new arrays.
    """

    def forward(parameters: Parameters, constants: Constants) -> tuple[Losses, Buffers]:
        value, losses, buffers = constants["data"]["x"], Losses(), Buffers()
        for stage in problem.stages:

            def run(own: Parameters, value: Any, stage=stage) -> Any:  # type: ignore[no-untyped-def]
                return problem.run_network(stage, value, own, constants)

            entering = stage.enter(value, constants["data"])
            own = problem.used_by(stage, parameters)
            value, moved = jax.checkpoint(run)(own, entering)
            losses |= problem.losses_of(stage, value, constants)
            buffers |= moved
        return losses, buffers

    return _pulled_for_each_loss(problem, jit, forward)


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


def _pulled_for_each_loss(problem: Problem, jit: Jit, forward_pass: ForwardPass) -> Strategy:
    """Return the strategy that keeps a forward pass in memory and walks it back for each loss.

    The pullback is called once for each loss, each time in a compiled function of its own. The
    cotangents of the other losses are symbolic zeros, so JAX skips the networks that only those
    losses reach; it would not skip them for arrays of zeros. Each function adds its gradients to
    the sum so far, in place.

    Args:
        problem: whose losses.
        jit: compiles a function.
        forward_pass: returns the losses and the buffers afterwards.

    Raises:
        Unavailable: this release of JAX is older than `SYMBOLIC_ZEROS`.
    """
    if jax.__version_info__ < SYMBOLIC_ZEROS:
        oldest = ".".join(map(str, SYMBOLIC_ZEROS))
        raise Unavailable(
            f"the pullbacks of jax {jax.__version__} take no symbolic zeros, and would walk the "
            f"networks behind a loss too; those of jax {oldest} and later take them"
        )

    def forward(parameters: Parameters, constants: Constants) -> tuple[Any, Buffers]:
        def losses(parameters: Parameters) -> tuple[Losses, Buffers]:
            own, buffers = forward_pass(parameters, constants)
            return {name: in_full(loss) for name, loss in own.items()}, buffers

        return jax.vjp(losses, parameters, has_aux=True)[1:]

    def pull_of(name: str) -> Callable[..., Parameters]:
        def pull(pullback: Any, grads: Parameters) -> Parameters:
            one = jnp.ones(())
            zeros = dict.fromkeys(problem.flow, ad.Zero(jax.typeof(one)))
            return _add(grads, problem.reached(pullback({**zeros, name: one})[0], name))

        return jit(pull, donate=(1,))

    pulls = [pull_of(name) for name in problem.flow]

    def backward(carry: tuple[Any, Buffers]) -> Parameters:
        grads: Parameters = {}
        for pull in pulls:
            grads = pull(carry[0], grads)
        return grads

    return Strategy(jit(forward), backward, one_jit=False, moved_buffers=itemgetter(1))


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
    """Return a loss in JAX's default float dtype, the dtype of the cotangent ``jnp.ones(())``.

    The pullback of a loss in bfloat16 would reject that cotangent.
    """
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
