"""What a worker talks to: open a problem, get its programs, probe its flow, train it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from numpy.typing import NDArray

from impl_torch import layout, optimizers, program, runtime
from impl_torch.problem import Problem, Stage
from impl_torch.strategies import STRATEGIES

Arrays = Mapping[str, NDArray[Any]]
Shapes = dict[str, list[int]]


class Session:
    """One process's torch: a device, a dtype, and the problems opened on them."""

    def __init__(self, device: str, dtype: str) -> None:
        runtime.configure()
        self.device = runtime.device(device)
        self.dtype = runtime.DTYPES[dtype]

    describe = staticmethod(runtime.describe)
    is_out_of_memory = staticmethod(runtime.is_out_of_memory)

    def shapes(self, build: Callable[..., list[Stage]], arguments: Mapping[str, Any]) -> Shapes:
        """Name → shape of every parameter the scenario has, in the canonical layout."""
        stages = build(**arguments)
        return {
            f"{stage.name}.{name}": list(parameter.shape)
            for stage in stages
            for name, parameter in stage.network.named_parameters()
        }

    def open(
        self,
        build: Callable[..., list[Stage]],
        facts: Mapping[str, Any],
        weights: Arrays,
        data: Arrays,
    ) -> Opened:
        """A problem with these weights and data in it, on this session's device."""
        stages = build(**facts["arguments"])
        inputs = {n: layout.data_in(a, self.dtype).to(self.device) for n, a in data.items()}
        for stage in stages:
            stage.network.to(device=self.device, dtype=self.dtype)
        problem = Problem(stages, inputs, facts["flow"], facts["frozen"])
        opened = Opened(problem, facts)
        opened.load(weights)
        return opened


class Opened:
    """A problem and everything that a worker may ask of it."""

    def __init__(self, problem: Problem, facts: Mapping[str, Any]) -> None:
        self.problem = problem
        self.facts = facts

    def load(self, weights: Arrays) -> None:
        """Put canonical weights into the parameters, in place."""
        with torch.no_grad():
            for name, parameter in self.problem.parameters.items():
                parameter.copy_(layout.parameter_in(weights[name], parameter.dtype))

    def program(self, strategy: str, phase: str) -> program.Program:
        """The strategy in this phase; raises ValueError where the two do not go together."""
        made = STRATEGIES[strategy](self.problem)
        if phase == "backward" and made.own_forward:
            raise ValueError(f"{strategy} runs a forward pass of its own inside the backward phase")
        if phase == "step":
            return program.Step(self.problem, made, self._optimizers())
        kind = program.Backward if phase == "backward" else program.Gradient
        return kind(self.problem, made)

    def losses(self) -> dict[str, float]:
        """The value of each loss."""
        with torch.no_grad():
            return {name: loss.item() for name, loss in self.problem.losses().items()}

    def loss_gradients(self) -> dict[str, dict[str, NDArray[Any] | None]]:
        """Per loss, every parameter's gradient as autograd leaves it: an array, or None."""
        found = {}
        for name in self.problem.flow:
            self._clear()
            self.problem.losses(until=name)[name].backward()
            found[name] = {
                n: None if p.grad is None else layout.parameter_out(p.grad)
                for n, p in self.problem.parameters.items()
            }
        return found

    def gradient_of_nothing(self, loss: str) -> dict[str, Any]:
        """Ask for the gradient of a loss that reaches no parameter; returns what came."""
        self._clear()
        value = self.problem.data["x"]
        for stage in self.problem.stages:
            value = stage.network(stage.enter(value))
            if loss in stage.losses:
                stage.losses[loss](value, self.problem.data).backward()
                break
        return {n: p.grad for n, p in self.problem.parameters.items() if p.grad is not None}

    def kink_distance(self) -> float:
        """The smallest |pre-activation| of any ReLU, relative to its tensor's largest."""
        nearest = [1.0]
        with torch.no_grad(), _relu_inputs() as seen:
            self.problem.losses()
        for value in seen:
            nearest.append((value.abs().min() / value.abs().max()).item())
        return min(nearest)

    def train(self, steps: int, losses: list[str], arrangement: str) -> dict[str, Any]:
        """Train on the sum of the named losses; returns weights and outputs, canonical."""
        steppers = self._optimizers(arrangement)
        for _ in range(steps):
            self._clear()
            values = self.problem.losses()
            torch.stack([values[name] for name in losses]).sum().backward()
            for stepper in steppers:
                stepper.step()
        with torch.no_grad():
            outputs = self.problem.outputs()
        return {
            "weights": {n: layout.parameter_out(p) for n, p in self.problem.parameters.items()},
            "outputs": {n: layout.data_out(v) for n, v in outputs.items()},
        }

    def _optimizers(self, arrangement: str | None = None) -> list[torch.optim.Optimizer]:
        facts = self.facts["optimizer"]
        return optimizers.build(
            facts["kind"],
            facts["settings"],
            arrangement or facts["arrangement"],
            self.facts["networks"],
            self.problem.trainable,
        )

    def _clear(self) -> None:
        for parameter in self.problem.parameters.values():
            parameter.grad = None


@contextmanager
def _relu_inputs() -> Iterator[list[torch.Tensor]]:
    seen: list[torch.Tensor] = []

    def remember(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if isinstance(module, torch.nn.ReLU):
            seen.append(inputs[0].detach().clone())

    handle = torch.nn.modules.module.register_module_forward_pre_hook(remember)
    try:
        yield seen
    finally:
        handle.remove()
