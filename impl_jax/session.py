"""Serve a worker process: open a problem, make its programs, probe its flow, train it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx
from numpy.typing import NDArray

from impl_jax import (
    compiling,
    layout,
    optimizers,
    partial_freeze,
    probing,
    profiling,
    program,
    recipes,
    runtime,
    switches,
)
from impl_jax.precision import IEEE, Precision
from impl_jax.problem import Parameters, Problem, Shapes, Stage, shapes
from impl_jax.recipes import RECIPES
from impl_jax.strategies import STRATEGIES, Jit
from impl_jax.training import Training

Arrays = Mapping[str, NDArray[Any]]


class Session:
    """Hold this process's JAX: the device, the dtype and the compile cache of its problems.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: ``float32`` or ``float64``.
        cache: the folder that compiled code is stored in; by default none is stored.

    Raises `runtime.Unavailable` where this installation or machine has no such device.
    """

    def __init__(self, device: str, dtype: str, cache: str | None = None) -> None:
        runtime.configure(dtype, cache)
        self.device = runtime.device(device)
        self.dtype, self.precision = runtime.DTYPES[dtype], dtype

    describe = staticmethod(runtime.describe)
    is_out_of_memory = staticmethod(runtime.is_out_of_memory)
    unsupported = staticmethod(runtime.unsupported)
    switches = staticmethod(switches.read)
    profile = staticmethod(profiling.trace_calls)

    def gauge(self) -> runtime.Gauge | None:
        """Return the gauge that reads this device's memory; None on a CPU."""
        return runtime.gauge(self.device)

    def allocate(self, size: int) -> list[Any]:
        """Return ``size`` bytes of arrays on this device, to check the reading of memory by."""
        return list(runtime.allocate(size, self.device))

    def shapes(
        self,
        build: Callable[..., list[Stage]],
        arguments: Mapping[str, Any],
        names: Collection[str] = (),
    ) -> Shapes:
        """Return the shape of every parameter and buffer by its name, in the canonical layout.

        Args:
            build: the function that returns the scenario's stages.
            arguments: of ``build``.
            names: that the scenario gives to parameters; they decide the name of a tied one.
        """
        return shapes(self.build_stages(build, arguments), names)

    def open(
        self, build: Callable[..., list[Stage]], problem_spec: Mapping[str, Any], data: Arrays
    ) -> OpenProblem:
        """Build a problem with this data on the session's device; its weights are loaded later.

        Args:
            build: the function that returns the scenario's stages.
            problem_spec: the scenario as plain data: ``arguments`` of ``build``, names of the
                ``networks``, ``reach`` (loss → parameters that it reaches), names of the ``frozen``
                parameters, ``optimizer``, and ``layouts`` of the data and of outputs.
            data: arrays in the canonical layout (torch's), by name.
        """
        layouts = problem_spec.get("layouts", {})
        arrays = {n: layout.data_in(a, self.dtype, layouts.get(n)) for n, a in data.items()}
        inputs = {name: self._put(array) for name, array in arrays.items()}
        stages = self.build_stages(build, problem_spec["arguments"])
        problem = Problem(stages, inputs, problem_spec["reach"], problem_spec["frozen"])
        return OpenProblem(self, build, problem, problem_spec)

    @staticmethod
    def build_stages(
        build: Callable[..., list[Stage]], arguments: Mapping[str, Any]
    ) -> list[Stage]:
        """Build the stages with shapes in place of weights, which are loaded later.

        Nothing is initialised: `nnx.eval_shape` only traces the constructors.
        """
        stages: list[Stage] = []

        def networks() -> list[nnx.Module]:
            stages[:] = build(**arguments, rngs=nnx.Rngs(0))
            return [stage.network for stage in stages]

        abstract = nnx.eval_shape(networks)
        pairs = zip(stages, abstract, strict=True)
        return [replace(stage, network=network) for stage, network in pairs]

    def _put(self, array: NDArray[Any]) -> jax.Array:
        """Copy an array to the session's device."""
        return jax.device_put(array, self.device)


