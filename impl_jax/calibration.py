"""Measure how fast this machine is: an operation alone, memory, and the cost of a call.

What is returned is the best of several runs. It is measured in a process that times no cell.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from impl_jax import runtime

SIZES = tuple(2**power for power in range(14, 25, 2))  # bytes of an array
SIDES = (60, 120, 240, 480, 960)  # of a square array that is turned
BUDGET = 2e-3  # seconds for each measurement, beside a first run
RUNS = 5  # at least
CHAIN = (4, 36)  # products in the programs that show what an operation costs
SIDE = 8  # of what is multiplied there
LEAST = 2048  # elements: a program over fewer FLOPs than `operations.CHEAP` costs less to call
MANY = 33  # arguments, or results, of the programs that show what one costs
ELEMENTS = 2**16  # of the array whose hyperbolic tangent is taken
BATCH = 8  # calls of what takes microseconds
TYPES = {"f32": "float32", "f64": "float64", "bf16": "bfloat16", "f16": "float16"}


class Calibration:
    """Hold what was measured in this process, so that nothing is measured twice."""

    def __init__(self, device: jax.Device, dtype: str) -> None:
        self.device, self.dtype = device, runtime.DTYPES[dtype]
        self._name = dtype
        self._machine: dict[str, Any] | None = None
        self._small = self._array([LEAST], dtype)

    def machine(self) -> dict[str, Any]:
        """Return the seconds of reading and writing by bytes, and of a call by its kind.

        ``reading``, ``writing`` and ``turning`` (from rows to columns) list pairs (bytes, seconds);
        ``dispatch`` maps the kinds of `operations.Module.operations` to seconds; ``slow`` is the
        seconds of an element of an exponential function or the like.
        """
        if self._machine is None:
            pairs = [self._memory(size) for size in SIZES]
            self._machine = {
                "reading": [[size, read] for size, (read, _) in zip(SIZES, pairs, strict=True)],
                "writing": [[size, wrote] for size, (_, wrote) in zip(SIZES, pairs, strict=True)],
                "turning": [self._turning(side) for side in SIDES],
                "dispatch": self._dispatch(),
                "slow": self._slow(),
            }
        return self._machine

    def measure(self, work: Sequence[Mapping[str, Any]]) -> float:
        """Return the seconds of the products of an operation alone, without what a call costs.

        Args:
            work: as `operations.Module.operations` lists it.
        """
        return sum(self._product(one) for one in work)

    def _product(self, work: Mapping[str, Any]) -> float:
        """Return the seconds of one product or convolution."""
        make = product_of if work["op"] == "dot" else convolution_of
        shapes = [[shape[d] for d in order_of(layout)] for _, shape, layout in work["arrays"]]
        operands = [
            self._array(shape, TYPES.get(name, name))
            for shape, (name, _, _) in zip(shapes[:2], work["arrays"][:2], strict=True)
        ]
        return max(self._fastest_call(make(work), *operands) - self._call(), 0.0)

    def _call(self) -> float:
        """Return the seconds of a call of a program that computes little."""
        if not hasattr(self, "_call_seconds"):
            self._call_seconds = self._fastest_call(lambda x, y: x + y, self._small, self._small)
        return self._call_seconds

    def _memory(self, size: int) -> tuple[float, float]:
        """Return the seconds of reading so many bytes, and of writing them to a new array.

        A sum reads, and a sign change reads and writes; what their calls cost is left out.
        """
        value = self._array([size // jnp.dtype(self.dtype).itemsize], self._name)
        reading = max(self._fastest_call(jnp.sum, value) - self._call(), 0.0)
        both = max(self._fastest_call(jnp.negative, value) - self._call(), 0.0)
        return reading, max(both - reading, 0.0)

    def _turning(self, side: int) -> list[float]:
        """Return the bytes of a square array, and the seconds of laying it out by columns."""
        value = self._array([side, side], self._name)
        return [value.nbytes, max(self._fastest_call(lambda x: -x.T, value) - self._call(), 0.0)]

    def _slow(self) -> float:
        """Return the seconds of an element of a hyperbolic tangent."""
        value = self._array([ELEMENTS], self._name)
        return max(self._fastest_call(jnp.tanh, value) - self._call(), 0.0) / ELEMENTS

    def _dispatch(self) -> dict[str, float]:
        """Return the seconds of a call, an argument, a result, and an operation in a program."""
        tiny = self._array([SIDE, SIDE], "float32")
        few, many = (self._fastest_call(_chain(count), tiny) for count in CHAIN)
        one = self._fastest_call(lambda x: x + 1, self._small)
        cheap = self._fastest_call(lambda x: x + 1, tiny)
        arguments = self._fastest_call(lambda *x: x[0] + 1, *[self._small] * MANY, keep=True)
        results = self._fastest_call(lambda x: tuple(x[:64] + i for i in range(MANY)), self._small)
        each = {
            "argument": (arguments - one) / (MANY - 1),
            "result": (results - one) / (MANY - 1),
            "operation": (many - few) / (CHAIN[1] - CHAIN[0]),
        }
        each = {kind: max(seconds, 0.0) for kind, seconds in each.items()}
        beside = sum(each.values())
        return each | {"call": max(one - beside, 0.0), "cheap call": max(cheap - beside, 0.0)}

    def _array(self, shape: Sequence[int], dtype: str) -> jax.Array:
        """Return an array of ones on the device."""
        return jax.device_put(jnp.ones(tuple(shape), dtype), self.device)

    def _fastest_call(
        self, function: Callable[..., Any], *arguments: Any, keep: bool = False
    ) -> float:
        """Return the seconds of the fastest call of a function, compiled whole.

        Args:
            keep: whether arguments that nothing reads are handed over all the same.
        """
        call = jax.jit(function, keep_unused=keep).lower(*arguments).compile()
        once = min(_time(call, arguments, 1) for _ in range(3))
        calls = BATCH if once < 1e-4 else 1
        fastest, spent, runs = once if calls == 1 else float("inf"), 0.0, 0
        while runs < RUNS or spent < BUDGET:
            seconds = _time(call, arguments, calls)
            fastest, spent, runs = min(fastest, seconds), spent + seconds * calls, runs + 1
        return fastest


def _time(call: Callable[..., Any], arguments: Sequence[Any], calls: int) -> float:
    """Return the mean seconds of a few calls, each of which is waited for."""
    start = time.perf_counter()
    for _ in range(calls):
        runtime.synchronize(call(*arguments))
    return (time.perf_counter() - start) / calls


def _chain(count: int) -> Callable[[jax.Array], jax.Array]:
    """Return a function of so many tiny products, each of the result before it."""

    def chain(value: jax.Array) -> jax.Array:
        result = value
        for _ in range(count):
            result = result @ value
        return result

    return chain


def order_of(layout: Sequence[int]) -> list[int]:
    """Return the dimensions in the order in which they lie in memory, the outermost first."""
    return list(reversed(layout))


def product_of(work: Mapping[str, Any]) -> Callable[..., jax.Array]:
    """Return the function of two arrays that computes a product, over what lies in memory.

    Where XLA laid an array out otherwise than row by row, its dimensions are permuted.
    """
    orders = [order_of(layout) for _, _, layout in work["arrays"]]
    pairs: list[Any] = [
        tuple(
            tuple(order.index(d) for d in dims)
            for order, dims in zip(orders, work[name], strict=False)
        )
        for name in ("contracting", "batch")
    ]
    turned = orders[2] == [1, 0]  # the result lies column by column: the other operand goes first

    def multiply(left: jax.Array, right: jax.Array) -> jax.Array:
        if turned:
            (a, b), (c, d) = pairs
            return lax.dot_general(right, left, ((b, a), (d, c)))
        return lax.dot_general(left, right, (pairs[0], pairs[1]))

    return multiply


def convolution_of(work: Mapping[str, Any]) -> Callable[..., jax.Array]:
    """Return the function of two arrays that computes a convolution, over what lies in memory."""
    orders = [order_of(layout) for _, _, layout in work["arrays"]]
    labels = [
        "".join(text[d] for d in order) for text, order in zip(work["labels"], orders, strict=True)
    ]
    digits = sorted(sign for sign in labels[0] if sign.isdigit())
    specs = [
        tuple(map(text.index, (*ends, *digits)))
        for text, ends in zip(labels, ("bf", "oi", "bf"), strict=True)
    ]

    def convolve(value: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            value,
            kernel,
            window_strides=work["strides"],
            padding=[tuple(pair) for pair in work["padding"]],
            lhs_dilation=work["lhs_dilation"],
            rhs_dilation=work["rhs_dilation"],
            dimension_numbers=lax.ConvDimensionNumbers(*specs),
            feature_group_count=work["feature_group_count"],
            batch_group_count=work["batch_group_count"],
        )

    return convolve
