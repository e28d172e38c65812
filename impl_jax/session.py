"""What a worker talks to: open a problem, get its programs, probe its flow, train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import add
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from numpy.typing import NDArray

from impl_jax import layout, optimizers, program, runtime
from impl_jax.problem import Parameters, Problem, Stage
from impl_jax.strategies import STRATEGIES

Arrays = Mapping[str, NDArray[Any]]
Shapes = dict[str, list[int]]


class Session:
    """One process's JAX: a device, a dtype, and the problems opened on them."""

    def __init__(self, device: str, dtype: str, cache: str | None = None) -> None:
        runtime.configure(dtype, cache)
        self.device = runtime.device(device)
        self.dtype = runtime.DTYPES[dtype]

    describe = staticmethod(runtime.describe)
    is_out_of_memory = staticmethod(runtime.is_out_of_memory)

    def shapes(self, build: Callable[..., list[Stage]], arguments: Mapping[str, Any]) -> Shapes:
        """Name → shape of every parameter the scenario has, in the canonical layout."""
        return {
            name: list(shape if len(shape) < 2 else (shape[-1], shape[-2], *shape[:-2]))
            for stage in _abstract(build, arguments)
            for name, shape in stage.parameters().items()
        }

    def open(
        self,
        build: Callable[..., list[Stage]],
        facts: Mapping[str, Any],
        weights: Arrays,
        data: Arrays,
    ) -> Opened:
        """A problem with these weights and data in it, on this session's device."""
        stages = _abstract(build, facts["arguments"])
        inputs = {n: self._put(layout.data_in(a, self.dtype)) for n, a in data.items()}
        problem = Problem(stages, inputs, facts["flow"], facts["frozen"])
        opened = Opened(problem, facts, self)
        opened.load(weights)
        return opened

    def _put(self, array: NDArray[Any]) -> jax.Array:
        return jax.device_put(array, self.device)


class Opened:
    """A problem and everything that a worker may ask of it."""

    def __init__(self, problem: Problem, facts: Mapping[str, Any], session: Session) -> None:
        self.problem = problem
        self.facts = facts
        self.session = session
        self._losses = jax.jit(problem.losses)

    def load(self, weights: Arrays) -> None:
        """Put canonical weights into the parameters."""
        put, dtype = self.session._put, self.session.dtype
        self.problem.load(
            {n: put(layout.parameter_in(weights[n], dtype)) for n in self.problem.names}
        )

    def program(self, strategy: str, phase: str) -> program.Program:
        """The strategy in this phase; raises ValueError where the two do not go together."""
        make, device = STRATEGIES[strategy], self.session.device
        if phase == "step":
            return program.Step(self.problem, make, device, self._optimizer())
        if phase == "gradient":
            return program.Gradient(self.problem, make, device)
        made = program.Backward(self.problem, make, device)
        if made.strategy.own_forward:
            raise ValueError(f"{strategy} runs a forward pass of its own inside the backward phase")
        return made

    def losses(self) -> dict[str, float]:
        """The value of each loss."""
        values = self._losses(self.problem.trainable, self.problem.constants)
        return {name: float(values[name]) for name in self.problem.flow}

    def loss_gradients(self) -> dict[str, dict[str, NDArray[Any] | None]]:
        """Per loss, its gradient by everything that is trained; None where frozen.

        JAX has no gradient that is absent once a parameter is differentiated: what a loss does not
        reach comes out as exact zeros.
        """

        @jax.jit
        def gradients(parameters: Parameters, constants: Any) -> dict[str, Parameters]:
            return {
                name: jax.grad(lambda p, n=name: self.problem.losses(p, constants)[n])(parameters)
                for name in self.problem.flow
            }

        found = gradients(self.problem.trainable, self.problem.constants)

        def canonical(grads: Parameters) -> dict[str, NDArray[Any] | None]:
            names = self.problem.names
            return {n: layout.parameter_out(grads[n]) if n in grads else None for n in names}

        return {name: canonical(found[name]) for name in self.problem.flow}

    def gradient_of_nothing(self, loss: str) -> dict[str, Any]:
        """Ask for the gradient of a loss that reaches no parameter; returns what came."""
        problem = self.problem

        def value(nothing: Parameters) -> jax.Array:
            parameters = {**problem.trainable, **nothing}
            value = problem.constants["data"]["x"]
            for stage in problem.stages:
                known = {**problem.constants["frozen"], **parameters}
                value = stage.call(known, stage.enter(value))
                if loss in stage.losses:
                    return stage.losses[loss](value, problem.constants["data"])
            raise KeyError(loss)

        return jax.grad(value)({})

    def train(self, steps: int, losses: list[str], arrangement: str) -> dict[str, Any]:
        """Train on the sum of the named losses; returns weights and outputs, canonical."""
        problem, optimizer = self.problem, self._optimizer(arrangement)

        @jax.jit
        def run(parameters: Parameters, constants: Any) -> Parameters:
            def total(parameters: Parameters) -> jax.Array:
                values = problem.losses(parameters, constants)
                return reduce(add, (values[name] for name in losses))

            def step(_: jax.Array, carry: tuple[Parameters, Any]) -> tuple[Parameters, Any]:
                parameters, state = carry
                updates, state = optimizer.update(jax.grad(total)(parameters), state, parameters)
                return optax.apply_updates(parameters, updates), state

            return jax.lax.fori_loop(0, steps, step, (parameters, optimizer.init(parameters)))[0]

        trained = run(jax.tree.map(jnp.copy, problem.trainable), problem.constants)
        outputs = problem.outputs(trained, problem.constants)
        parameters = {**problem.constants["frozen"], **trained}
        return {
            "weights": {n: layout.parameter_out(p) for n, p in parameters.items()},
            "outputs": {
                n: layout.data_out(v) for n, v in outputs.items() if isinstance(v, jax.Array)
            },
        }

    def _optimizer(self, arrangement: str | None = None) -> optax.GradientTransformation:
        facts = self.facts["optimizer"]
        return optimizers.build(
            facts["kind"],
            facts["settings"],
            arrangement or facts["arrangement"],
            self.facts["networks"],
            self.problem.trainable,
        )


def _abstract(build: Callable[..., list[Stage]], arguments: Mapping[str, Any]) -> list[Stage]:
    """The stages with shapes in place of weights: these are loaded, never initialised."""
    made: list[Stage] = []

    def networks() -> list[nnx.Module]:
        made[:] = build(**arguments, rngs=nnx.Rngs(0))
        return [stage.network for stage in made]

    abstract = nnx.eval_shape(networks)
    return [
        Stage(stage.name, network, stage.losses, stage.enter)
        for stage, network in zip(made, abstract, strict=True)
    ]
