"""Compile what a program runs forward, whole or each network on its own, or nothing of it.

A compiler is made for one program. The backward pass of a compiled forward pass is compiled with
it. Summing the losses, adding gradients and the optimizer's step stay eager, as they do for those
who write ``torch.compile(model)``. Every graph is whole (``fullgraph``): where it would break, or
would be compiled anew, an error is raised.
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

from impl_torch.precision import Precision
from impl_torch.problem import Losses, Problem, Stage

Function = Callable[..., Any]
METRICS_KEPT = 64  # torch drops the metrics of older compilations
FULL = Precision()


class EagerCompiler:
    """Compile nothing: torch runs the program operation by operation, as it is written."""

    trace_seconds: float | None = None
    compile_seconds: float | None = None
    graphs = 0
    fuses_nothing = True  # whether the operations that a dispatch mode sees are those that run

    def __init__(self, folder: str = "", precision: Precision = FULL) -> None:
        self.folder, self.precision = folder, precision

    def problem(self, problem: Problem) -> Problem:
        """Return the problem that strategies and recipes are to call in place of this one."""
        return problem

    def jit(self, function: Function) -> Function:
        """Return the function that the program is to call in place of this one."""
        return self.precision.within(function)

    def apply_settings(self, *, retains: bool) -> None:
        """Set the process's settings to those of this program, before it compiles or runs.

        ``retains`` says that a backward pass must leave the saved tensors for another one.
        """
        self.precision.apply()

    def by_operation(self) -> AbstractContextManager[None]:
        """Run compiled graphs operation by operation while the context lasts; see `watching`."""
        return nullcontext()

    def watching(self, mode: AbstractContextManager[Any]) -> AbstractContextManager[Any]:
        """Return a context in which this dispatch mode sees the operations that a program runs.

        ``mode`` is a dispatch mode, such as a counter of FLOPs. As nothing is compiled here, the
        mode itself is that context; `WholeCompiler` passes it on to the compiled graphs.
        """
        return mode


class WholeCompiler(EagerCompiler):
    """Compile all that one call runs forward, all networks and losses, as one graph.

    ``folder`` is Inductor's cache for this program alone, for two reasons. Inductor's key does not
    tell code of a backward pass that may overwrite the saved tensors from code of one that may not
    (see `compile_traps.compile_cache_shared_by_two_settings`). And a program that finds the kernels
    of another one in the cache has no compile time of its own.
    """

    fuses_nothing = False

    def __init__(self, folder: str, precision: Precision = FULL) -> None:
        super().__init__(folder, precision)
        self.graphs = 0
        self.watch: AbstractContextManager[Any] = nullcontext()
        self.runs_by_operation = False
        self._seconds: tuple[float | None, float | None] | None = None
        from torch._dynamo.utils import clear_compilation_metrics  # slow to import
        from torch._inductor.utils import clear_caches

        clear_caches()  # in memory: kernels that are there already would compile in no time
        clear_compilation_metrics()

    def jit(self, function: Function) -> Function:
        """Return the function compiled as one graph, at its first call."""
        return CompiledFunction(self, self.precision.within(function))

    def apply_settings(self, *, retains: bool) -> None:
        """Set precision, donation of saved tensors, and Inductor's folder, for this program."""
        self.precision.apply()
        # not `config.patch` around each call: Inductor reads both again in the backward pass
        import torch._functorch.config

        torch._functorch.config.donated_buffer = not retains
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.folder

    @contextmanager
    def by_operation(self) -> Iterator[None]:
        """Run compiled graphs operation by operation while the context lasts."""
        self.runs_by_operation = True
        try:
            yield
        finally:
            self.runs_by_operation = False

    @contextmanager
    def watching(self, mode: AbstractContextManager[Any]) -> Iterator[Any]:
        """Run the operations of compiled graphs under this dispatch mode; yield the mode."""
        self.watch = mode
        try:
            yield mode
        finally:
            self.watch = nullcontext()

    @property
    def trace_seconds(self) -> float | None:  # type: ignore[override]
        """Seconds of Dynamo, AOTAutograd and the partitioner; None if unknown."""
        return self._measured()[0]

    @property
    def compile_seconds(self) -> float | None:  # type: ignore[override]
        """Seconds of Inductor, the C++ or Triton compiler included; None if unknown."""
        return self._measured()[1]

    def _measured(self) -> tuple[float | None, float | None]:
        """Return the seconds of tracing and of compiling; None for both if unknown.

        They are read once, after the first call: torch mixes all metrics of a process.
        """
        from torch._dynamo.utils import get_compilation_metrics

        if self._seconds is None:
            self._seconds = compile_times(get_compilation_metrics())
        return self._seconds


