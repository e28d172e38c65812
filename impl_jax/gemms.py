"""The matrix products inside a cell, found by watching it, to measure the machine's peak with.

A share of a vendor's peak would mix the machine with the library. The peak meant here is what this
framework's own GEMM reaches on operands of the same shapes and layouts.
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

Layout = tuple[tuple[int, ...], np.dtype[Any]]


class Product:
    """``count`` products of one shape and layout; ``run`` computes one, into fresh memory."""

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
        return self._compiled(*self._operands)


def record(programs: list[ClosedJaxpr], device: jax.Device) -> list[Product]:
    """The products in these traced programs, equal ones counted together."""
    found: Counter[tuple[tuple[Layout, Layout], Any]] = Counter()
    for program in programs:
        # XLA drops what no output needs; what was traced still has it
        live, _ = dce_jaxpr(program.jaxpr, [True] * len(program.jaxpr.outvars))
        for equation in _equations(live):
            if equation.primitive.name == "dot_general":
                left, right = ((v.aval.shape, v.aval.dtype) for v in equation.invars)
                found[(left, right), equation.params["dimension_numbers"]] += 1
    return [Product(ops, dims, count, device) for (ops, dims), count in found.items()]


def _equations(jaxpr: Jaxpr) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(
            list(equation.params.values()), is_leaf=lambda v: isinstance(v, (Jaxpr, ClosedJaxpr))
        ):
            if isinstance(value, ClosedJaxpr):
                yield from _equations(value.jaxpr)
            elif isinstance(value, Jaxpr):
                yield from _equations(value)
