"""Measure how fast this machine is: an operation alone, memory, and the cost of a call.

What is returned is the best of several runs. It is measured in a process that times no cell.

A program that holds nothing but an operation takes what a call costs too: 10 to 50 µs, in which
threads are woken that have gone to sleep since the call before. In the program of a cell an
operation pays for neither, and so it is timed in a program that repeats it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from impl_jax import runtime
from impl_jax.operation_arguments import function_of, operands_of

ROUNDS = 2  # of measuring memory and calls; the best times of all count
SIZES = tuple(2**power for power in range(14, 25, 2))  # bytes of an array
ROW = 256  # elements of a row of it
SIDES = (60, 120, 240, 480, 960)  # of a square array that is turned
CHAIN = (4, 36)  # products in the programs that show what an operation costs
SIDE = 8  # of what is multiplied there
LEAST = 2048  # elements: a program over fewer FLOPs than `operations.CHEAP` costs less to call
MANY = 33  # arguments, or results, of the programs that show what one costs

RUNS = 5  # of a call, or of a loop, at least
BUDGET = 2e-3  # seconds to run calls for, at least
BATCH = 8  # calls of what takes microseconds
ENOUGH = 3e-4  # seconds that the shorter run of a loop takes at least
MORE = 4  # times as many turns in the longer one
MOST = 4096  # turns of the shorter run
LONG = 0.1  # seconds after which two runs of a loop are enough; of which a call is no part


class Calibration:
    """Hold what was measured in this process, so that nothing is measured twice.

    Args:
        device: to measure.
        dtype: of the cells that the rates are for.
        cache: a folder in which programs are found, and kept, compiled; None for the session's.
    """

    def __init__(self, device: jax.Device, dtype: str, cache: str | None = None) -> None:
        self.device, self.dtype = device, runtime.DTYPES[dtype]
        self._name, self._cache = dtype, cache
        self._machine: dict[str, Any] | None = None
        self._small = self._array([LEAST], dtype)
        self._programs: dict[str, Any] = {}  # a `Loop` or a `Call` by what it times

    def machine(self) -> dict[str, Any]:
        """Return the seconds of reading and writing by bytes, and of a call by its kind.

        ``reading``, ``writing`` and ``turning`` (from rows to columns) list pairs (bytes, seconds);
        ``dispatch`` maps the kinds of `operations.Module.operations` to seconds; ``slow`` is the
        seconds of an element of an exponential function or the like.
        """
        for _ in range(0 if self._machine else ROUNDS):
            pairs = [(size, *self._memory(size)) for size in SIZES]
            self._machine = {
                "reading": [[size, read] for size, read, _ in pairs],
                "writing": [[size, wrote] for size, _, wrote in pairs],
                "turning": [self._turning(side) for side in SIDES],
                "dispatch": self._dispatch(),
                "slow": self._slow(),
            }
        assert self._machine
        return self._machine

    def measure(self, work: Sequence[Mapping[str, Any]]) -> float:
        """Return the seconds of an operation's products and pools, without what a call costs.

        Args:
            work: as `operations.Module.operations` lists it.
        """
        return sum(self._part(one) for one in work)

    def _part(self, work: Mapping[str, Any]) -> float:
        """Return the seconds of one product, convolution or pool."""
        operands = [self._array(shape, name) for shape, name in operands_of(work)]
        key = json.dumps(work, sort_keys=True)
        return self._seconds(key, function_of(work), *operands)

    def _seconds(self, key: str, function: Callable[..., jax.Array], *operands: jax.Array) -> float:
        """Return the seconds of a function inside a program, without what a call costs.

        On a CPU it is timed in a loop. On other devices the host decides whether a loop goes on,
        and waits for the device in each turn; there the best call counts, less an empty one.

        Args:
            key: of the function and the shapes of its operands, for which a program is compiled
                once.
        """
        if self.device.platform != "cpu":
            return max(self._call(key, function, *operands) - self._empty_call(), 0.0)
        return max(self._turn(key, function, *operands) - self._empty_turn(), 0.0)

    def _turn(self, key: str, function: Callable[..., jax.Array], *operands: jax.Array) -> float:
        """Return the seconds of a turn of a loop over a function; arguments as of `_seconds`."""
        seconds: float = self._program(key, lambda: Loop(function, operands)).seconds(operands)
        return seconds

    def _call(
        self, key: str, function: Callable[..., Any], *operands: jax.Array, keep: bool = False
    ) -> float:
        """Return the seconds of a call of a function; arguments as of `_seconds` and `Call`."""
        program = self._program(key, lambda: Call(function, operands, keep=keep))
        seconds: float = program.seconds(operands)
        return seconds

    def _program(self, key: str, compiled: Callable[[], Any]) -> Any:
        """Return the `Loop` or `Call` of this key, compiled where this process has none yet."""
        if key not in self._programs:
            with runtime.compile_cache(self._cache):
                self._programs[key] = compiled()
        return self._programs[key]

    def _empty_turn(self) -> float:
        """Return the seconds of a turn of a loop in which little is computed."""
        if not hasattr(self, "_empty_turn_seconds"):
            value = self._array([SIDE, SIDE * SIDE], self._name)
            self._empty_turn_seconds = self._turn("empty turn", lambda x: x[:1, :1] + 1, value)
        return self._empty_turn_seconds

    def _empty_call(self) -> float:
        """Return the seconds of a call of a program that computes little."""
        if not hasattr(self, "_empty_call_seconds"):
            operands = self._small, self._small
            self._empty_call_seconds = self._call("empty call", lambda x, y: x + y, *operands)
        return self._empty_call_seconds

    def _memory(self, size: int) -> tuple[float, float]:
        """Return the seconds of reading so many bytes, and of writing them to another array.

        A sum reads, and a sign change reads and writes.
        """
        value = self._array([size // jnp.dtype(self.dtype).itemsize // ROW, ROW], self._name)
        reading = self._seconds(f"reading {size}", jnp.sum, value)
        both = self._seconds(f"reading and writing {size}", jnp.negative, value)
        return reading, max(both - reading, 0.0)

    def _turning(self, side: int) -> list[float]:
        """Return the bytes of a square array, and the seconds of laying it out by columns.

        Not in a loop: there XLA is free to lay out the result in columns, so that nothing moves.
        """
        value = self._array([side, side], self._name)
        turned = self._call(f"turning {side}", lambda x: -x.T, value)
        return [value.nbytes, max(turned - self._empty_call(), 0.0)]

    def _slow(self) -> float:
        """Return the seconds of an element of a hyperbolic tangent."""
        value = self._array([ROW, ROW], self._name)
        return self._seconds("slow", jnp.tanh, value) / value.size

    def _dispatch(self) -> dict[str, float]:
        """Return the seconds of a call, an argument, a result, and an operation in a program."""
        tiny, small = self._array([SIDE, SIDE], "float32"), self._small
        few, many = (self._call(f"chain of {count}", _chain(count), tiny) for count in CHAIN)
        one = self._call("call", lambda x: x + 1, small)
        cheap = self._call("cheap call", lambda x: x + 1, tiny)
        arguments = self._call("arguments", lambda *x: x[0] + 1, *[small] * MANY, keep=True)
        results = self._call("results", lambda x: tuple(x[:64] + i for i in range(MANY)), small)
        operation = max((many - few) / (CHAIN[1] - CHAIN[0]), 0.0)
        each = {
            "operation": operation,
            "argument": max((arguments - one) / (MANY - 1), 0.0),
            # each result is made by an operation of its own
            "result": max((results - one) / (MANY - 1) - operation, 0.0),
        }
        beside = sum(each.values())
        return each | {"call": max(one - beside, 0.0), "cheap call": max(cheap - beside, 0.0)}

    def _array(self, shape: Sequence[int], dtype: str) -> jax.Array:
        """Return an array of ones on the device."""
        # made by NumPy: JAX would compile a program for each shape
        return jax.device_put(np.ones(tuple(shape), jnp.dtype(dtype)), self.device)


def _chain(count: int) -> Callable[[jax.Array], jax.Array]:
    """Return a function of so many tiny products, each of the result before it."""

    def chain(value: jax.Array) -> jax.Array:
        result = value
        for _ in range(count):
            result = result @ value
        return result

    return chain


class Call:
    """Hold a program, and the shortest time that a call of it has taken so far.

    Args:
        function: that is compiled whole.
        operands: arrays on the device that it is to run on.
        keep: whether operands that nothing reads are handed over all the same.
    """

    def __init__(
        self, function: Callable[..., Any], operands: Sequence[jax.Array], *, keep: bool = False
    ) -> None:
        self._call = jax.jit(function, keep_unused=keep).lower(*operands).compile()
        self._fastest = float("inf")

    def seconds(self, operands: Sequence[jax.Array]) -> float:
        """Return the seconds of the fastest call, of these and all before."""
        once = min(self._time(operands, 1) for _ in range(3))
        calls = BATCH if once < 1e-4 else 1
        self._fastest = min(self._fastest, once) if calls == 1 else self._fastest
        spent, runs = 0.0, 0
        while runs < RUNS or spent < BUDGET:
            seconds = self._time(operands, calls)
            self._fastest = min(self._fastest, seconds)
            spent, runs = spent + seconds * calls, runs + 1
        return self._fastest

    def _time(self, operands: Sequence[jax.Array], calls: int) -> float:
        """Return the mean seconds of a few calls, each of which is waited for."""
        start = time.perf_counter()
        for _ in range(calls):
            runtime.synchronize(self._call(*operands))
        return (time.perf_counter() - start) / calls


class Loop:
    """Hold a program that evaluates a function as often as it is told, once after the other.

    Args:
        function: takes the operands, returns one array.
        operands: arrays on the device that it is to run on.
    """

    def __init__(self, function: Callable[..., jax.Array], operands: Sequence[jax.Array]) -> None:
        self._call = jax.jit(_repeated(function)).lower(np.int32(1), *operands).compile()
        self._turns: int | None = None
        self._few = self._many = float("inf")  # seconds of the fastest runs so far

    def seconds(self, operands: Sequence[jax.Array]) -> float:
        """Return the seconds of one turn: what more of them take longer, by their number.

        Args:
            operands: of the shapes and types that the program was compiled for.
        """
        turns = self._turns = self._turns or self._enough(operands)
        if self._few > LONG:
            self._few = min(self._few, self._time(turns, operands))
            return self._few / turns
        spent, runs = 0.0, 0
        while runs < RUNS and (spent < LONG or runs < 2):
            few, many = self._time(turns, operands), self._time(MORE * turns, operands)
            self._few, self._many = min(self._few, few), min(self._many, many)
            spent, runs = spent + few + many, runs + 1
        return max(self._many - self._few, 0.0) / ((MORE - 1) * turns)

    def _enough(self, operands: Sequence[jax.Array]) -> int:
        """Return how many turns the shorter run has, so that a clock can tell two runs apart."""
        turns = 1
        self._time(turns, operands)  # the first run of a program is slow
        while turns < MOST:
            self._few = min(self._time(turns, operands) for _ in range(2))
            if self._few >= ENOUGH:
                break
            turns *= 2
        return turns

    def _time(self, turns: int, operands: Sequence[jax.Array]) -> float:
        """Return the seconds of one run with so many turns."""
        start = time.perf_counter()
        runtime.synchronize(self._call(np.int32(turns), *operands))
        return time.perf_counter() - start


def _repeated(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Return the function that evaluates this one so many times, and returns its last result.

    From turn to turn the first operand changes in one element: what stays the same in all turns
    XLA would evaluate once, before the loop.
    """

    def repeat(turns: jax.Array, first: jax.Array, *others: jax.Array) -> jax.Array:
        """Evaluate the function in a loop of so many turns, and return its last result."""
        result = jax.eval_shape(function, first, *others)

        def turn(_: Any, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            operand, _ = state
            made = function(operand, *others)
            return _with_element(operand, made), made

        start = first, jnp.zeros(result.shape, result.dtype)
        last: jax.Array = lax.fori_loop(0, turns, turn, start)[1]
        return last

    return repeat


def _with_element(operand: jax.Array, result: jax.Array) -> jax.Array:
    """Return an operand whose first element is that of a result, and 1 at most.

    Without that bound the numbers would grow from turn to turn, and overflow.
    """
    first = lax.slice(result, [0] * result.ndim, [1] * result.ndim)
    element = jnp.minimum(first, 1).reshape([1] * operand.ndim).astype(operand.dtype)
    return lax.dynamic_update_slice(operand, element, [0] * operand.ndim)
