"""Compare what a pure step computes with the ways in which its gradients may be computed.

JAX has no hooks: which way a step goes is told by its work and by what it does to the parameters.
The work is that of matrix products and convolutions in the traced program, without what no output
needs, as XLA removes that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.interpreters.partial_eval import dce_jaxpr

from impl_jax.step_case import StepCase
from impl_jax.step_changes import cosine

TIMED = 7  # calls of each kind, in turns
SAME_WORK = 0.01  # relative difference of the work of one and the same way
ALONG, SIGNS = 0.9999, 0.98  # cosines of a plain step, and of Adam's first step, with the gradient
STARTS = 3  # weights at which a step is held against a gradient
LATER = 3  # training steps after which it is looked again
SPREAD = 0.5  # relative size of the noise on those weights

Loss = Callable[[Any], Any]


class Ways:
    """Hold the gradients of a case, computed in one way and another.

    Args:
        case: built for this alone; its step is pure.
        losses: names.
    """

    def __init__(self, case: StepCase, losses: Collection[str]) -> None:
        self.case, self.names = case, list(losses)
        self.start = {n: jnp.asarray(a) for n, a in case.parameters.items()}
        self.trained = [n for n in self.start if n not in case.frozen]

    def summed(self, among: Collection[str], by: Collection[str]) -> Loss:
        """Return the gradient of the sum of some losses by some parameters, as a function."""

        def total(own: Any, rest: Any) -> Any:
            values = self.case.losses({**rest, **own})
            return sum(values[name] for name in among)

        def run(parameters: Any) -> Any:
            own = {n: parameters[n] for n in by}
            return jax.value_and_grad(total)(own, parameters)

        return run

    def separate(self, by: Collection[str]) -> Loss:
        """Return the gradients of each loss alone, added up, as a function."""
        functions = [self.summed([name], by) for name in self.names]

        def run(parameters: Any) -> Any:
            pairs = [one(parameters) for one in functions]
            grads = [g for _, g in pairs]
            return sum(v for v, _ in pairs), jax.tree.map(lambda *a: sum(a), *grads)

        return run

    def pulled_back(self, by: Collection[str]) -> Loss:
        """Return the same by one forward pass, pulled back once for each loss."""

        def run(parameters: Any) -> Any:
            rest = dict(parameters)

            def vector(own: Any) -> Any:
                values = self.case.losses({**rest, **own})
                return jnp.stack([values[name] for name in self.names])

            values, pull = jax.vjp(vector, {n: parameters[n] for n in by})
            rows = [pull(row)[0] for row in jnp.eye(len(self.names), dtype=values.dtype)]
            return values.sum(), jax.tree.map(lambda *a: sum(a), *rows)

        return run


class Replay:
    """Hold what a step of a case computes.

    Args:
        build: builds the case anew.
        losses: names.

    Attributes:
        flops: of one step; None where it cannot be traced.
    """

    def __init__(self, build: Callable[[], StepCase], losses: Collection[str]) -> None:
        self.case = build()
        self.ways = Ways(self.case, losses)
        self.flops: float | None = None
        self._costs: dict[Loss, float] = {}
        try:
            self.flops = work(self.case.next_state, self.case.state, *self.case.arguments)
        except Exception:  # a step that depends on values, or is compiled by other means
            return
        self._step = jax.jit(self.case.next_state)

    def costs(self, way: Loss) -> float:
        """Return the work of a way to compute the gradients; each is traced once."""
        if way not in self._costs:
            self._costs[way] = work(way, self.ways.start)
        return self._costs[way]

    def goes(self, way: Loss) -> bool:
        """Return whether the step does as much work as a way does."""
        assert self.flops is not None
        flops = self.costs(way)
        return abs(self.flops - flops) <= SAME_WORK * flops

    def is_along(self, way: Loss, names: Collection[str]) -> bool:
        """Return whether steps from several weights go along the gradients of a way.

        Plain gradient descent does, and Adam's first step goes along the signs.
        """
        return self._is_along_from(self.case.state, way, names)

    def is_along_later(self, way: Loss, names: Collection[str]) -> bool:
        """Return the same of the steps from where some training steps have led."""
        return self._is_along_from(self._later(), way, names)

    def keeps_still(self, names: Collection[str]) -> bool:
        """Return whether some training steps leave these parameters as they are, bit by bit."""
        before, after = jax.tree.leaves(self.case.state), jax.tree.leaves(self._later())
        places = [self.case.places[name] for name in names]
        return all(np.array_equal(before[place], after[place]) for place in places)

    def _later(self) -> Any:
        """Return the state after some training steps."""
        state = self.case.state
        for _ in range(LATER):
            state = self._step(state, *self.case.arguments)
        return state

    def _is_along_from(self, state: Any, way: Loss, names: Collection[str]) -> bool:
        """Return whether steps from this state, with several weights, go along gradients."""
        rng = np.random.default_rng(self.case.seed)
        return all(self._is_along(state, way, names, self._weights(rng)) for _ in range(STARTS))

    def _weights(self, rng: np.random.Generator) -> dict[str, Any]:
        """Return weights near the start."""
        start = self.ways.start
        return {
            n: a * (1.0 + SPREAD * rng.standard_normal(a.shape).astype(a.dtype))
            for n, a in start.items()
        }

    def _is_along(
        self, state: Any, way: Loss, names: Collection[str], weights: Mapping[str, Any]
    ) -> bool:
        """Return whether the step from these weights goes along the gradients of a way."""
        leaves, structure = jax.tree.flatten(state)
        for name, array in weights.items():
            leaves[self.case.places[name]] = array
        after = jax.tree.leaves(
            self._step(jax.tree.unflatten(structure, leaves), *self.case.arguments)
        )
        _, grads = jax.jit(way)(dict(weights))
        moves = [np.asarray(after[self.case.places[n]] - weights[n], np.float64) for n in names]
        slopes = [np.asarray(grads[n], np.float64) for n in names]
        move, slope = (np.concatenate([a.ravel() for a in part]) for part in (moves, slopes))
        return cosine(move, -slope) > ALONG or cosine(move, -np.sign(slope)) > SIGNS

    def saving(self, way: Loss, cheaper: Loss) -> dict[str, Any]:
        """Return FLOPs of a step as it is and as it could be, and seconds of the gradients."""
        assert self.flops is not None
        seconds = _times([jax.jit(way), jax.jit(cheaper)], self.ways.start)
        return {
            "flops": self.flops,
            "least_flops": self.flops - self.costs(way) + self.costs(cheaper),
            "seconds": seconds[0],
            "least_seconds": seconds[1],
        }


def merged_passes(replay: Replay) -> dict[str, Any] | None:
    """Return what one backward pass would save; None where the step runs one already."""
    ways = replay.ways
    if replay.flops is None or len(ways.names) < 2:
        return None
    one = ways.summed(ways.names, ways.trained)
    for several in (ways.separate(ways.trained), ways.pulled_back(ways.trained)):
        if replay.costs(several) <= replay.costs(one) * (1 + SAME_WORK) or not replay.goes(several):
            continue
        if replay.is_along(several, ways.trained):
            worst, where = _difference(several, one, ways.start)
            saving = replay.saving(several, one)
            return {"passes": len(ways.names), "difference": worst, "where": where, **saving}
    return None


def without_frozen_gradients(replay: Replay) -> dict[str, Any] | None:
    """Return what differentiating by the trained part alone would save; None where it is done."""
    ways, frozen = replay.ways, list(replay.case.frozen)
    if replay.flops is None or not frozen:
        return None
    every, part = list(ways.start), ways.trained
    pairs = [(ways.summed(ways.names, every), ways.summed(ways.names, part))]
    pairs += [(ways.summed([n], every), ways.summed([n], part)) for n in ways.names]
    pairs += [(ways.separate(every), ways.separate(part))]
    for whole, cheaper in pairs:
        if replay.costs(whole) > replay.costs(cheaper) * (1 + SAME_WORK) and replay.goes(whole):
            return {"names": frozen, **replay.saving(whole, cheaper)}
    return None


def zero_weights(replay: Replay) -> dict[str, Any] | None:
    """Return the work done for a loss that changes nothing; None where there is none."""
    ways = replay.ways
    if replay.flops is None or len(ways.names) < 2:
        return None
    all_losses = ways.summed(ways.names, ways.trained)
    if not replay.goes(all_losses) or replay.is_along(all_losses, ways.trained):
        return None
    for loss in ways.names:
        without_loss = ways.summed([n for n in ways.names if n != loss], ways.trained)
        least = replay.costs(without_loss)
        cheaper = least < replay.costs(all_losses) * (1 - SAME_WORK)
        if (
            cheaper
            and replay.is_along(without_loss, ways.trained)
            and _stays_zero(replay, all_losses, without_loss)
        ):
            return {
                "flops": replay.flops,
                "zero_flops": replay.costs(all_losses) - least,
                "loss": loss,
            }
    return None


def _stays_zero(replay: Replay, all_losses: Loss, without_loss: Loss) -> bool:
    """Return whether a loss that changes nothing at first changes nothing later either.

    A weight may rise from 0 in the course of training. What this loss alone reaches must then
    keep still. Where there is no such parameter, later steps must go along the gradient of the
    other losses, which plain gradient descent shows, and an optimizer with a memory does not.

    Args:
        all_losses: the gradient of all losses.
        without_loss: that of the others.
    """
    (_, every), (_, others) = (
        jax.jit(way)(replay.ways.start) for way in (all_losses, without_loss)
    )
    own = [n for n in every if np.any(every[n]) and not np.any(others[n])]
    if own:
        return replay.keeps_still(own)
    return replay.is_along_later(without_loss, replay.ways.trained)


def work(function: Callable[..., Any], *arguments: Any) -> float:
    """Return the FLOPs of the products and convolutions that a function's outputs need."""
    traced = jax.make_jaxpr(function)(*arguments)
    live, _ = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
    return _flops(live)


