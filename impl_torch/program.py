"""A strategy or recipe in one phase, cut into what is outside the clock and what is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.flop_counter import FlopCounterMode

from impl_torch import gemms, layout, optimizers, runtime
from impl_torch.problem import Problem
from impl_torch.recipes import Recipe

PHASES = ("backward", "gradient", "step")


class Program(ABC):
    """``prepare`` is not timed; ``run`` and ``wait`` are. ``wait`` blocks on every output."""

    trace_seconds = compile_seconds = None  # eager torch has neither

    def __init__(self, problem: Problem, recipe: Recipe) -> None:
        self.problem = problem
        self.recipe = recipe
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
        """FLOPs of the timed part and bytes saved for it, counted over one call, not timed.

        All that is saved on the way, also what is let go before more is saved; parameters are not.
        """
        self.reset()
        # held on to, so that no address is given out again and two storages are taken for one
        storages: dict[int, torch.UntypedStorage] = {}
        own = {p.untyped_storage().data_ptr() for p in self.problem.parameters.values()}

        def pack(tensor: torch.Tensor) -> torch.Tensor:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in own:
                storages[storage.data_ptr()] = storage
            return tensor

        hooks = saved_tensors_hooks(pack, lambda tensor: tensor)
        with hooks if self.recipe.hookable else nullcontext():
            carry = self.prepare()
            with FlopCounterMode(display=False) as counter:
                self.run(carry)
        flops = counter.get_total_flops()
        self.reset()
        saved = sum(s.nbytes() for s in storages.values()) if self.recipe.hookable else None
        return {"flops": flops, "residual_bytes": saved}

    def products(self) -> list[gemms.Product]:
        """The matrix products of the timed part, to measure the machine's peak with."""
        if self._products is None:
            self.reset()
            carry = self.prepare()
            self._products = gemms.record(lambda: self.run(carry))
            self.reset()
        return self._products

    def _clear(self) -> None:
        for name in self.recipe.requires_grad:
            self.problem.parameters[name].grad = None


class Backward(Program):
    """The backward pass alone; the graph is there already."""

    def prepare(self) -> Any:
        return self.recipe.forward()

    def run(self, carry: Any) -> None:
        self._clear()
        self.recipe.backward(carry)


class Gradient(Program):
    """Forward and backward."""

    def run(self, carry: None) -> None:
        self._clear()
        self.recipe.backward(self.recipe.forward())


class Step(Gradient):
    """Forward, backward and the update, from the same weights and optimizer state each block."""

    def __init__(
        self, problem: Problem, recipe: Recipe, steppers: list[torch.optim.Optimizer]
    ) -> None:
        super().__init__(problem, recipe)
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
