"""Collect the matrix products inside a cell, to measure the peak of the machine with them.

And count the FLOPs of branches of a ``cond`` that XLA counts, but that never run.

The peak is the rate that this framework's own GEMM reaches on operands of the same shapes and
layouts. A share of the vendor's peak would mix the machine's speed with the library's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import prod
from typing import Any

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.interpreters.partial_eval import dce_jaxpr

from impl_jax.operations import TAKEN, TRUE

Layout = tuple[tuple[int, ...], np.dtype[Any]]


class Product:
    """Hold operands of one shape and layout; ``count`` is how often the cell multiplies such.

    ``flops`` is the cost of one product.
    """

    def __init__(
        self, operands: tuple[Layout, Layout], dimensions: Any, count: int, device: jax.Device
    ) -> None:
        self.count = count
        (left, _), (right, _) = operands
        (_, contracted_right), (_, batch_right) = dimensions
        free = [n for i, n in enumerate(right) if i not in (*contracted_right, *batch_right)]
        self.flops = 2 * prod(left) * prod(free)
        rng = np.random.default_rng(0)
        self._operands = [
            jax.device_put(rng.standard_normal(shape).astype(dtype), device)
            for shape, dtype in operands
        ]
        multiply = jax.jit(lambda a, b: jax.lax.dot_general(a, b, dimensions))
        self._compiled = multiply.lower(*self._operands).compile()

    def run(self) -> jax.Array:
        """Compute one product of the operands, and return it."""
        return self._compiled(*self._operands)


def record(programs: list[ClosedJaxpr], device: jax.Device) -> list[Product]:
    """Return the products in these traced programs, equal ones as one `Product` with a count."""
    counts: Counter[tuple[tuple[Layout, Layout], Any]] = Counter()
    for program in programs:
        # XLA removes computations that no output needs; the traced program still has them
        live, _ = dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
        for times, equation in _executed(live):
            if equation.primitive.name == "dot_general":
                left, right = ((v.aval.shape, v.aval.dtype) for v in equation.invars)
                counts[(left, right), equation.params["dimension_numbers"]] += times
    return [Product(ops, dims, count, device) for (ops, dims), count in counts.items()]


def not_taken(programs: list[ClosedJaxpr]) -> float:
    """Return the FLOPs of products that XLA counts and that do not run.

    Of a conditional XLA counts the branch that costs most, whichever is taken. Known is which one
    is taken by `recipes.cond`, not by a conditional of a user's network.
    """
    conditionals = [
        equation
        for program in programs
        for equation in _equations(program.jaxpr)
        if equation.primitive.name == "cond"
    ]
    return sum(max(map(_flops, c.params["branches"])) - _flops(_branch(c)) for c in conditionals)


def _branch(conditional: Any) -> ClosedJaxpr:
    """Return the branch that is counted: that of True if known, else the one that costs most."""
    branches: tuple[ClosedJaxpr, ...] = conditional.params["branches"]
    if str(conditional.source_info.name_stack).endswith(TRUE):
        return branches[TAKEN]
    return max(branches, key=_flops)


def _flops(program: ClosedJaxpr) -> float:
    """Return the FLOPs of the products in a branch of a conditional."""
    shapes = [
        (equation.outvars[0].aval.shape, equation.invars[0].aval.shape, equation.params)
        for equation in _equations(program.jaxpr)
        if equation.primitive.name == "dot_general"
    ]
    return sum(
        2.0 * prod(out) * prod(left[axis] for axis in params["dimension_numbers"][0][0])
        for out, left, params in shapes
    )


def _equations(jaxpr: Jaxpr) -> Iterator[Any]:
    """Yield every equation that `_executed` yields."""
    return (equation for _, equation in _executed(jaxpr))


def _executed(jaxpr: Jaxpr, times: int = 1) -> Iterator[tuple[int, Any]]:
    """Yield how often each equation of a jaxpr runs, and it, also of jaxprs inside, as of a jit.

    Of a conditional it is the branch that is counted, see `_branch`. The turns of a `while` are
    not known: its body counts once.
    """
    for equation in jaxpr.eqns:
        yield times, equation
        turns = times * (equation.params["length"] if equation.primitive.name == "scan" else 1)
        inside = dict(equation.params)
        if equation.primitive.name == "cond":
            inside["branches"] = _branch(equation)
        for value in jax.tree.leaves(
            list(inside.values()), is_leaf=lambda v: isinstance(v, (Jaxpr, ClosedJaxpr))
        ):
            if isinstance(value, ClosedJaxpr):
                yield from _executed(value.jaxpr, turns)
            elif isinstance(value, Jaxpr):
                yield from _executed(value, turns)
