"""Run a strategy or recipe in one phase, split into an untimed part and the part that is timed.

The phases are `Backward` (the backward pass alone), `Gradient` (forward and backward pass) and
`Step` (both, and the optimizer's update).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from numpy.typing import NDArray

from impl_jax import footprint, gemms, layout, optimizers, runtime
from impl_jax.compiling import EagerCompiler
from impl_jax.problem import Buffers, Constants, Parameters, Problem, leaves_bytes
from impl_jax.recipes import Recipe
from impl_jax.strategies import Jit, Strategy


class Program(ABC):
    """Hold one phase of a strategy or recipe.

    `prepare` is not timed; `run` and `wait` are. `wait` blocks until every output is computed.
    """

    def __init__(self, problem: Problem, device: jax.Device, compiler: EagerCompiler) -> None:
        self.problem = problem
        self.device = device
        self.compiler = compiler
        self.result: Any = None
        self._products: list[gemms.Product] | None = None

    def prepare(self) -> Any:
        """Return the argument of `run`; not timed, as the forward pass of the phase `Backward`."""
        return None

    @abstractmethod
    def run(self, carry: Any) -> Any:
        """Run the timed part of the phase once; ``carry`` is the result of `prepare`."""

    def wait(self, result: Any) -> None:
        """Block until every output of `run` is computed: JAX returns before that."""
        runtime.synchronize(result)
        self.result = result

    def finished(self) -> bool:
        """Return whether all queued work is done; the harness checks that it is after `wait`."""
        return runtime.finished(self.device)

    def reset(self) -> None:
        """Restore the state that every block starts from."""
        return

    def release(self) -> None:
        """Drop the arrays that the last `run` returned."""
        self.result = None

    def returned(self, result: Any) -> list[str]:
        """Return the names of the gradients that a `run` returned; of a step, of the updates.

        Args:
            result: of that `run`.
        """
        return list(result)

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """Return the gradients of the last `run`, by parameter name.

        They are NumPy arrays in the canonical layout, which is torch's. A parameter that was not
        differentiated is left out.
        """
        return self._canonical(self.result)

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Return all parameters and buffers after the last `run`; empty unless it is a step.

        They map a name to a NumPy array in the canonical layout, which is torch's.
        """
        return {}

    def count(self) -> dict[str, Any]:
        """Return ``flops`` of one call of the timed part, and ``residual_bytes`` saved for it.

        Both are by XLA's own analysis. The latter are the residuals that the forward pass returns;
        None where the forward pass is inside the same jit. ``operations`` are those of the programs
        as XLA has optimised them, see `operations.Module`; None where nothing is compiled.
        """
        flops = self.compiler.flops()
        if flops is not None:
            flops -= gemms.not_taken(self._traced())
        return {
            "flops": flops,
            "residual_bytes": None,
            "operations": self.compiler.operations(),
        }

    def footprint(self) -> dict[str, Any]:
        """Return the counts of `count`, and what the timed part consists of and holds.

        Returns:
            Beside them ``operations``, ``held_bytes`` and ``aliased_bytes``, as of
            `footprint.describe`.
        """
        executables = [one.executable for one in self.compiler.functions]
        return {**self.count(), **footprint.describe(executables)}

    def products(self) -> list[gemms.Product]:
        """Return the matrix products of the timed part, to measure the machine's peak with."""
        if self._products is None:
            self._products = gemms.record(self._traced(), self.device)
        return self._products

    def _traced(self) -> list[Any]:
        """Return the traced programs of the timed part."""
        return [one.traced.jaxpr for one in self.compiler.functions if one.traced]

    def _canonical(
        self, arrays: Parameters | Mapping[str, NDArray[np.floating]]
    ) -> dict[str, NDArray[np.floating]]:
        """Return these arrays by parameter name as NumPy arrays in torch's layout."""
        forms = self.problem.forms
        return {n: layout.parameter_out(a, forms.get(n)) for n, a in arrays.items()}

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


class Backward(Program):
    """Time the backward pass alone; `prepare` computes the residuals."""

    def __init__(
        self,
        problem: Problem,
        device: jax.Device,
        compiler: EagerCompiler,
        make: Callable[[Problem, Jit], Strategy],
    ) -> None:
        super().__init__(problem, device, compiler)
        self.strategy = make(problem, compiler.jit)
        self.forward, self.backward = self.strategy.forward, self.strategy.backward
        if self.strategy.one_jit:
            self.forward, self.backward = compiler.jit(self.forward), compiler.jit(self.backward)
        compiler.exclude(self.forward)

    def prepare(self) -> Any:
        """Run the forward pass, and return its pullbacks when their residuals are computed."""
        carry = self.forward(self.problem.trainable, self.problem.constants)
        runtime.synchronize(carry)
        return carry

    def run(self, carry: Any) -> Any:
        """Run the backward pass; return the gradients by parameter name."""
        return self.backward(carry)

    def count(self) -> dict[str, Any]:
        """Return the counts of `Program.count`, with the bytes of the pullbacks' residuals."""
        carry, moved_buffers = self.prepare(), self.strategy.moved_buffers
        buffers = moved_buffers(carry) if moved_buffers else {}
        return super().count() | {"residual_bytes": leaves_bytes(carry) - leaves_bytes(buffers)}


