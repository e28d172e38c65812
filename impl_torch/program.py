"""Run a strategy or recipe in one phase, split into an untimed part and the part that is timed.

The phases are `Backward` (the backward pass alone), `Gradient` (forward and backward pass) and
`Step` (both, and the optimizer's update).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from impl_torch import footprint, gemms, layout, operations, optimizers, runtime
from impl_torch.compiling import EagerCompiler
from impl_torch.operation_arguments import FORMULAS
from impl_torch.problem import Problem
from impl_torch.recipes import Recipe
from impl_torch.structure import stored


class Program(ABC):
    """Hold one phase of a strategy or recipe.

    `prepare` is not timed; `run` and `wait` are. `wait` blocks until every output is computed.
    """

    def __init__(self, problem: Problem, recipe: Recipe, compiler: EagerCompiler) -> None:
        self.problem = problem
        self.compiler = compiler
        self.recipe = recipe
        self.strategy = recipe.strategy
        self.forward, self.backward = self.strategy.forward, self.strategy.backward
        if self.strategy.one_jit:
            self.forward = compiler.jit(self.forward)
        self.device = next(iter(problem.parameters.values())).device
        self._products: list[gemms.Product] | None = None

    def prepare(self) -> Any:
        """Return the argument of `run`; not timed, as the forward pass of the phase `Backward`."""
        return None

    @abstractmethod
    def run(self, carry: Any) -> None:
        """Run the timed part of the phase once; ``carry`` is the result of `prepare`."""

    def wait(self, _: None) -> None:
        """Block until every output of `run` is computed: on a GPU torch returns before that."""
        runtime.synchronize(self.device)

    def finished(self) -> bool:
        """Return whether all queued work is done; the harness checks that it is after `wait`."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Restore the state that every block starts from; other programs use the same networks."""
        self.compiler.apply_settings(retains=self.strategy.retains)
        self.problem.require_grad(self.recipe.requires_grad)
        self.problem.restore_buffers()

    def release(self) -> None:
        """Drop the gradients that the last `run` left."""
        self._clear()

    def returned(self, result: None) -> list[str]:
        """Return the names of the gradients that a `run` after `reset` left in ``.grad``.

        Args:
            result: of that `run`, which returns nothing: a ``.grad`` is what it leaves.
        """
        return [n for n, p in self.problem.parameters.items() if p.grad is not None]

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """Return the gradients that the last `run` left, by parameter name.

        They are NumPy arrays in the canonical layout, which is torch's. A parameter whose ``.grad``
        is None is left out.
        """
        parameters = self.problem.parameters.items()
        return {n: layout.parameter_out(p.grad) for n, p in parameters if p.grad is not None}

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Return all parameters and buffers after the last `run`; empty unless it is a step.

        They map a name to a NumPy array in the canonical layout, which is torch's.
        """
        return {}

    def count(self) -> dict[str, Any]:
        """Return ``flops`` of one call of the timed part, and ``residual_bytes`` saved for it.

        The latter are the tensors that autograd saves for the backward pass; None if unknown. So
        are the ``operations``, see `operations.Watch`, of compiled programs: Inductor does not tell
        what the operations that it fused read and write.
        """
        listed = self.operations() if self.compiler.fuses_nothing else None
        return {
            "flops": _sum(listed) if listed else self.flops(),  # sharded programs list none
            "residual_bytes": self._saved_bytes(),
            "operations": listed,
        }

    def footprint(self) -> dict[str, Any]:
        """Return the counts of `count`, and what one call of the timed part dispatches and holds.

        Returns:
            Beside them ``operations``, name → how often it is dispatched, in a compiled graph as it
            reaches Inductor; ``held_bytes``, the most that tensors made by the call hold at once;
            and ``aliased_bytes``, which is None: only compiled programs of JAX have it.
        """
        counts, watch = self.count(), footprint.Watch()
        self._watched(watch)
        own = {"operations": dict(watch.counts), "held_bytes": watch.most_held}
        return {**counts, **own, "aliased_bytes": None}

    def flops(self) -> int:
        """Return the FLOPs of the timed part's products and convolutions, over one call."""
        flops = _Flops()
        self._watched(flops)
        return flops.total

    def operations(self) -> list[operations.Counted]:
        """Return the operations of the timed part, over one call."""
        watch = operations.Watch()
        self._watched(watch)
        return watch.operations()

    def _saved_bytes(self) -> int | None:
        """Return the bytes that one call saves for its backward pass, parameters left out.

        The sum is over all that is saved, also where some is freed before more is saved.
        """
        if not self.strategy.hookable:
            return None
        # The storages stay alive, so that no address is used twice: two storages at one address
        # would be counted once.
        storages: dict[int, torch.UntypedStorage] = {}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            for storage in (part.untyped_storage() for part in stored(tensor)):
                if storage.data_ptr() not in self._own_storages():
                    storages[storage.data_ptr()] = storage
            return tensor

        forward = self.forward

        def keeping() -> Any:
            carry = forward()
            for tensor in self.strategy.kept_tensors(carry):  # no hook sees these
                pack(tensor)
            return carry

        self.reset()
        self.forward = keeping
        try:
            with saved_tensors_hooks(pack, lambda tensor: tensor):
                self.run(self.prepare())
        finally:
            self.forward = forward
        self.reset()
        return sum(storage.nbytes() for storage in storages.values())

    def _own_storages(self) -> set[int]:
        """Return the addresses of the parameters, which are kept whatever is saved."""
        return {p.untyped_storage().data_ptr() for p in self.problem.parameters.values()}

    def _watched(self, mode: AbstractContextManager[Any]) -> None:
        """Run the timed part once under a dispatch mode, which sees its operations."""
        self.reset()
        with self.compiler.by_operation():
            carry = self.prepare()
            with self.compiler.watching(mode):
                self.run(carry)
        self.reset()

    def products(self) -> list[gemms.Product]:
        """Return the matrix products of the timed part, to measure the machine's peak with."""
        if self._products is None:
            watch = gemms.Watch()
            self._watched(watch)
            self._products = watch.products()
        return self._products

    @property
    def trace_seconds(self) -> float | None:
        """Seconds of tracing; None if unknown."""
        return self.compiler.trace_seconds

    @property
    def compile_seconds(self) -> float | None:
        """Seconds of compiling; None if unknown."""
        return self.compiler.compile_seconds

    @property
    def graphs(self) -> int:
        """Number of graphs compiled so far; it must not rise while the clock runs."""
        return self.compiler.graphs

    def _clear(self) -> None:
        """Set the ``.grad`` of every parameter that requires a gradient to None."""
        for name in self.recipe.requires_grad:
            self.problem.parameters[name].grad = None