class NetworkCompiler(WholeCompiler):
    """Compile each stage's network, with the losses at its output, as a graph of its own."""

    def problem(self, problem: Problem) -> Problem:
        """Return the problem with each stage's network and losses compiled as one graph."""
        # under autocast the call that runs all networks is the region, see `jit`
        return _ByNetwork(problem, partial(CompiledFunction, self))

    def jit(self, function: Function) -> Function:
        """Return the function, not compiled: only the networks that it calls are."""
        return self.precision.within(function)


MODES: dict[str, type[EagerCompiler]] = {
    "eager": EagerCompiler,
    "compile": WholeCompiler,
    "compile_networks": NetworkCompiler,
}
# No shape ever changes: Dynamo must not make one dynamic on a guess.
WHOLE: dict[str, Any] = {"fullgraph": True, "dynamic": False}


class CompiledFunction:
    """Compile a function by Inductor, and beside it into graphs that run operation by operation.

    The latter are the graphs as they reach Inductor, and a dispatch mode sees their operations.
    Around a function that is compiled by Inductor a dispatch mode would make Dynamo fall back to
    the eager function, and would count that one's operations.
    """

    def __init__(self, compiler: WholeCompiler, function: Function) -> None:
        self.compiler = compiler
        self.compiled = torch.compile(_copied(function), backend=self._inductor, **WHOLE)
        self.by_operation = torch.compile(_copied(function), backend=self._graphs, **WHOLE)

    def __call__(self, *args: Any) -> Any:
        return self.by_operation(*args) if self.compiler.runs_by_operation else self.compiled(*args)

    def _inductor(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        """Compile a graph as the backend of `torch.compile`, and count the graph."""
        from torch._inductor.compile_fx import compile_fx

        self.compiler.graphs += 1
        return compile_fx(graph, inputs)

    def _graphs(self, graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        """Make of a graph, as a backend of `torch.compile`, one that runs its operations."""
        import torch._functorch.config
        import torch._inductor.config
        from torch._inductor.compile_fx import compile_fx

        # these graphs must not enter the caches as if Inductor had compiled them
        with (
            torch._functorch.config.patch(enable_autograd_cache=False),
            torch._inductor.config.patch(fx_graph_cache=False),
        ):
            return compile_fx(graph, inputs, inner_compile=self._watched)

    def _watched(self, graph: torch.fx.GraphModule, *_: Any, **__: Any) -> Any:
        """Return a function that runs the graph's operations under the compiler's mode."""

        def run(args: list[Tensor]) -> Any:
            inputs = list(args)
            args.clear()  # the boxed calling convention: the graph frees inputs it no longer needs
            with self.compiler.watch:
                return graph(*inputs)

        run._boxed_call = True  # type: ignore[attr-defined]
        return run


class _ByNetwork(Problem):
    """Call compiled networks in the place of another problem's, with all its tensors."""

    def __init__(self, problem: Problem, jit: Callable[[Function], Function]) -> None:
        vars(self).update(vars(problem))
        self._jit = jit
        self._compiled: dict[Any, Function] = {}

    def run_network(
        self,
        stage: Stage,
        value: Any,
        parameters: Mapping[str, Tensor] | None,
        among: Collection[str] | None,
    ) -> tuple[Any, Losses]:
        """Run the stage's compiled network, compiled at the first call for these losses.

        Arguments and results are those of `Problem.run_network`.
        """
        key = stage.name, among if among is None else tuple(among)
        if key not in self._compiled:
            run = partial(super().run_network, stage, parameters=parameters, among=among)
            self._compiled[key] = self._jit(run)
        return self._compiled[key](value)


def compile_times(metrics: list[Any]) -> tuple[float | None, float | None]:
    """Return the seconds of tracing and of compiling, forward and backward together.

    ``metrics`` are torch's of each compilation so far. Both results are None if a part is missing:
    for a program that was found in the cache there is no time of Inductor, and torch drops the
    metrics of old compilations.
    """
    fields = ("duration_us", "inductor_cumulative_compile_time_us")
    durations = [[getattr(one, name, None) for name in fields] for one in metrics]
    if not durations or len(durations) >= METRICS_KEPT or None in itertools.chain(*durations):
        return None, None
    whole, compiling = (sum(each) / 1e6 for each in zip(*durations, strict=True))
    return whole - compiling, compiling


def _copied(function: Function) -> Function:
    """Return the function as a new code object, since Dynamo stores what it compiled by the code.

    With the same code object, one program would find the graphs of another one in its way, or run
    them in place of its own.
    """

    def call(*args: Any) -> Any:
        return function(*args)

    code = call.__code__.replace()
    return FunctionType(code, call.__globals__, "call", None, call.__closure__)
