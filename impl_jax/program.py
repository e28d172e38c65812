"""A strategy or recipe in one phase, cut into what is outside the clock and what is inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from impl_jax import gemms, layout, optimizers, runtime
from impl_jax.compiling import Eager
from impl_jax.problem import Buffers, Constants, Parameters, Problem, leaves_bytes
from impl_jax.recipes import Recipe
from impl_jax.strategies import Jit, Strategy

PHASES = ("backward", "gradient", "step")


class Program(ABC):
    """``prepare`` is not timed; ``run`` and ``wait`` are. ``wait`` blocks on every output."""

    graphs = 0  # none is ever compiled anew: another shape or type raises

    def __init__(self, problem: Problem, device: jax.Device, mode: type[Eager]) -> None:
        self.problem = problem
        self.device = device
        self.mode = mode
        self.inside: list[Eager] = []  # every compiled function the timed part calls
        self.result: Any = None
        self._products: list[gemms.Product] | None = None

    def _jit(self, function: Callable[..., Any], donate: tuple[int, ...] = ()) -> Eager:
        compiled = self.mode(function, donate)
        self.inside.append(compiled)
        return compiled

    def prepare(self) -> Any:
        """What the timed part needs and the phase does not count."""
        return None

    @abstractmethod
    def run(self, carry: Any) -> Any: ...

    def wait(self, result: Any) -> None:
        runtime.synchronize(result)
        self.result = result

    def finished(self) -> bool:
        """Whether everything is done: asked when the clock has stopped, it must be."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Back to the same start, before each block."""
        return

    def release(self) -> None:
        """Let go of what the last `run` returned."""
        self.result = None

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """What the last `run` returned; a parameter that was not differentiated is left out."""
        return self._canonical(self.result)

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Every parameter and buffer after the last `run`, where the phase updates some."""
        return {}

    def count(self) -> dict[str, Any]:
        """FLOPs of the timed part and bytes saved for it, by XLA's own analysis."""
        return {"flops": _total(one.flops() for one in self.inside), "residual_bytes": None}

    def products(self) -> list[gemms.Product]:
        """The matrix products of the timed part, to measure the machine's peak with."""
        if self._products is None:
            programs = [one.traced.jaxpr for one in self.inside if one.traced]
            self._products = gemms.record(programs, self.device)
        return self._products

    def _canonical(self, arrays: Parameters) -> dict[str, NDArray[np.floating]]:
        flattened = self.problem.flattened
        return {n: layout.parameter_out(a, flattened.get(n)) for n, a in arrays.items()}

    @property
    def trace_seconds(self) -> float | None:
        return _total(one.trace_seconds for one in self.inside)

    @property
    def compile_seconds(self) -> float | None:
        return _total(one.compile_seconds for one in self.inside)


def _total(parts: Iterable[float | None]) -> float | None:
    """The sum; None where a part is unknown."""
    known = list(parts)
    return None if None in known else sum(filter(None, known))


class Backward(Program):
    """The backward pass alone; the residuals are there already."""

    def __init__(
        self,
        problem: Problem,
        device: jax.Device,
        mode: type[Eager],
        make: Callable[[Problem, Jit], Strategy],
    ) -> None:
        super().__init__(problem, device, mode)
        self.strategy = make(problem, self._jit)
        self.forward, self.backward = self.strategy.forward, self.strategy.backward
        if self.strategy.one_jit:
            self.forward, self.backward = mode(self.forward), self._jit(self.backward)
        elif self.forward in self.inside:
            self.inside.remove(self.forward)

    def prepare(self) -> Any:
        carry = self.forward(self.problem.trainable, self.problem.constants)
        runtime.synchronize(carry)
        return carry

    def run(self, carry: Any) -> Any:
        return self.backward(carry)

    def count(self) -> dict[str, Any]:
        return super().count() | {"residual_bytes": leaves_bytes(self.prepare())}


class Gradient(Program):
    """Forward and backward, in one jit where the recipe allows it."""

    def __init__(
        self,
        problem: Problem,
        device: jax.Device,
        mode: type[Eager],
        make: Callable[[Problem, Jit], Recipe],
    ) -> None:
        super().__init__(problem, device, mode)
        self.recipe = make(problem, self._jit)
        known = problem.everything
        self.start = {name: known[name] for name in self.recipe.held}
        self.gradient = self._jit(self._read) if self.recipe.one_jit else self._read

    def _read(self, parameters: Parameters, constants: Constants) -> tuple[Parameters, Buffers]:
        """What the update reads, and the buffers: what else is computed, XLA removes."""
        grads, buffers = self.recipe.gradient(parameters, constants)
        return {name: grads[name] for name in self.recipe.read}, buffers

    def run(self, carry: None) -> Any:
        return self.gradient(self.start, self.problem.constants)

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        return self._canonical(self.result[0])


class Step(Program):
    """Forward, backward and the update, from the same weights and optimizer state each block.

    Parameters and optimizer state are donated: the update writes where they stood. ``optimizer``
    is the kind and settings that ``transformation`` was made of.
    """

    def __init__(
        self,
        problem: Problem,
        device: jax.Device,
        mode: type[Eager],
        make: Callable[[Problem, Jit], Recipe],
        optimizer: Mapping[str, Any],
        transformation: Callable[[list[str]], optax.GradientTransformation],
    ) -> None:
        super().__init__(problem, device, mode)
        self.recipe = make(problem, self._jit)
        self.optimizer = optimizer
        own = transformation(list(self.recipe.held))
        self.transformation = self.recipe.optimizer(own)
        self.parameters: Parameters
        self.state: Any
        self.buffers: Buffers
        self.step: Callable[..., Any] = self._composed
        self.update: Callable[..., tuple[Parameters, Any]] = self._updated
        if self.recipe.one_jit:
            self.step = self._jit(self._composed, donate=(0, 1))
        else:
            self.update = self._jit(self._updated, donate=(0, 1))
        self.reset()

    def _updated(self, parameters: Parameters, state: Any, grads: Parameters) -> tuple[Any, Any]:
        updates, state = self.transformation.update(grads, state, parameters)
        return optax.apply_updates(parameters, updates), state

    def _composed(self, parameters: Parameters, state: Any, constants: Constants) -> Any:
        grads, buffers = self.recipe.gradient(parameters, constants)
        parameters, state = self.update(parameters, state, grads)
        return parameters, state, buffers, grads if self.recipe.returned else {}

    def run(self, carry: None) -> Any:
        constants = {**self.problem.constants, "buffers": self.buffers}
        result = self.step(self.parameters, self.state, constants)
        self.parameters, self.state, buffers, _ = result
        self.buffers = {**self.buffers, **buffers}
        return result

    def reset(self) -> None:
        known = self.problem.everything
        self.parameters = {n: jnp.copy(known[n]) for n in self.recipe.held}
        self.state = self.transformation.init(self.parameters)
        self.buffers = self.problem.constants["buffers"]
        runtime.synchronize((self.parameters, self.state))

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """The gradient of the first step, as the optimizer's first moment holds it.

        Empty for an optimizer that keeps nothing; its updates are then all there is to check.
        """
        if self.recipe.returned:
            return self._canonical(self.result[3])
        known = self.problem.everything
        return self._canonical(optimizers.gradient_of(self.state, self.optimizer, known))

    def updates(self) -> dict[str, NDArray[np.floating]]:
        frozen = self.problem.constants["frozen"]
        return self._canonical({**frozen, **self.parameters, **self.buffers})

    def count(self) -> dict[str, Any]:
        return super().count() | {"optimizer_state_bytes": optimizers.state_bytes(self.state)}
