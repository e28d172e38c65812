"""What a worker talks to: open a problem, get its programs, probe its flow, train it."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from impl_torch import compiling, layout, optimizers, partial_freeze, program, recipes, runtime
from impl_torch.problem import Problem, Stage
from impl_torch.recipes import RECIPES
from impl_torch.strategies import STRATEGIES
from impl_torch.training import Training

Arrays = Mapping[str, NDArray[Any]]
Shapes = dict[str, list[int]]


class Session:
    """One process's torch: a device, a dtype, and the problems opened on them."""

    def __init__(self, device: str, dtype: str, cache: str | None = None) -> None:
        runtime.configure()
        self.device = runtime.device(device)
        self.dtype = runtime.DTYPES[dtype]
        # kept as an object: without a cache given, this one is removed with the session
        self._own_cache = None if cache else tempfile.TemporaryDirectory(prefix="cascade-bench-")
        self.cache = Path(cache or self._own_cache.name)  # type: ignore[union-attr]

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
        return _shapes(build(**arguments))

    def open(
        self, build: Callable[..., list[Stage]], facts: Mapping[str, Any], data: Arrays
    ) -> OpenProblem:
        """A problem with this data in it, on this session's device; weights are not in it yet."""
        inputs = {n: layout.data_in(a, self.dtype).to(self.device) for n, a in data.items()}
        stages = self.stages(build, facts)
        built = [
            f"{stage.name}.{name}"
            for stage in stages
            for name, parameter in stage.network.named_parameters()
            if not parameter.requires_grad
        ]
        problem = Problem(stages, inputs, facts["reach"], facts["frozen"])
        return OpenProblem(self, build, problem, facts, built)

    def stages(self, build: Callable[..., list[Stage]], facts: Mapping[str, Any]) -> list[Stage]:
        """The networks of these facts, on this session's device, in its dtype."""
        stages = build(**facts["arguments"])
        for stage in stages:
            stage.network.to(device=self.device, dtype=self.dtype)
        return stages


