"""Serve a worker process: open a problem, make its programs, probe its flow, train it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import nn

from impl_torch import (
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
from impl_torch.precision import IEEE, Precision
from impl_torch.problem import Problem, Stage
from impl_torch.recipes import RECIPES
from impl_torch.strategies import STRATEGIES
from impl_torch.training import Training

Arrays = Mapping[str, NDArray[Any]]
Shapes = dict[str, list[int]]


class Session:
    """Hold this process's torch: the device, the dtype and the compile cache of its problems.

    Args:
        device: ``cpu`` or ``cuda``.
        dtype: ``float32`` or ``float64``.
        cache: the folder that compiled code is stored in; by default a temporary one.

    Raises `runtime.Unavailable` where this installation or machine has no such device.
    """

    def __init__(self, device: str, dtype: str, cache: str | None = None) -> None:
        runtime.configure()
        self.device = runtime.device(device)
        self.dtype, self.precision = runtime.DTYPES[dtype], dtype
        # an attribute, because the folder is removed when this object is deleted
        self._own_cache = None if cache else tempfile.TemporaryDirectory(prefix="cascade-bench-")
        self.cache = Path(cache or self._own_cache.name)  # type: ignore[union-attr]

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
        return _shapes(Problem(build(**arguments), {}, {"": list(names)}, []))

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
        inputs = {
            n: layout.data_in(a, self.dtype, layouts.get(n)).to(self.device)
            for n, a in data.items()
        }
        stages = self.build_stages(build, problem_spec["arguments"])
        problem = Problem(stages, inputs, problem_spec["reach"], problem_spec["frozen"])
        return OpenProblem(self, build, problem, problem_spec)

    def build_stages(
        self, build: Callable[..., list[Stage]], arguments: Mapping[str, Any]
    ) -> list[Stage]:
        """Build the stages with their networks on this session's device, in its dtype."""
        stages = build(**arguments)
        for stage in stages:
            stage.network.to(device=self.device, dtype=self.dtype)
        return stages


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

    @property
    def built_frozen(self) -> list[str]:
        """The parameters that the networks froze themselves when they were built."""
        return self.problem.built_frozen

    def shapes(self) -> Shapes:
        """Return the shape of every parameter and buffer by its name, in the canonical layout."""
        return _shapes(self.problem)

    @property
    def tied(self) -> dict[str, str]:
        """Other name of a parameter that occurs at several places → the name it is kept under."""
        return self.problem.tied

    @property
    def loss_names(self) -> list[str]:
        """The names of the losses of all stages."""
        return [name for stage in self.problem.stages for name in stage.losses]

    def load(self, weights: Arrays) -> None:
        """Load parameters and buffers, given in the canonical layout, in place."""
        dtype = self.session.dtype
        self.problem.load({n: layout.parameter_in(a, dtype) for n, a in weights.items()})

    def load_matching(self, pretrained: Arrays) -> dict[str, list[str]]:
        """Load the part of a pretrained state whose names and shapes match.

        Return a report of what matched; see `partial_freeze.load_matching`.
        """
        dtype = self.session.dtype
        state = {n: layout.parameter_in(a, dtype) for n, a in pretrained.items()}
        whole = nn.ModuleDict({stage.name: stage.network for stage in self.problem.stages})
        return partial_freeze.load_matching(whole, state)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return the current value of every parameter, in the canonical layout."""
        return {n: layout.parameter_out(p) for n, p in self.problem.parameters.items()}

    def program(
        self, kind: str, name: str, phase: str, mode: str = "eager", precision_mode: str = IEEE
    ) -> program.Program:
        """Return the program of a strategy or recipe in this phase, mode and precision.

        Args:
            kind: ``freeze`` for a recipe, ``backward`` for a strategy.
            name: a key of `RECIPES` or `STRATEGIES`.
            phase: ``backward``, ``gradient`` or ``step``.
            mode: a key of `compiling.MODES`.
            precision_mode: one of `impl_torch.precision.MODES`.

        Raises ValueError where they do not go together, `runtime.Unavailable` where nothing can be
        compiled here, or the device lacks the precision.
        """
        chosen = Precision(precision_mode, self.session.device)
        compiler = self._compiler(mode, f"{kind} {name} {phase}{chosen.suffix}", chosen)
        problem = compiler.problem(self.problem)
        if kind == "freeze":
            recipe = RECIPES[name](problem)
        else:
            recipe = recipes.from_strategy(problem, STRATEGIES[name](problem, compiler.jit))
        if phase == "backward" and recipe.strategy.own_forward:
            raise ValueError(f"{name} runs a forward pass of its own inside the backward phase")
        if phase == "step":
            return program.Step(self.problem, recipe, compiler, self._optimizers(kind, recipe))
        make = program.Backward if phase == "backward" else program.Gradient
        return make(self.problem, recipe, compiler)

    def _compiler(self, mode: str, name: str, chosen: Precision) -> compiling.EagerCompiler:
        """Return a new compiler of this mode and precision for one program.

        Its cache folder depends on the problem, on the program's ``name``, the mode and the dtype.
        """
        if mode != "eager":
            runtime.check_compiler(self.session.device)
        key = json.dumps([self.problem_spec, name, mode, str(self.session.dtype)], sort_keys=True)
        folder = self.session.cache / sha256(key.encode()).hexdigest()[:16]
        return compiling.MODES[mode](str(folder), chosen)

    def losses(self) -> dict[str, float]:
        """Return the value of each loss that reaches a trained parameter, by name."""
        with torch.no_grad():
            return {name: loss.item() for name, loss in self.problem.losses().items()}

    def loss_shapes(self) -> dict[str, list[int] | None]:
        """Return the shape of each loss, empty for a single number, None if it is no tensor."""
        with torch.no_grad():
            losses = self.problem.losses(among=self.problem.reach)
        tensors = {n: isinstance(loss, torch.Tensor) for n, loss in losses.items()}
        return {n: list(loss.shape) if tensors[n] else None for n, loss in losses.items()}

    def loss_gradients(self) -> dict[str, dict[str, NDArray[Any] | None]]:
        """Return for each loss the gradient that autograd leaves in each parameter, or None."""
        return {
            loss: {n: None if g is None else layout.parameter_out(g) for n, g in grads.items()}
            for loss, grads in self._by_loss(self.problem.flow)
        }

    def flow(self) -> dict[str, dict[str, bool | None]]:
        """Return for each loss and parameter whether the gradient has an element that is not 0.

        None stands for no gradient. Losses that reach no trained parameter are included.
        """
        return {
            loss: {n: None if g is None else bool(g.any()) for n, g in grads.items()}
            for loss, grads in self._by_loss(self.problem.reach)
        }

    def _by_loss(
        self, losses: Collection[str]
    ) -> Iterator[tuple[str, dict[str, torch.Tensor | None]]]:
        """Yield (loss name, gradients) after a backward pass of each of these losses alone.

        The gradients are the ``.grad`` of every parameter by name, None where autograd left none.
        """
        for name in losses:
            self._clear()
            loss = self.problem.losses(until=name, among=losses)[name]
            if loss.requires_grad:  # otherwise it reaches no trained parameter
                loss.backward()
            yield name, {n: p.grad for n, p in self.problem.parameters.items()}

    def gradient_of_nothing(self, loss: str) -> dict[str, Any]:
        """Run the backward pass of a loss that reaches no trained parameter.

        Return the gradients by parameter name, if there are any. torch raises RuntimeError instead,
        and the harness checks that it does.
        """
        self._clear()
        self.problem.losses(among=(loss,))[loss].backward()
        return {n: p.grad for n, p in self.problem.parameters.items() if p.grad is not None}

    def input_dtypes(self) -> dict[str, str]:
        """Return the dtype of each input and target, such as ``float32``, by name."""
        return probing.input_dtypes(self.problem)

    def random_part(self) -> str | None:
        """Return what draws random numbers when the problem runs; None where nothing does."""
        return probing.random_part(self.problem)

    def kink_distance(self) -> float:
        """Return the smallest distance of any activation from a kink, relative to its tensor."""
        return probing.kink_distance(self.problem)

    def train(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Train by a plan from the loaded weights, and leave the problem unchanged.

        ``plan`` holds ``optimizer``, ``recipe`` (or None) and ``segments``, each with ``steps``,
        ``rate``, ``renew``, ``only``, ``share_forward`` and a problem specification for each of
        its ``turns``; see `Training`.
        Return ``weights``, ``buffers``, ``outputs`` of the networks and first ``moments`` in the
        canonical layout, the ``steps`` that the optimizer counted for each parameter, and the bytes
        of its state, ``state_bytes``.
        """
        problem = self.problem
        problem.restore_buffers()  # a forward pass of another request may have moved them
        start = {n: t.detach().clone() for n, t in (problem.parameters | problem.buffers).items()}
        training = Training(plan["optimizer"], self.problem_spec["networks"], plan["recipe"])
        try:
            for segment in plan["segments"]:
                turns = [self._turn(problem_spec) for problem_spec in segment["turns"]]
                training.run(turns, **{n: value for n, value in segment.items() if n != "turns"})
            return self._trained(training)
        finally:  # also after a recipe that cannot be trained
            problem.load(start)
            problem.require_grad(problem.trainable)

    def _trained(self, training: Training) -> dict[str, Any]:
        """Return the results of a training that has ended, as `train` describes them."""
        problem, weights = self.problem, self.weights()
        layouts = self.problem_spec.get("layouts", {})
        buffers = {n: layout.parameter_out(b) for n, b in problem.buffers.items()}
        with torch.no_grad():
            outputs = problem.outputs()  # in train mode this moves the buffers once more
        arrays = {n: v for n, v in outputs.items() if isinstance(v, torch.Tensor)}
        moments, steps = optimizers.memory(training.steppers, problem.parameters)
        return {
            "weights": weights,
            "buffers": buffers,
            "outputs": {n: layout.data_out(v, layouts.get(n)) for n, v in arrays.items()},
            "moments": {n: layout.parameter_out(m) for n, m in moments.items()},
            "steps": steps,
            "state_bytes": optimizers.state_bytes(training.steppers),
        }

    def _turn(self, problem_spec: Mapping[str, Any]) -> Problem:
        """Return the problem of one turn, over the parameters, buffers and data of this problem.

        ``problem_spec`` is the specification of the turn: it may have other losses and frozen
        parameters.
        """
        if problem_spec == self.problem_spec:
            return self.problem
        stages = self.session.build_stages(self.build, problem_spec["arguments"])
        for stage in stages:
            self.problem.share_with(stage)
        return Problem(stages, self.problem.data, problem_spec["reach"], problem_spec["frozen"])

    def _optimizers(self, kind: str, recipe: recipes.Recipe) -> list[torch.optim.Optimizer]:
        """Return the scenario's optimizers over the parameters that the recipe optimizes.

        A freezing recipe (``kind`` is ``freeze``) has one optimizer over a single list of
        parameters.
        """
        settings = dict(self.problem_spec["optimizer"])
        if kind == "freeze":
            settings |= {"arrangement": "together", "rates": {}}
        steppers = optimizers.build(settings, self.problem_spec["networks"], recipe.optimized)
        optimizers.set_rate_zero(steppers, [recipe.optimized[n] for n in recipe.rate_zero])
        return steppers

    def _clear(self) -> None:
        """Drop all gradients, and undo what a recipe has set to require one."""
        self.problem.require_grad(self.problem.trainable)


def _shapes(problem: Problem) -> Shapes:
    """Return the shape of every parameter and buffer of a problem, by its canonical name."""
    tensors = problem.parameters | problem.buffers
    return {name: list(tensor.shape) for name, tensor in tensors.items()}
