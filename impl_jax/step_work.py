"""Count the products of matrices and the convolutions that a traced function computes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from math import prod
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr
from jax.interpreters.partial_eval import dce_jaxpr

# (FLOPs, elements of the two factors in order of size, elements of the result) → how often
Products = Counter[tuple[float, tuple[int, ...], int]]


def products_of(function: Callable[..., Any], *arguments: Any) -> Products:
    """Return the products and convolutions that a function's outputs need."""
    traced = jax.make_jaxpr(function)(*arguments)
    live, _ = dce_jaxpr(traced.jaxpr, [True] * len(traced.jaxpr.outvars))
    return _products(live)


def flops_of(products: Products) -> float:
    """Return the FLOPs of some products."""
    return sum(flops * times for (flops, _, _), times in products.items())


def _products(jaxpr: Jaxpr) -> Products:
    """Return the products of a program, what runs in a scan as often as it runs."""
    total: Products = Counter()
    equation: Any
    for equation in jaxpr.eqns:
        flops = _flops(equation)
        if flops:
            factors = tuple(sorted(prod(one.aval.shape) for one in equation.invars[:2]))
            total[flops, factors, prod(equation.outvars[0].aval.shape)] += 1
        name, inner = equation.primitive.name, [_products(one) for one in _inside(equation)]
        if name == "cond" and inner:
            inner = [max(inner, key=flops_of)]
        times = equation.params.get("length", 1) if name == "scan" else 1
        for products in inner:
            for product, count in products.items():
                total[product] += times * count
    return total


def _flops(equation: Any) -> float:
    """Return the FLOPs of a product or a convolution; 0 of any other operation."""
    name = equation.primitive.name
    if name not in ("dot_general", "conv_general_dilated"):
        return 0.0
    result = equation.outvars[0].aval
    if name == "dot_general":
        (contracted, _), _ = equation.params["dimension_numbers"]
        shape = equation.invars[0].aval.shape
        return 2.0 * prod(result.shape) * prod(shape[i] for i in contracted)
    numbers = equation.params["dimension_numbers"]
    kernel = equation.invars[1].aval.shape
    return 2.0 * prod(result.shape) * prod(kernel) / kernel[numbers.rhs_spec[0]]


def _inside(equation: Any) -> list[Jaxpr]:
    """Return the programs inside an equation."""
    kinds = (Jaxpr, ClosedJaxpr)
    values = jax.tree.leaves(
        list(equation.params.values()), is_leaf=lambda value: isinstance(value, kinds)
    )
    jaxprs = [value for value in values if isinstance(value, kinds)]
    return [one.jaxpr if isinstance(one, ClosedJaxpr) else one for one in jaxprs]
