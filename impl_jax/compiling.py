"""Compile what a program calls ahead of time, or leave it to run operation by operation.

A compiler is made for one program. In the mode ``jit`` each function that the program hands it is
compiled as a whole; in the mode ``eager`` none is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import jax

from impl_jax import operations
from impl_jax.operations import Module
from impl_jax.precision import Precision

Function = Callable[..., Any]
FULL = Precision()


class EagerCompiler:
    """Compile nothing: JAX runs the program operation by operation, as it is written."""

    graphs = 0  # no function is compiled a second time: another shape or type raises TypeError

    def __init__(self, precision: Precision = FULL) -> None:
        self.precision = precision
        self.functions: list[EagerFunction] = []  # those that the timed part of the program calls

    def jit(self, function: Function, donate: tuple[int, ...] = ()) -> EagerFunction:
        """Return the function that the program is to call in place of this one.

        ``donate`` are the positions of the arguments whose memory the outputs may overwrite.
        """
        prepared = self._prepared(self.precision.within(function), donate)
        self.functions.append(prepared)
        return prepared

    def _prepared(self, function: Function, donate: tuple[int, ...]) -> EagerFunction:
        """Return the function as this compiler has it run; arguments as in `jit`."""
        return EagerFunction(function)

    def exclude(self, function: Function) -> None:
        """Leave a function out of times and counts: the timed part does not call it."""
        self.functions = [one for one in self.functions if one is not function]

    @property
    def trace_seconds(self) -> float | None:
        """Seconds of tracing and lowering; None where nothing is traced whole."""
        return _total(one.trace_seconds for one in self.functions)

    @property
    def compile_seconds(self) -> float | None:
        """Seconds of XLA's compilation; None where nothing is compiled whole."""
        return _total(one.compile_seconds for one in self.functions)

    def flops(self) -> float | None:
        """Return the FLOPs of one call of each function together; None where XLA sees no whole."""
        return _total(one.flops() for one in self.functions)

    def operations(self) -> list[operations.Counted] | None:
        """Return the operations of one call of each function; None where XLA sees no whole."""
        counted = [one.operations() for one in self.functions]
        known = [part for part in counted if part is not None]
        return None if len(known) < len(counted) else [one for part in known for one in part]


class WholeCompiler(EagerCompiler):
    """Compile each function of the program as a whole."""

    def _prepared(self, function: Function, donate: tuple[int, ...]) -> EagerFunction:
        """Return the function compiled as a whole, at its first call."""
        return CompiledFunction(function, donate)


MODES: dict[str, type[EagerCompiler]] = {"jit": WholeCompiler, "eager": EagerCompiler}


class EagerFunction:
    """Call the function itself: JAX dispatches each operation alone, compiled at its first use.

    What passes from call to call is the same as with `CompiledFunction`, and so is what is waited
    for. No arguments are donated.
    """

    trace_seconds: float | None = None
    compile_seconds: float | None = None
    traced: Any = None
    executable: Any = None

    def __init__(self, function: Function) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def flops(self) -> float | None:
        """Return None, for unknown: there is no whole program to analyse."""
        return None

    def operations(self) -> list[operations.Counted] | None:
        """Return None, for unknown: there is no whole program to analyse."""
        return None


class CompiledFunction(EagerFunction):
    """Compile a function ahead of time, at its first call, and measure the stages of compiling.

    The executable takes only the shapes and types that it was compiled for, others raise TypeError.
    So no recompilation can hide in a timed loop, as it could behind `jax.jit`.
    """

    def __init__(self, function: Function, donate: tuple[int, ...] = ()) -> None:
        super().__init__(function)
        self._jitted = jax.jit(function, donate_argnums=donate)
        self.trace_seconds = self.compile_seconds = 0.0

    def __call__(self, *args: Any) -> Any:
        if self.executable is None:
            self._compile(args)
        return self.executable(*args)

    def _compile(self, args: tuple[Any, ...]) -> None:
        """Compile the function for arguments of these shapes and types, and time it."""
        start = time.perf_counter()
        self.traced = self._jitted.trace(*args)
        lowered = self.traced.lower()
        middle = time.perf_counter()
        self.executable = lowered.compile()
        self.trace_seconds = middle - start
        self.compile_seconds = time.perf_counter() - middle

    def flops(self) -> float:
        """Return the FLOPs of one call by XLA's own cost analysis, a loop's as often as it runs."""
        once = float((self.executable.cost_analysis() or {}).get("flops", 0.0))
        return once + self._module.repeated_flops()

    def operations(self) -> list[operations.Counted]:
        """Return the operations of one call, see `operations.Module`, and what the call costs."""
        jaxpr = self.traced.jaxpr.jaxpr
        cheap = self.flops() < operations.CHEAP
        calls = operations.calls(len(jaxpr.invars), len(jaxpr.outvars), cheap=cheap)
        return [*calls, *self._module.operations()]

    @cached_property
    def _module(self) -> Module:
        """Return the program as XLA has optimised it."""
        return Module(self.executable.as_text())


def _total(parts: Iterable[float | None]) -> float | None:
    """Return the sum of these numbers; None where one of them is None, for unknown."""
    known = list(parts)
    return None if None in known else sum(filter(None, known))
