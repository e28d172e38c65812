"""What a worker talks to: open a problem, get its programs, probe its flow, train it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from numpy.typing import NDArray

from impl_jax import compiling, layout, optimizers, partial_freeze, program, recipes, runtime
from impl_jax.problem import Parameters, Problem, Stage
from impl_jax.recipes import RECIPES
from impl_jax.strategies import STRATEGIES, Jit
from impl_jax.training import Training

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
    unsupported = staticmethod(runtime.unsupported)

    def gauge(self) -> runtime.Gauge | None:
        """What tells this device's memory; None on CPU."""
        return runtime.gauge(self.device)

    def hold(self, size: int) -> list[Any]:
        """So many bytes of memory on this device, to see that they are told right."""
        return list(runtime.hold(size, self.device))

    def shapes(self, build: Callable[..., list[Stage]], arguments: Mapping[str, Any]) -> Shapes:
        """Name → shape of every parameter the scenario has, in the canonical layout."""
        return _shapes(_abstract(build, arguments))

    def open(
        self, build: Callable[..., list[Stage]], facts: Mapping[str, Any], data: Arrays
    ) -> OpenProblem:
        """A problem with this data in it, on this session's device; weights are not in it yet."""
        inputs = {n: self._put(layout.data_in(a, self.dtype)) for n, a in data.items()}
        stages = _abstract(build, facts["arguments"])
        problem = Problem(stages, inputs, facts["reach"], facts["frozen"])
        return OpenProblem(self, build, problem, facts)

    def _put(self, array: NDArray[Any]) -> jax.Array:
        return jax.device_put(array, self.device)