def _flops(jaxpr: Jaxpr) -> float:
    """Return the FLOPs of a program, what runs in a scan as often as it runs."""
    total = 0.0
    equation: Any
    for equation in jaxpr.eqns:
        name, out = equation.primitive.name, equation.outvars
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            shape = equation.invars[0].aval.shape
            total += 2.0 * prod(out[0].aval.shape) * prod(shape[i] for i in contracted)
        elif name == "conv_general_dilated":
            numbers = equation.params["dimension_numbers"]
            kernel = equation.invars[1].aval.shape
            per_output = prod(kernel) / kernel[numbers.rhs_spec[0]]
            total += 2.0 * prod(out[0].aval.shape) * per_output
        inner = [_flops(one) for one in _inside(equation)]
        if inner:
            times = equation.params.get("length", 1) if name == "scan" else 1
            total += times * (max(inner) if name == "cond" else sum(inner))
    return total


def _inside(equation: Any) -> list[Jaxpr]:
    """Return the programs inside an equation."""
    kinds = (Jaxpr, ClosedJaxpr)
    values = jax.tree.leaves(
        list(equation.params.values()), is_leaf=lambda value: isinstance(value, kinds)
    )
    jaxprs = [value for value in values if isinstance(value, kinds)]
    return [one.jaxpr if isinstance(one, ClosedJaxpr) else one for one in jaxprs]


def _times(functions: list[Any], parameters: Any) -> list[float]:
    """Return the least seconds of a call of each, taken in turns: others only add to them."""
    times: list[list[float]] = [[] for _ in functions]
    for function in functions:
        jax.block_until_ready(function(parameters))
    for _ in range(TIMED):
        for function, seconds in zip(functions, times, strict=True):
            start = time.perf_counter()
            jax.block_until_ready(function(parameters))
            seconds.append(time.perf_counter() - start)
    return [min(seconds) for seconds in times]


def _difference(one: Loss, other: Loss, parameters: Any) -> tuple[float, str | None]:
    """Return the largest relative difference of a gradient, and the parameter that has it."""
    first, second = (jax.jit(way)(parameters)[1] for way in (one, other))
    worst, where = 0.0, None
    for name, gradient in first.items():
        both = jnp.stack([gradient, second[name]])
        scale = float(jnp.abs(both).max(initial=0.0))
        size = float(jnp.abs(gradient - second[name]).max(initial=0.0))
        if size and size / scale > worst:
            worst, where = size / scale, name
    return worst, where