class Gradient(Program):
    """Time forward and backward pass, in one jit where the recipe allows it."""

    def __init__(
        self,
        problem: Problem,
        device: jax.Device,
        compiler: EagerCompiler,
        make: Callable[[Problem, Jit], Recipe],
    ) -> None:
        super().__init__(problem, device, compiler)
        self.recipe = make(problem, compiler.jit)
        self.start = {name: problem.parameters[name] for name in self.recipe.step_parameters}
        one_jit = self.recipe.one_jit
        self.gradient = compiler.jit(self._update_gradients) if one_jit else self._update_gradients

    def _update_gradients(
        self, parameters: Parameters, constants: Constants
    ) -> tuple[Parameters, Buffers]:
        """Return the gradients that an update reads, and the buffers; XLA removes all others."""
        grads, buffers = self.recipe.gradient(parameters, constants)
        return {name: grads[name] for name in self.recipe.update_gradients}, buffers

    def run(self, carry: None) -> Any:
        """Run forward and backward pass; return gradients by name, and the buffers afterwards."""
        return self.gradient(self.start, self.problem.constants)

    def returned(self, result: Any) -> list[str]:
        """Return the names of the gradients that a `run` returned, before the buffers."""
        return list(result[0])

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """Return the gradients of the last `run`, by name, in the canonical layout."""
        return self._canonical(self.result[0])


class Step(Program):
    """Time forward pass, backward pass and update, each block from the same weights and state.

    Parameters and optimizer state are donated: the update overwrites them. ``transformation`` makes
    the optimizer over the named parameters; ``optimizer`` is the kind and the settings of it.
    """

    def __init__(
        self,
        problem: Problem,
        device: jax.Device,
        compiler: EagerCompiler,
        make: Callable[[Problem, Jit], Recipe],
        optimizer: Mapping[str, Any],
        transformation: Callable[[list[str]], optax.GradientTransformation],
    ) -> None:
        super().__init__(problem, device, compiler)
        self.recipe = make(problem, compiler.jit)
        self.optimizer = optimizer
        own = transformation(list(self.recipe.step_parameters))
        self.transformation = self.recipe.wrap_optimizer(own)
        self.parameters: Parameters
        self.state: Any
        self.buffers: Buffers
        self.step: Callable[..., Any] = self._step
        self.update: Callable[..., tuple[Parameters, Any]] = self._update
        if self.recipe.one_jit:
            self.step = compiler.jit(self._step, donate=(0, 1))
        else:
            self.update = compiler.jit(self._update, donate=(0, 1))
        self.reset()

    def _update(self, parameters: Parameters, state: Any, grads: Parameters) -> tuple[Any, Any]:
        """Return parameters and optimizer state after the optimizer has read the gradients."""
        updates, state = self.transformation.update(grads, state, parameters)
        return optax.apply_updates(parameters, updates), state

    def _step(self, parameters: Parameters, state: Any, constants: Constants) -> Any:
        """Return parameters, optimizer state and buffers after one step, and the gradients.

        The gradients are empty unless the recipe returns them.
        """
        grads, buffers = self.recipe.gradient(parameters, constants)
        parameters, state = self.update(parameters, state, grads)
        return parameters, state, buffers, grads if self.recipe.return_gradients else {}

    def run(self, carry: None) -> Any:
        """Run one step from the current parameters, state and buffers; return as `_step` does."""
        constants = {**self.problem.constants, "buffers": self.buffers}
        result = self.step(self.parameters, self.state, constants)
        self.parameters, self.state, buffers, _ = result
        self.buffers = {**self.buffers, **buffers}
        return result

    def returned(self, result: Any) -> list[str]:
        """Return the names of the parameters that a `run` returned updated, or as they were."""
        return list(result[0])

    def reset(self) -> None:
        """Restore parameters and buffers, and initialise the optimizer's state."""
        start = self.problem.parameters
        self.parameters = {n: jnp.copy(start[n]) for n in self.recipe.step_parameters}
        self.state = self.transformation.init(self.parameters)
        self.state = _held_once(self.state, self.parameters)
        self.buffers = self.problem.constants["buffers"]
        runtime.synchronize((self.parameters, self.state))

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """Return the gradients of the first step, recovered from the optimizer's first moment.

        Where the step returns its gradients, return those. The result is empty for an optimizer
        without moments: only its updates can be checked then.
        """
        if self.recipe.return_gradients:
            return self._canonical(self.result[3])
        start, computed = self.problem.parameters, self.recipe.update_gradients
        grads = optimizers.gradient_of(self.state, self.optimizer, start)
        return self._canonical({n: grad for n, grad in grads.items() if n in computed})

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Return all parameters and buffers after the last step, in the canonical layout."""
        frozen = self.problem.constants["frozen"]
        return self._canonical({**frozen, **self.parameters, **self.buffers})

    def count(self) -> dict[str, Any]:
        """Return the counts of `Program.count`, and ``optimizer_state_bytes``."""
        return super().count() | {"optimizer_state_bytes": optimizers.state_bytes(self.state)}


def _held_once(state: Any, parameters: Parameters) -> Any:
    """Return an optimizer's state in which no array is one of the parameters, or stands twice.

    Both are donated, which no array can be twice; some optimizers keep the first parameters.
    """
    known = {id(array) for array in parameters.values()}

    def own(array: Any) -> Any:
        held = jnp.copy(array) if id(array) in known else array
        known.add(id(held))
        return held

    return jax.tree.map(own, state)
