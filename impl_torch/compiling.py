"""What a program runs forward, compiled: all of it in one graph, or each network on its own.

The backward pass of a compiled forward is compiled with it; what joins losses, adds gradients or
steps an optimizer stays eager, as it does for those who write ``torch.compile(model)``. Every
graph is whole (``fullgraph``): where one would break, or be compiled anew, an error is raised.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from types import FunctionType
from typing import Any

import torch
from torch import Tensor

from impl_torch.problem import Losses, Problem, Stage

Function = Callable[..., Any]
METRICS_KEPT = 64  # torch forgets older ones


class Eager:
    """Nothing is compiled: operation by operation, as the program is written."""

    trace_seconds: float | None = None
    compile_seconds: float | None = None
    graphs = 0

    def __init__(self, folder: str = "") -> None:
        self.folder = folder

    def problem(self, problem: Problem) -> Problem:
        """The problem that strategies and recipes are to call."""
        return problem

    def jit(self, function: Function) -> Function:
        """What a strategy or recipe wants compiled whole."""
        return function

    def claim(self, *, retains: bool) -> None:
        """Make the process's settings this program's own, before it compiles or runs."""

    def dissected(self) -> AbstractContextManager[None]:
        """While it lasts, what is called can be watched by `watching`."""
        return nullcontext()

    def watching(self, mode: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        """Run every operation under this dispatch mode."""
        return mode


class Whole(Eager):
    """All that one call runs forward, all networks and losses, is one graph.

    ``folder`` is where Inductor keeps what it compiled, for this program alone: the code of a
    backward pass that may overwrite what was saved and of one that may not is kept under one key
    (`compile_traps.compile_cache_shared_by_two_settings`), and a program that finds another's
    kernels has no compile time of its own.
    """

    def __init__(self, folder: str) -> None:
        super().__init__(folder)
        self.graphs = 0
        self.watch: AbstractContextManager[Any] = nullcontext()
        self.is_dissected = False
        self._seconds: tuple[float | None, float | None] | None = None
        from torch._dynamo.utils import clear_compilation_metrics  # slow to import
        from torch._inductor.utils import clear_caches

        clear_caches()  # those in memory: a kernel that is there would be compiled in no time
        clear_compilation_metrics()

    def jit(self, function: Function) -> Function:
        return Compiled(self, function)

    def claim(self, *, retains: bool) -> None:
        # no config.patch around each call: Inductor reads both again in the backward pass
        import torch._functorch.config

        torch._functorch.config.donated_buffer = not retains
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.folder

    @contextmanager
    def dissected(self) -> Iterator[None]:
        self.is_dissected = True
        try:
            yield
        finally:
            self.is_dissected = False

    @contextmanager
    def watching(self, mode: AbstractContextManager[Any]) -> Iterator[Any]:
        self.watch = mode
        try:
            yield mode
        finally:
            self.watch = nullcontext()

    @property
    def trace_seconds(self) -> float | None:  # type: ignore[override]
        """Dynamo's, AOTAutograd's and the partitioner's part of compiling; None if unknown."""
        return self._measured()[0]

    @property
    def compile_seconds(self) -> float | None:  # type: ignore[override]
        """Inductor's part, the C++ or Triton compiler included; None if unknown."""
        return self._measured()[1]

    def _measured(self) -> tuple[float | None, float | None]:
        """Read once, after the first call: torch keeps the whole process's metrics together."""
        from torch._dynamo.utils import get_compilation_metrics

        if self._seconds is None:
            self._seconds = compile_times(get_compilation_metrics())
        return self._seconds


class EachNetwork(Whole):
    """Each stage's network, with the losses at its output, is a graph of its own."""

    def problem(self, problem: Problem) -> Problem:
        return _ByNetwork(problem, super().jit)

    def jit(self, function: Function) -> Function:
        return function


MODES: dict[str, type[Eager]] = {"eager": Eager, "compile": Whole, "compile_networks": EachNetwork}


class Compiled:
    """A function compiled by Inductor, and beside it its graphs as they reach Inductor.

    The latter run operation by operation, so that a dispatch mode sees them: around a compiled
    function it would make Dynamo step aside, and count what the eager function does.
    """

    def __init__(self, compiler: Whole, function: Function) -> None:
        self.compiler = compiler
        self.fast = torch.compile(_own(function), backend=self._inductor, **WHOLE)
        self.slow = torch.compile(_own(function), backend=self._graphs, **WHOLE)

    def __call__(self, *args: Any) -> Any:
        return self.slow(*args) if self.compiler.is_dissected else self.fast(*args)

    def _inductor(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        from torch._inductor.compile_fx import compile_fx

        self.compiler.graphs += 1
        return compile_fx(graph, inputs)

    def _graphs(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        import torch._functorch.config
        import torch._inductor.config
        from torch._inductor.compile_fx import compile_fx

        # what runs operation by operation must not be kept as if Inductor had compiled it
        with (
            torch._functorch.config.patch(enable_autograd_cache=False),
            torch._inductor.config.patch(fx_graph_cache=False),
        ):
            return compile_fx(graph, inputs, inner_compile=self._watched)

    def _watched(self, graph: torch.fx.GraphModule, *_: Any, **__: Any) -> Any:
        def run(args: list[Tensor]) -> Any:
            given = list(args)
            args.clear()  # boxed: what the graph has used up is freed
            with self.compiler.watch:
                return graph(*given)

        run._boxed_call = True  # type: ignore[attr-defined]
        return run


# Shapes never change; where Dynamo thinks of making one dynamic, it is mistaken.
WHOLE: dict[str, Any] = {"fullgraph": True, "dynamic": False}


class _ByNetwork(Problem):
    """A problem, its parameters, buffers and data the same, whose networks are compiled."""

    def __init__(self, problem: Problem, jit: Callable[[Function], Function]) -> None:
        vars(self).update(vars(problem))
        self._jit = jit
        self._compiled: dict[Any, Function] = {}

    def pass_through(
        self,
        stage: Stage,
        value: Any,
        parameters: Mapping[str, Tensor] | None,
        among: Collection[str] | None,
    ) -> tuple[Any, Losses]:
        key = stage.name, among if among is None else tuple(among)
        if key not in self._compiled:
            run = partial(super().pass_through, stage, parameters=parameters, among=among)
            self._compiled[key] = self._jit(run)
        return self._compiled[key](value)


def compile_times(metrics: list[Any]) -> tuple[float | None, float | None]:
    """(trace, compile) seconds of these compilations, forward and backward; None if not all told.

    A program that was found in the cache tells nothing of Inductor.
    """
    told = ("duration_us", "inductor_cumulative_compile_time_us")
    known = [[getattr(one, name, None) for name in told] for one in metrics]
    if not known or len(known) >= METRICS_KEPT or None in itertools.chain(*known):
        return None, None
    whole, compiling = (sum(each) / 1e6 for each in zip(*known, strict=True))
    return whole - compiling, compiling


def _own(function: Function) -> Function:
    """The function, as code that Dynamo has not seen: it keeps what it compiled with the code.

    Else one program's graphs would stand in another's way, or in its place.
    """

    def call(*args: Any) -> Any:
        return function(*args)

    code = call.__code__.replace()
    return FunctionType(code, call.__globals__, "call", None, call.__closure__)