class OpenProblem:
    """A problem and everything that a worker may ask of it.

    ``built_frozen`` names the parameters that the builder itself froze.
    """

    def __init__(
        self,
        session: Session,
        build: Callable[..., list[Stage]],
        problem: Problem,
        facts: Mapping[str, Any],
        built_frozen: list[str],
    ) -> None:
        self.session = session
        self.build = build
        self.problem = problem
        self.facts = facts
        self.built_frozen = built_frozen

    def shapes(self) -> Shapes:
        """Name → shape of every parameter and buffer, in the canonical layout."""
        return _shapes(self.problem.stages)

    @property
    def loss_names(self) -> list[str]:
        """Every loss of every stage."""
        return [name for stage in self.problem.stages for name in stage.losses]

    def load(self, weights: Arrays) -> None:
        """Put canonical weights and buffers into the networks, in place."""
        dtype = self.session.dtype
        self.problem.load({n: layout.parameter_in(a, dtype) for n, a in weights.items()})

    def load_matching(self, pretrained: Arrays) -> dict[str, list[str]]:
        """Load the part of a pretrained state whose names and shapes match; says what did not."""
        dtype = self.session.dtype
        state = {n: layout.parameter_in(a, dtype) for n, a in pretrained.items()}
        whole = nn.ModuleDict({stage.name: stage.network for stage in self.problem.stages})
        return partial_freeze.load_matching(whole, state)

    def weights(self) -> dict[str, NDArray[Any]]:
        """Every parameter as it stands."""
        return {n: layout.parameter_out(p) for n, p in self.problem.parameters.items()}

    def program(self, kind: str, name: str, phase: str, mode: str = "eager") -> program.Program:
        """The strategy or recipe in this phase and mode; nothing but what is called is compiled.

        Raises ValueError where they do not go together, `runtime.Unavailable` where nothing can be
        compiled here.
        """
        compiler = self._compiler(mode, f"{kind} {name} {phase}")
        problem = compiler.problem(self.problem)
        if kind == "freeze":
            made = RECIPES[name](problem)
        else:
            made = recipes.of(problem, STRATEGIES[name](problem, compiler.jit))
        if phase == "backward" and made.own_forward:
            raise ValueError(f"{name} runs a forward pass of its own inside the backward phase")
        if phase == "step":
            return program.Step(self.problem, made, compiler, self._optimizers(kind, made))
        how = program.Backward if phase == "backward" else program.Gradient
        return how(self.problem, made, compiler)

    def _compiler(self, mode: str, name: str) -> compiling.Eager:
        if mode != "eager":
            runtime.check_compiler(self.session.device)
        facts = json.dumps([self.facts, name, mode, str(self.session.dtype)], sort_keys=True)
        folder = self.session.cache / sha256(facts.encode()).hexdigest()[:16]
        return compiling.MODES[mode](str(folder))

    def losses(self) -> dict[str, float]:
        """The value of each loss."""
        with torch.no_grad():
            return {name: loss.item() for name, loss in self.problem.losses().items()}

    def loss_shapes(self) -> dict[str, list[int] | None]:
        """The shape of each loss, empty for a single number; None for what is no tensor."""
        with torch.no_grad():
            losses = self.problem.losses(among=self.problem.reach)
        tensors = {n: isinstance(loss, torch.Tensor) for n, loss in losses.items()}
        return {n: list(loss.shape) if tensors[n] else None for n, loss in losses.items()}

    def loss_gradients(self) -> dict[str, dict[str, NDArray[Any] | None]]:
        """Per loss, every parameter's gradient as autograd leaves it: an array, or None."""
        return {
            loss: {n: None if g is None else layout.parameter_out(g) for n, g in grads.items()}
            for loss, grads in self._by_loss(self.problem.flow)
        }

    def flow(self) -> dict[str, dict[str, bool | None]]:
        """Per loss and parameter: whether its gradient is not 0 everywhere; None where it has none.

        Also of losses that reach nothing that is trained.
        """
        return {
            loss: {n: None if g is None else bool(g.any()) for n, g in grads.items()}
            for loss, grads in self._by_loss(self.problem.reach)
        }

    def _by_loss(
        self, losses: Collection[str]
    ) -> Iterator[tuple[str, dict[str, torch.Tensor | None]]]:
        for name in losses:
            self._clear()
            loss = self.problem.losses(until=name, among=losses)[name]
            if loss.requires_grad:  # else it reaches nothing at all
                loss.backward()
            yield name, {n: p.grad for n, p in self.problem.parameters.items()}

    def gradient_of_nothing(self, loss: str) -> dict[str, Any]:
        """Ask for the gradient of a loss that reaches no parameter; returns what came."""
        self._clear()
        self.problem.losses(among=(loss,))[loss].backward()
        return {n: p.grad for n, p in self.problem.parameters.items() if p.grad is not None}

    def kink_distance(self) -> float:
        """The smallest distance of any activation from a kink, relative to its tensor's largest.

        Kinks are a ReLU's and a LeakyReLU's at 0, and a max-pooling window's where its two largest
        are equal; two zeros in a window behind a ReLU are none, for no gradient gets past the ReLU.
        """
        distances = [1.0]
        with torch.no_grad(), _inputs_of_kinked() as seen:
            self.problem.losses(among=self.problem.reach)
        for module, value in seen:
            distances.append(float(_nearest(module, value) / value.abs().max()))
        return min(distances)

    def train(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """Train by a plan, from the start; the problem stays as it is.

        ``plan`` holds ``optimizer``, ``recipe`` (or None) and ``segments``, each with ``steps``,
        ``rate``, ``renew`` and the facts of its ``turns``. Returns canonical ``weights``,
        ``buffers``, ``outputs`` and ``moments``, the ``steps`` that the optimizer counted for each
        parameter and its ``state_bytes``.
        """
        problem = self.problem
        start = {n: t.detach().clone() for n, t in (problem.parameters | problem.buffers).items()}
        training = Training(plan["optimizer"], self.facts["networks"], plan["recipe"])
        for segment in plan["segments"]:
            turns = [self._turn(facts) for facts in segment["turns"]]
            changes = {name: segment[name] for name in ("steps", "rate", "renew")}
            training.run(turns, **changes)
        trained = self._trained(training)
        problem.load(start)
        problem.require_grad(problem.trainable)
        return trained

    def _trained(self, training: Training) -> dict[str, Any]:
        problem, weights = self.problem, self.weights()
        buffers = {n: layout.parameter_out(b) for n, b in problem.buffers.items()}
        with torch.no_grad():
            outputs = problem.outputs()  # in train mode this moves the buffers once more
        moments, steps = optimizers.memory(training.steppers, problem.parameters)
        return {
            "weights": weights,
            "buffers": buffers,
            "outputs": {
                n: layout.data_out(v) for n, v in outputs.items() if isinstance(v, torch.Tensor)
            },
            "moments": {n: layout.parameter_out(m) for n, m in moments.items()},
            "steps": steps,
            "state_bytes": optimizers.state_bytes(training.steppers),
        }

    def _turn(self, facts: Mapping[str, Any]) -> Problem:
        """The problem of a turn, over the parameters and buffers of this one."""
        if facts == self.facts:
            return self.problem
        stages = self.session.stages(self.build, facts)
        for stage in stages:
            self.problem.share_with(stage)
        return Problem(stages, self.problem.data, facts["reach"], facts["frozen"])

    def _optimizers(self, kind: str, made: recipes.Recipe) -> list[torch.optim.Optimizer]:
        optimizer = dict(self.facts["optimizer"])
        if kind == "freeze":
            optimizer["arrangement"] = "together"
        return optimizers.build(optimizer, self.facts["networks"], made.optimized)

    def _clear(self) -> None:
        """No gradients, and none required of what is frozen, whatever a recipe left behind."""
        self.problem.require_grad(self.problem.trainable)


def _shapes(stages: list[Stage]) -> Shapes:
    return {
        f"{stage.name}.{name}": list(tensor.shape)
        for stage in stages
        for name, tensor in _parameters_and_buffers(stage.network)
    }


def _parameters_and_buffers(network: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """All but BatchNorm's count of batches, which nothing here uses."""
    yield from network.named_parameters()
    yield from ((name, b) for name, b in network.named_buffers() if b.ndim)


@contextmanager
def _inputs_of_kinked() -> Iterator[list[tuple[nn.Module, torch.Tensor]]]:
    seen: list[tuple[nn.Module, torch.Tensor]] = []

    def remember(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, (nn.ReLU, nn.LeakyReLU, nn.MaxPool2d)):
            seen.append((module, inputs[0].detach().clone()))

    handle = nn.modules.module.register_module_forward_pre_hook(remember)
    try:
        yield seen
    finally:
        handle.remove()


def _nearest(module: nn.Module, value: torch.Tensor) -> torch.Tensor:
    if not isinstance(module, nn.MaxPool2d):
        return value.abs().min()
    windows = F.unfold(value.flatten(0, 1)[:, None], module.kernel_size, stride=module.stride)
    largest, second = windows.topk(2, dim=1).values.unbind(1)
    return (largest - second)[largest > 0].min()