class OpenProblem:
    """A problem and everything that a worker may ask of it."""

    def __init__(
        self,
        session: Session,
        build: Callable[..., list[Stage]],
        problem: Problem,
        facts: Mapping[str, Any],
    ) -> None:
        self.session = session
        self.build = build
        self.problem = problem
        self.facts = facts
        self._losses = jax.jit(problem.losses)
        self._compiled: dict[recipes.Gradient, recipes.Gradient] = {}

    @property
    def built_frozen(self) -> list[str]:
        """The parameters that the builder itself froze: of another type than `nnx.Param`."""
        return [
            name
            for stage in self.problem.stages
            for name, (_, variable) in stage.parameters.items()
            if not isinstance(variable, nnx.Param)
        ]

    def shapes(self) -> Shapes:
        """Name → shape of every parameter and buffer, in the canonical layout."""
        return _shapes(self.problem.stages)

    @property
    def loss_names(self) -> list[str]:
        """Every loss of every stage."""
        return [name for stage in self.problem.stages for name in stage.losses]

    def load(self, weights: Arrays) -> None:
        """Put canonical weights and buffers into the problem."""
        arrays = self._native(weights)
        buffers = {n: arrays[n] for stage in self.problem.stages for n in stage.buffers}
        self.problem.load({n: arrays[n] for n in self.problem.names}, buffers)

    def _native(self, arrays: Arrays) -> Parameters:
        flattened, dtype = self.problem.flattened, self.session.dtype
        put = self.session._put
        return {n: put(layout.parameter_in(a, dtype, flattened.get(n))) for n, a in arrays.items()}

    def _canonical(self, arrays: Mapping[str, jax.Array]) -> dict[str, NDArray[Any]]:
        flattened = self.problem.flattened
        return {n: layout.parameter_out(a, flattened.get(n)) for n, a in arrays.items()}

    def load_matching(self, pretrained: Arrays) -> dict[str, list[str]]:
        """Load the part of a pretrained state whose names and shapes match; says what did not."""
        own = {**self.weights(), **self._canonical(self.problem.constants["buffers"])}
        fitting, report = partial_freeze.load_matching(own, pretrained)
        self.load(fitting)
        return report

    def weights(self) -> dict[str, NDArray[Any]]:
        """Every parameter as it stands."""
        return self._canonical(self.problem.everything)

    def program(self, kind: str, name: str, phase: str, mode: str = "jit") -> program.Program:
        """The strategy or recipe in this phase and mode.

        Raises ValueError where they do not go together.
        """
        where = self.problem, self.session.device, compiling.MODES[mode]
        if phase == "backward":
            made = program.Backward(*where, STRATEGIES[name])
            if made.strategy.own_forward:
                raise ValueError(f"{name} runs a forward pass of its own inside the backward phase")
            return made
        make = self._recipe(kind, name)
        if phase == "gradient":
            return program.Gradient(*where, make)
        optimizer = dict(self.facts["optimizer"])
        if kind == "freeze":
            optimizer["arrangement"] = "together"

        def transformation(held: list[str]) -> optax.GradientTransformation:
            return optimizers.build(optimizer, self.facts["networks"], held)

        return program.Step(*where, make, optimizer, transformation)

    @staticmethod
    def _recipe(kind: str, name: str) -> Callable[[Problem, Jit], recipes.Recipe]:
        if kind == "freeze":
            return lambda problem, _: RECIPES[name](problem)
        return lambda problem, jit: recipes.of(problem, STRATEGIES[name](problem, jit), jit)

    def losses(self) -> dict[str, float]:
        """The value of each loss."""
        values = self._losses(self.problem.trainable, self.problem.constants)
        return {name: float(values[name]) for name in self.problem.flow}

    def loss_shapes(self) -> dict[str, list[int] | None]:
        """The shape of each loss, empty for a single number."""
        problem = self.problem

        def losses(parameters: Parameters, constants: Any) -> dict[str, jax.Array]:
            return problem.forward(parameters, constants, among=list(problem.reach))[0]

        found = jax.eval_shape(losses, problem.trainable, problem.constants)
        return {name: list(loss.shape) for name, loss in found.items()}

    def loss_gradients(self) -> dict[str, dict[str, NDArray[Any] | None]]:
        """Per loss, its gradient by everything that is trained; None where frozen.

        JAX has no gradient that is absent once a parameter is differentiated: what a loss does not
        reach comes out as exact zeros.
        """
        found = self._by_loss(lambda gradient: gradient)
        absent = dict.fromkeys(self.problem.names)
        return {name: absent | self._canonical(found[name]) for name in self.problem.flow}

    def flow(self) -> dict[str, dict[str, bool | None]]:
        """Per loss and parameter: whether its gradient is not 0 everywhere; None where it has none.

        Also of losses that reach nothing that is trained: for those nothing is differentiated.
        """
        found = self._by_loss(jnp.any)  # inside the program: no gradient need leave it
        absent = dict.fromkeys(self.problem.names)
        return {
            loss: absent | {n: bool(flows) for n, flows in found.get(loss, {}).items()}
            for loss in self.problem.reach
        }

    def _by_loss(self, of: Callable[[jax.Array], jax.Array]) -> dict[str, Parameters]:
        problem = self.problem

        @jax.jit
        def gradients(parameters: Parameters, constants: Any) -> dict[str, Parameters]:
            by_loss = {
                name: jax.grad(lambda p, n=name: problem.losses(p, constants, until=n)[n])(
                    parameters
                )
                for name in problem.flow
            }
            return jax.tree.map(of, by_loss)

        return gradients(problem.trainable, problem.constants)

    def gradient_of_nothing(self, loss: str) -> dict[str, Any]:
        """Ask for the gradient of a loss that reaches no parameter; returns what came."""
        problem = self.problem

        def value(nothing: Parameters) -> jax.Array:
            parameters = {**problem.trainable, **nothing}
            return problem.forward(parameters, problem.constants, among=(loss,))[0][loss]

        return jax.grad(value)({})

    def train(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Train by a plan, from the start; the problem stays as it is.

        ``plan`` holds ``optimizer``, ``recipe`` (or None) and ``segments``, each with ``steps``,
        ``rate``, ``renew`` and the facts of its ``turns``. Returns canonical ``weights``,
        ``buffers``, ``outputs`` and ``moments``, the ``steps`` that the optimizer counted for each
        parameter and its ``state_bytes``.
        """
        problem, constants = self.problem, self.problem.constants
        training = Training(
            plan["optimizer"],
            self.facts["networks"],
            problem.everything,
            constants["buffers"],
            plan["recipe"],
            self._compiled,
        )
        for segment in plan["segments"]:
            turns = [self._turn(facts) for facts in segment["turns"]]
            changes = {name: segment[name] for name in ("steps", "rate", "renew")}
            training.run(turns, **changes)
        constants = {**constants, "buffers": training.buffers}
        outputs = problem.outputs(training.parameters, constants)
        moments, steps = optimizers.memory(training.state)
        return {
            "weights": self._canonical(training.parameters),
            "buffers": self._canonical(training.buffers),
            "outputs": {
                n: layout.data_out(v) for n, v in outputs.items() if isinstance(v, jax.Array)
            },
            "moments": self._canonical(moments),
            "steps": steps,
            "state_bytes": optimizers.state_bytes(training.state),
        }

    def _turn(self, facts: Mapping[str, Any]) -> Problem:
        """The problem of a turn, over the data of this one."""
        if facts == self.facts:
            return self.problem
        stages = _abstract(self.build, facts["arguments"])
        data = self.problem.constants["data"]
        turn = Problem(stages, data, facts["reach"], facts["frozen"])
        turn.load(self.problem.everything, self.problem.constants["buffers"])
        return turn


def _shapes(stages: list[Stage]) -> Shapes:
    native = {
        name: tuple(variable.shape)
        for stage in stages
        for name, (_, variable) in {**stage.parameters, **stage.buffers}.items()
    }
    return {
        name: list(shape if len(shape) < 2 else (shape[-1], shape[-2], *shape[:-2]))
        for name, shape in native.items()
    }


def _abstract(build: Callable[..., list[Stage]], arguments: Mapping[str, Any]) -> list[Stage]:
    """The stages with shapes in place of weights: these are loaded, never initialised."""
    made: list[Stage] = []

    def networks() -> list[nnx.Module]:
        made[:] = build(**arguments, rngs=nnx.Rngs(0))
        return [stage.network for stage in made]

    abstract = nnx.eval_shape(networks)
    return [replace(stage, network=network) for stage, network in zip(made, abstract, strict=True)]
