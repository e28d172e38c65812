"""What a program calls, compiled ahead of time, or operation by operation as it is written."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

Function = Callable[..., Any]


class Eager:
    """The function itself: JAX dispatches, and compiles at its first use, each operation alone.

    What is handed from call to call is the same as in `Compiled`, and so is what is waited for. No
    part of its time is a trace's or a compilation's alone, and of what it computes XLA never sees
    the whole. Nothing can be donated.
    """

    trace_seconds: float | None = None
    compile_seconds: float | None = None
    traced: Any = None

    def __init__(self, function: Function, donate: tuple[int, ...] = ()) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def flops(self) -> float | None:
        """Unknown: there is no whole program to analyse."""
        return None


class Compiled(Eager):
    """A function compiled ahead of time, at its first call, with its stages timed.

    The executable takes only what it was compiled for, so a recompilation cannot hide in a timed
    loop: another shape or type raises TypeError.
    """

    def __init__(self, function: Function, donate: tuple[int, ...] = ()) -> None:
        super().__init__(function)
        self._jitted = jax.jit(function, donate_argnums=donate)
        self.executable: Any = None
        self.trace_seconds = self.compile_seconds = 0.0

    def __call__(self, *args: Any) -> Any:
        if self.executable is None:
            self._compile(args)
        return self.executable(*args)

    def _compile(self, args: tuple[Any, ...]) -> None:
        start = time.perf_counter()
        self.traced = self._jitted.trace(*args)
        lowered = self.traced.lower()
        middle = time.perf_counter()
        self.executable = lowered.compile()
        self.trace_seconds = middle - start
        self.compile_seconds = time.perf_counter() - middle

    def flops(self) -> float:
        """What XLA's own cost analysis counts for one call."""
        return float((self.executable.cost_analysis() or {}).get("flops", 0.0))


MODES: dict[str, type[Eager]] = {"jit": Compiled, "eager": Eager}