def _sum(listed: list[operations.Counted]) -> int:
    """Return the FLOPs of all operations: what `Program.flops` counts in a run of its own."""
    total: int = sum(one["count"] * one["flops"] for one in listed)
    return total


class _Flops:
    """Sum up the FLOPs of every time it is entered; torch's counter starts again each time."""

    def __init__(self) -> None:
        self.total = 0

    def __enter__(self) -> None:
        self._counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
        self._counter.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._counter.__exit__(*error)
        self.total += self._counter.get_total_flops()


class Backward(Program):
    """Time the backward pass alone; `prepare` builds the graph."""

    def prepare(self) -> Any:
        """Run the forward pass, and return what the backward pass needs of it."""
        return self.forward()

    def run(self, carry: Any) -> None:
        """Clear the gradients and run the backward pass."""
        self._clear()
        self.backward(carry)


class Gradient(Program):
    """Time forward and backward pass."""

    def run(self, carry: None) -> None:
        """Clear the gradients and run forward and backward pass."""
        self._clear()
        self.backward(self.forward())


class Step(Gradient):
    """Time forward pass, backward pass and update, each block from the same weights and state.

    ``steppers`` are the optimizers, stepped one after another.
    """

    def __init__(
        self,
        problem: Problem,
        recipe: Recipe,
        compiler: EagerCompiler,
        steppers: list[torch.optim.Optimizer],
    ) -> None:
        super().__init__(problem, recipe, compiler)
        self.steppers, self.steppers_at_start = steppers, optimizers.starts(steppers)
        # of every parameter: another program over the same networks may train what is frozen here
        self.start = {n: p.detach().clone() for n, p in problem.parameters.items()}

    def run(self, carry: None) -> None:
        """Run forward and backward pass, then step every optimizer once."""
        super().run(carry)
        for stepper in self.steppers:
            stepper.step()

    def reset(self) -> None:
        """Restore parameters, buffers and optimizers' state as before the first step."""
        super().reset()
        with torch.no_grad():
            for name, start in self.start.items():
                self.problem.parameters[name].copy_(start)
        optimizers.reset(self.steppers_at_start)

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Return all parameters and buffers after the last step, in the canonical layout."""
        tensors = self.problem.parameters | self.problem.buffers
        return {n: layout.parameter_out(tensor) for n, tensor in tensors.items()}

    def count(self) -> dict[str, Any]:
        """Return the counts of `Program.count`, and ``optimizer_state_bytes``."""
        counts = super().count()
        self.run(self.prepare())  # the last reset has removed the state of some optimizers
        state_bytes = optimizers.state_bytes(self.steppers)
        self.reset()
        return counts | {"optimizer_state_bytes": state_bytes}
