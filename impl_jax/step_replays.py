"""Compare what a pure step computes with the ways in which its gradients may be computed.

JAX has no hooks: which way a step goes is told by its work and by what it does to the parameters.
The work is that of matrix products and convolutions in the traced program, without what no output
needs, as XLA removes that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from impl_jax.step_case import StepCase
from impl_jax.step_changes import cosine
from impl_jax.step_work import Products, flops_of, products_of

TIMED = 7  # calls of each kind, in turns
SAME_WORK = 0.01  # relative difference of the work of one and the same way
ALONG, SIGNS = 0.9999, 0.98  # cosines of a plain step, and of Adam's first step, with the gradient
STARTS = 3  # weights at which a step is held against a gradient
LATER = 3  # training steps after which it is looked again
SPREAD = 0.5  # relative size of the noise on those weights
BRIEF = 2e-4  # seconds of a call; in a shorter one the call's own overhead hides what is saved

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

    def evaluated_again(self, way: Loss) -> Loss:
        """Return a way with one more forward pass, as a checkpoint or a value that is kept has."""

        def run(parameters: Any) -> Any:
            values = self.case.losses(dict(parameters))
            return way(parameters), [values[name] for name in self.names]

        return run

    def of_one_pass(self, by: Collection[str]) -> list[Loss]:
        """Return the ways with one backward pass by some parameters: of the sum, or of one loss."""
        among = [self.names, *([name] for name in self.names)]
        once = [self.summed(names, by) for names in among]
        return [*once, *map(self.evaluated_again, once)]

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
        self._products: dict[Loss, Products] = {}
        try:
            state, arguments = self.case.state, self.case.arguments
            self._own_products = products_of(self.case.next_state, state, *arguments)
        except Exception:  # a step that depends on values, or is compiled by other means
            return
        self.flops = flops_of(self._own_products)
        self._step = jax.jit(self.case.next_state)

    def costs(self, way: Loss) -> float:
        """Return the work of a way to compute the gradients; each is traced once."""
        return flops_of(self._products_of(way))

    def goes(self, way: Loss) -> bool:
        """Return whether the step does as much work as a way does."""
        assert self.flops is not None
        flops = self.costs(way)
        return abs(self.flops - flops) <= SAME_WORK * flops

    def goes_only(self, way: Loss, others: Iterable[Loss]) -> bool:
        """Return whether the step does as much work as a way, and the work of no other explains it.

        Two ways may happen to do as much work. Then it is the one whose products have the shapes
        of the step's, all of them, if the others' do not.
        """
        if not self.goes(way):
            return False
        rivals = [self._products_of(one) for one in others if self.goes(one)]
        own = self._own_products
        return not rivals or (self._products_of(way) == own and own not in rivals)

    def _products_of(self, way: Loss) -> Products:
        """Return the products that a way computes."""
        if way not in self._products:
            self._products[way] = products_of(way, self.ways.start)
        return self._products[way]

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
        starts = [self._weights(rng) for _ in range(STARTS)]
        return bool(names) and all(self._is_along(state, way, names, one) for one in starts)

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

    def saving(self, way: Loss, cheaper: Loss) -> dict[str, Any] | None:
        """Return FLOPs of a step as it is and as it could be, and seconds of the gradients.

        None where nothing is saved, as XLA has merged what is computed twice. The seconds are None
        where the calls are too short to tell.
        """
        assert self.flops is not None
        seconds: list[Any] = _times([jax.jit(way), jax.jit(cheaper)], self.ways.start)
        if seconds[1] >= seconds[0]:
            if seconds[0] >= BRIEF:
                return None
            seconds = [None, None]
        return {
            "flops": self.flops,
            "least_flops": self.flops - self.costs(way) + self.costs(cheaper),
            "seconds": seconds[0],
            "least_seconds": seconds[1],
        }


def merged_passes(replay: Replay) -> dict[str, Any] | None:
    """Return what one backward pass would save; None where the step may run one already."""
    ways = replay.ways
    if replay.flops is None or len(ways.names) < 2:
        return None
    one = ways.summed(ways.names, ways.trained)
    right = [*ways.of_one_pass(ways.trained), *ways.of_one_pass(list(ways.start))]
    for several in (ways.separate(ways.trained), ways.pulled_back(ways.trained)):
        if replay.costs(several) <= replay.costs(one) * (1 + SAME_WORK):
            continue
        if replay.goes_only(several, right) and replay.is_along(several, ways.trained):
            worst, where = _difference(several, one, ways.start)
            saving = replay.saving(several, one)
            return saving and {
                "passes": len(ways.names), "difference": worst, "where": where, **saving
            }  # fmt: skip
    return None


def without_frozen_gradients(replay: Replay) -> dict[str, Any] | None:
    """Return what differentiating by the trained part alone would save.

    None where the step may do so already.
    """
    ways, frozen = replay.ways, list(replay.case.frozen)
    if replay.flops is None or not frozen:
        return None
    every, part = list(ways.start), ways.trained
    pairs = [(ways.summed(ways.names, every), ways.summed(ways.names, part))]
    pairs += [(ways.separate(every), ways.separate(part))]
    single = [(ways.summed([n], every), ways.summed([n], part)) for n in ways.names]
    right = [*ways.of_one_pass(part), ways.separate(part), ways.pulled_back(part)]
    for whole, cheaper in [*pairs, *single]:
        if replay.costs(whole) <= replay.costs(cheaper) * (1 + SAME_WORK):
            continue
        if not replay.goes_only(whole, right):
            continue
        if (whole, cheaper) in pairs or replay.is_along(whole, part):
            saving = replay.saving(whole, cheaper)
            return saving and {"names": frozen, **saving}
    return None


def zero_weights(replay: Replay) -> dict[str, Any] | None:
    """Return the work done for a loss that changes nothing; None where there is none."""
    ways = replay.ways
    if replay.flops is None or len(ways.names) < 2:
        return None
    all_losses = ways.summed(ways.names, ways.trained)
    if not replay.goes(all_losses) or replay.is_along(all_losses, ways.trained):
        return None
    every = list(ways.start)
    for loss in ways.names:
        others = [n for n in ways.names if n != loss]
        without_loss = ways.summed(others, ways.trained)
        right = [ways.summed(others, every), ways.evaluated_again(without_loss)]
        least = replay.costs(without_loss)
        cheaper = least < replay.costs(all_losses) * (1 - SAME_WORK)
        if (
            cheaper
            and replay.goes_only(all_losses, right)
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
