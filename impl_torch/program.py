"""A strategy or recipe in one phase, cut into what is outside the clock and what is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from impl_torch import gemms, layout, optimizers, runtime
from impl_torch.compiling import Eager
from impl_torch.problem import Problem
from impl_torch.recipes import Recipe

PHASES = ("backward", "gradient", "step")


class Program(ABC):
    """``prepare`` is not timed; ``run`` and ``wait`` are. ``wait`` blocks on every output."""

    def __init__(self, problem: Problem, recipe: Recipe, compiler: Eager) -> None:
        self.problem = problem
        self.compiler = compiler
        self.recipe = recipe
        self.forward = compiler.jit(recipe.forward) if recipe.one_jit else recipe.forward
        self.device = next(iter(problem.parameters.values())).device
        self._products: list[gemms.Product] | None = None

    def prepare(self) -> Any:
        """What the timed part needs and the phase does not count."""
        return None

    @abstractmethod
    def run(self, carry: Any) -> None: ...

    def wait(self, _: None) -> None:
        runtime.synchronize(self.device)

    def finished(self) -> bool:
        """Whether everything is done: asked when the clock has stopped, it must be."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Back to the same start, before each block; others use the same networks."""
        self.compiler.claim(retains=self.recipe.retains)
        self.problem.require_grad(self.recipe.requires_grad)
        self.problem.restore_buffers()

    def release(self) -> None:
        """Let go of what the last `run` left."""
        self._clear()

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """What the last `run` left in ``.grad``; a parameter without one is left out."""
        parameters = self.problem.parameters.items()
        return {n: layout.parameter_out(p.grad) for n, p in parameters if p.grad is not None}

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Every parameter and buffer after the last `run`, where the phase updates some."""
        return {}

    def count(self) -> dict[str, Any]:
        """FLOPs of the timed part and bytes saved for it, counted over a call each, not timed."""
        return {"flops": self.flops(), "residual_bytes": self._saved_bytes()}

    def flops(self) -> int:
        """FLOPs of the timed part's products and convolutions, counted over one call."""
        flops = _Flops()
        self._watched(flops)
        return flops.total

    def _saved_bytes(self) -> int | None:
        """Bytes that one call saves for its backward pass, parameters left out.

        All that is saved on the way, also what is let go before more is saved.
        """
        if not self.recipe.hookable:
            return None
        # held on to, so that no address is given out again and two storages are taken for one
        storages: dict[int, torch.UntypedStorage] = {}
        own = {p.untyped_storage().data_ptr() for p in self.problem.parameters.values()}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                storages[storage.data_ptr()] = storage
            return tensor

        self.reset()
        with saved_tensors_hooks(pack, lambda tensor: tensor):
            self.run(self.prepare())
        self.reset()
        return sum(storage.nbytes() for storage in storages.values())

    def _watched(self, mode: AbstractContextManager[Any]) -> None:
        """Run the timed part once under a dispatch mode."""
        self.reset()
        with self.compiler.dissected():
            carry = self.prepare()
            with self.compiler.watching(mode):
                self.run(carry)
        self.reset()

    def products(self) -> list[gemms.Product]:
        """The matrix products of the timed part, to measure the machine's peak with."""
        if self._products is None:
            watch = gemms.Watch()
            self._watched(watch)
            self._products = watch.products()
        return self._products

    @property
    def trace_seconds(self) -> float | None:
        return self.compiler.trace_seconds

    @property
    def compile_seconds(self) -> float | None:
        return self.compiler.compile_seconds

    @property
    def graphs(self) -> int:
        """Graphs compiled so far; while the clock runs there must be no more."""
        return self.compiler.graphs

    def _clear(self) -> None:
        for name in self.recipe.requires_grad:
            self.problem.parameters[name].grad = None


class _Flops:
    """Counts FLOPs each time it is entered; torch's own counter begins anew."""

    def __init__(self) -> None:
        self.total = 0

    def __enter__(self) -> None:
        self._counter = FlopCounterMode(display=False)
        self._counter.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._counter.__exit__(*error)
        self.total += self._counter.get_total_flops()


class Backward(Program):
    """The backward pass alone; the graph is there already."""

    def prepare(self) -> Any:
        return self.forward()

    def run(self, carry: Any) -> None:
        self._clear()
        self.recipe.backward(carry)


class Gradient(Program):
    """Forward and backward."""

    def run(self, carry: None) -> None:
        self._clear()
        self.recipe.backward(self.forward())


class Step(Gradient):
    """Forward, backward and the update, from the same weights and optimizer state each block."""

    def __init__(
        self,
        problem: Problem,
        recipe: Recipe,
        compiler: Eager,
        steppers: list[torch.optim.Optimizer],
    ) -> None:
        super().__init__(problem, recipe, compiler)
        self.steppers = steppers
        # all of them: a sibling that shares the networks may move what is frozen here
        self.start = {n: p.detach().clone() for n, p in problem.parameters.items()}

    def run(self, carry: None) -> None:
        super().run(carry)
        for stepper in self.steppers:
            stepper.step()

    def reset(self) -> None:
        super().reset()
        with torch.no_grad():
            for name, start in self.start.items():
                self.problem.parameters[name].copy_(start)
        optimizers.reset(self.steppers)

    def updates(self) -> dict[str, NDArray[np.floating]]:
        kept = self.problem.parameters | self.problem.buffers
        return {n: layout.parameter_out(tensor) for n, tensor in kept.items()}

    def count(self) -> dict[str, Any]:
        counted = super().count()
        return counted | {"optimizer_state_bytes": optimizers.state_bytes(self.steppers)}