class OpenProblem:
    """Hold a problem, and run all that the harness asks its worker process to do with it."""

    def __init__(
        self,
        session: Session,
        build: Callable[..., list[Stage]],
        problem: Problem,
        problem_spec: Mapping[str, Any],
    ) -> None:
        self.session = session
        self.build = build
        self.problem = problem
        self.problem_spec = problem_spec
        self._losses = jax.jit(problem.losses)
        # a recipe's gradient → the same, jitted, so that each training does not compile it anew
        self._compiled: dict[recipes.Gradient, recipes.Gradient] = {}

    @property
    def built_frozen(self) -> list[str]:
        """The parameters that the networks froze themselves when they were built."""
        return self.problem.built_frozen

    def shapes(self) -> Shapes:
        """Return the shape of every parameter and buffer by its name, in the canonical layout."""
        return shapes(self.problem.stages, self.problem.names)

    @property
    def tied(self) -> dict[str, str]:
        """Other name of a parameter that occurs at several places → the name it is kept under."""
        return self.problem.tied

    @property
    def loss_names(self) -> list[str]:
        """The names of the losses of all stages."""
        return [name for stage in self.problem.stages for name in stage.losses]

    def load(self, weights: Arrays) -> None:
        """Load parameters and buffers, given in the canonical layout."""
        arrays = self._native(weights)
        buffers = {n: arrays[n] for stage in self.problem.stages for n in stage.buffers}
        self.problem.load({n: arrays[n] for n in self.problem.names}, buffers)

    def _native(self, arrays: Arrays) -> Parameters:
        """Return canonical arrays, by name, in JAX's layout and this dtype on the device."""
        forms, dtype = self.problem.forms, self.session.dtype
        put = self.session._put
        return {n: put(layout.parameter_in(a, dtype, forms.get(n))) for n, a in arrays.items()}

    def _canonical(self, arrays: Mapping[str, jax.Array]) -> dict[str, NDArray[Any]]:
        """Return arrays of JAX's layout, by name, as NumPy arrays in the canonical layout."""
        forms = self.problem.forms
        return {n: layout.parameter_out(a, forms.get(n)) for n, a in arrays.items()}

    def load_matching(self, pretrained: Arrays) -> dict[str, list[str]]:
        """Load the part of a pretrained state whose names and shapes match.

        Return a report of what matched; see `partial_freeze.load_matching`.
        """
        own = {**self.weights(), **self._canonical(self.problem.constants["buffers"])}
        fitting, report = partial_freeze.load_matching(own, pretrained)
        self.load(fitting)
        return report

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the current value of every parameter, in the canonical layout."""
        return self._canonical(self.problem.parameters)

    def program(
        self, kind: str, name: str, phase: str, mode: str = "jit", precision_mode: str = IEEE
    ) -> program.Program:
        """Return the program of a strategy or recipe in this phase, mode and precision.

        Args:
            kind: ``freeze`` for a recipe, ``backward`` for a strategy.
            name: a key of `RECIPES` or `STRATEGIES`.
            phase: ``backward``, ``gradient`` or ``step``.
            mode: a key of `compiling.MODES`.
            precision_mode: one of `impl_jax.precision.MODES`.

        Raises ValueError where they do not go together, `runtime.Unavailable` where the device
        lacks the precision.
        """
        device = self.session.device
        chosen = Precision(precision_mode, device.platform)
        start = chosen.problem(self.problem), device, compiling.MODES[mode](chosen)
        if phase == "backward":
            backward = program.Backward(*start, STRATEGIES[name])
            if backward.strategy.own_forward:
                raise ValueError(f"{name} runs a forward pass of its own inside the backward phase")
            return backward
        make = self._recipe(kind, name)
        if phase == "gradient":
            return program.Gradient(*start, make)
        return program.Step(*start, make, *self._optimizer(kind))

    def _optimizer(
        self, kind: str
    ) -> tuple[dict[str, Any], Callable[[list[str]], optax.GradientTransformation]]:
        """Return the optimizer's settings, and a function (parameter names) → optimizer.

        A freezing recipe (``kind`` is ``freeze``) has one optimizer over all parameters together.
        """
        settings = dict(self.problem_spec["optimizer"])
        if kind == "freeze":
            settings |= {"arrangement": "together", "rates": {}}
        networks = self.problem_spec["networks"]
        return settings, lambda names: optimizers.build(settings, networks, names)

    @staticmethod
    def _recipe(kind: str, name: str) -> Callable[[Problem, Jit], recipes.Recipe]:
        """Return the function (problem, jit) → recipe; a strategy is made a recipe.

        ``kind`` and ``name`` are those of `program`.
        """
        if kind == "freeze":
            return lambda problem, _: RECIPES[name](problem)
        strategy = STRATEGIES[name]
        return lambda problem, jit: recipes.from_strategy(problem, strategy(problem, jit), jit)

    def losses(self) -> dict[str, float]:
        """Return the value of each loss that reaches a trained parameter, by name."""
        values = self._losses(self.problem.trainable, self.problem.constants)
        return {name: float(values[name]) for name in self.problem.flow}

    def loss_shapes(self) -> dict[str, list[int] | None]:
        """Return the shape of each loss, empty for a single number."""
        return probing.loss_shapes(self.problem)

    def loss_gradients(self) -> dict[str, dict[str, NDArray[Any] | None]]:
        """Return for each loss the gradient by each trained parameter, and None by a frozen one.

        In JAX no gradient is absent once a parameter is differentiated: the gradient by a parameter
        that the loss does not reach is exactly 0.
        """
        gradients = probing.by_loss(self.problem, lambda gradient: gradient)
        absent = dict.fromkeys(self.problem.names)
        return {name: absent | self._canonical(gradients[name]) for name in self.problem.flow}

    def flow(self) -> dict[str, dict[str, bool | None]]:
        """Return for each loss and parameter whether the gradient has an element that is not 0.

        None stands for no gradient. Losses that reach no trained parameter are included; they are
        not differentiated.
        """
        # jnp.any is inside the jit, so that no gradient has to leave it
        nonzero = probing.by_loss(self.problem, jnp.any)
        absent = dict.fromkeys(self.problem.names)
        return {
            loss: absent | {n: bool(flows) for n, flows in nonzero.get(loss, {}).items()}
            for loss in self.problem.reach
        }

    def gradient_of_nothing(self, loss: str) -> dict[str, Any]:
        """Differentiate a loss that reaches no trained parameter, by no parameter.

        Return the gradients by parameter name: in JAX an empty dict, which the harness checks.
        torch raises an error instead.
        """
        return probing.gradient_of_nothing(self.problem, loss)

    def input_dtypes(self) -> dict[str, str]:
        """Return the dtype of each input and target, such as ``float32``, by name."""
        return probing.input_dtypes(self.problem)

    def random_part(self) -> str | None:
        """Return what draws random numbers when the problem runs; None where nothing does."""
        return probing.random_part(self.problem)

    def train(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Train by a plan from the loaded weights, and leave the problem unchanged.

        ``plan`` holds ``optimizer``, ``recipe`` (or None) and ``segments``, each with ``steps``,
        ``rate``, ``renew``, ``only``, ``share_forward`` and a problem specification for each of
        its ``turns``; see `Training`.
        Return ``weights``, ``buffers``, ``outputs`` of the networks and first ``moments`` in the
        canonical layout, the ``steps`` that the optimizer counted for each parameter, and the bytes
        of its state, ``state_bytes``.
        """
        training = Training(
            plan["optimizer"],
            self.problem_spec["networks"],
            self.problem.parameters,
            self.problem.constants["buffers"],
            plan["recipe"],
            self._compiled,
        )
        for segment in plan["segments"]:
            turns = [self._turn(problem_spec) for problem_spec in segment["turns"]]
            training.run(turns, **{n: value for n, value in segment.items() if n != "turns"})
        return self._trained(training)

    def _trained(self, training: Training) -> dict[str, Any]:
        """Return the results of a training that has ended, as `train` describes them."""
        constants = {**self.problem.constants, "buffers": training.buffers}
        layouts = self.problem_spec.get("layouts", {})
        outputs = self.problem.outputs(training.parameters, constants)
        arrays = {n: v for n, v in outputs.items() if isinstance(v, jax.Array)}
        moments, steps = optimizers.memory(training.state)
        return {
            "weights": self._canonical(training.parameters),
            "buffers": self._canonical(training.buffers),
            "outputs": {n: layout.data_out(v, layouts.get(n)) for n, v in arrays.items()},
            "moments": self._canonical(moments),
            "steps": steps,
            "state_bytes": optimizers.state_bytes(training.state),
        }

    def _turn(self, problem_spec: Mapping[str, Any]) -> Problem:
        """Return the problem of one turn, over the parameters, buffers and data of this problem.

        ``problem_spec`` is the specification of the turn: it may have other losses and frozen
        parameters.
        """
        if problem_spec == self.problem_spec:
            return self.problem
        stages = self.session.build_stages(self.build, problem_spec["arguments"])
        data = self.problem.constants["data"]
        turn = Problem(stages, data, problem_spec["reach"], problem_spec["frozen"])
        turn.load(self.problem.parameters, self.problem.constants["buffers"])
        return turn
