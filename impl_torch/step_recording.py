"""Record what happens while a user's training step runs: passes, gradients, optimizer steps.

Only public hooks of torch are used, and the public functions by which a backward pass is started,
which are replaced while the steps run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from impl_torch.step_case import StepCase, label
from impl_torch.step_changes import (
    Move,
    Pass,
    Piling,
    casts,
    change,
    dense,
    graph,
    groups_of,
    norm,
    notifying,
    number,
    replace,
    roots_of_call,
    state,
)


class Recorder:
    """Take training steps of a case and note what happens in them.

    Args:
        case: built for this alone.

    Attributes:
        counts: for each step, parameter → how often a gradient was added.
        passes: for each step, its backward passes.
        moves: every change by an optimizer.
        outside: for each step, parameter → change that no optimizer made.
        totals: for each step, parameter or buffer → change over the whole step.
        forwards: buffer → change inside forward passes of its module, the largest.
        with_gradient: parameters that had a gradient which is not 0 throughout.
        met_gradient: parameters that an optimizer found with such a gradient.
        called: parameters whose module ran forward, with gradients enabled or not.
        tracked: those of them whose module ran forward with gradients enabled.
        stepped: the optimizers that stepped.
        stale: parameters that were used in an autocast region after a step had changed them in it.
        piling: which gradients are added to those of earlier steps.
        clipped: for each ``unscale_`` that found its gradients changed since the backward pass:
            step, norm before, norm after, largest element after, scale.
    """

    def __init__(self, case: StepCase) -> None:
        self.case = case
        self.names = {id(p): n for n, p in case.parameters.items()}
        self.counts: list[dict[str, int]] = []
        self.passes: list[list[Pass]] = []
        self.moves: list[Move] = []
        self.outside: list[dict[str, float]] = []
        self.totals: list[dict[str, float]] = []
        self.forwards: dict[str, float] = {}
        self.with_gradient: set[str] = set()
        self.met_gradient: set[str] = set()
        self.called: set[str] = set()
        self.tracked: set[str] = set()
        self.stepped: dict[int, torch.optim.Optimizer] = {}
        self.stale: set[str] = set()
        self.piling = Piling(case.parameters)
        self.clipped: list[dict[str, float]] = []
        self._last_values: dict[str, Tensor] = {}
        self._fresh: dict[str, bool] = {}
        self._buffers_before: dict[str, Tensor] = {}
        self._stack: list[dict[str, tuple[str, bool]]] = []
        self._depth = 0
        self._region, self._autocast = 0, 0
        self._ran: dict[str, int] = {}
        self._changed: dict[str, int] = {}

    def take(self, steps: int) -> None:
        """Take this many training steps, each recorded."""
        with recording(self):
            for _ in range(steps):
                self._take_one()

    def _take_one(self) -> None:
        """Take one training step."""
        parameters = self.case.parameters
        self.counts.append(dict.fromkeys(parameters, 0))
        self.passes.append([])
        self.outside.append({})
        start = {n: p.detach().clone() for n, p in parameters.items()}
        buffers = {n: self.case.buffer(n).detach().clone() for n in self.case.buffers}
        self._last_values = dict(start)
        self.case.take()
        self._note_outside()
        moved = {n: change(start[n], p) for n, p in parameters.items()}
        moved |= {n: change(old, self.case.buffer(n)) for n, old in buffers.items()}
        self.totals.append(moved)
        for one in self.passes[-1]:
            one.nodes.clear()
            one.gradients_after.clear()

    def _note_outside(self) -> None:
        """Note what has changed since the last look, and was no optimizer's step."""
        for name, parameter in self.case.parameters.items():
            size = change(self._last_values[name], parameter)
            if size:
                self.outside[-1][name] = max(size, self.outside[-1].get(name, 0.0))
                self._last_values[name] = parameter.detach().clone()

    # gradients

    def note_gradient(self, name: str) -> None:
        """Note that a backward pass has added to a gradient."""
        self.counts[-1][name] += 1
        self.piling.note_gradient(name)
        if name not in self.with_gradient and state(self.case.parameters[name].grad) == "value":
            self.with_gradient.add(name)
        self._fresh[name] = True

    def begin_pass(self, roots: list[Tensor], is_backward: bool, adds: bool) -> None:
        """Note that a backward pass begins, unless it is inside another."""
        self._depth += 1
        if self._depth > 1:
            return
        self.piling.begin_pass()
        one = Pass(is_backward, adds, graph(roots))
        earlier = [p for p in self.passes[-1] if p.adds]
        if adds and earlier and self._gradients_untouched_since(earlier[-1]):
            one.mergeable = any(one.nodes & p.nodes for p in earlier)
        self.passes[-1].append(one)

    def end_pass(self) -> None:
        """Note that a backward pass has ended."""
        self._depth -= 1
        if not self._depth:
            self.piling.end_pass()
        if not self._depth and self.passes[-1][-1].adds:
            self.passes[-1][-1].gradients_after = {
                n: None if p.grad is None else p.grad.detach().clone()
                for n, p in self.case.parameters.items()
            }

    def _gradients_untouched_since(self, earlier: Pass) -> bool:
        """Return whether gradients are as a pass left them, and nothing was stepped since."""
        if not earlier.gradients_after:  # an optimizer has stepped
            return False
        for name, parameter in self.case.parameters.items():
            old, new = earlier.gradients_after[name], parameter.grad
            if (old is None) != (new is None):
                return False
            if old is not None and new is not None and change(old, new):
                return False
        return any(old is not None for old in earlier.gradients_after.values())

    # optimizers

    def before_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Look at what an optimizer is about to step."""
        self._note_outside()
        self.stepped[id(optimizer)] = optimizer
        states = {
            name: (state(parameter.grad), self._fresh.get(name, False))
            for name, parameter, _ in self._held_parameters(optimizer)
        }
        self.met_gradient.update(name for name, (grad, _) in states.items() if grad == "value")
        self.piling.before_step(states)
        self._stack.append(states)

    def after_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Note what an optimizer has changed; what one inside it has changed is that one's."""
        states = self._stack.pop()
        self.piling.after_step(states)
        for one in self.passes[-1]:
            one.gradients_after.clear()
        for name, parameter, group in self._held_parameters(optimizer):
            size = change(self._last_values[name], parameter)
            if not size:
                continue
            self._last_values[name] = parameter.detach().clone()
            gradient, fresh = states.get(name, ("none", False))
            if self._fresh.get(name):  # by passes inside the step, as LBFGS runs them
                gradient, fresh = state(parameter.grad), True
            self.moves.append(
                Move(
                    step=len(self.totals),
                    name=name,
                    by=label(optimizer),
                    optimizer=id(optimizer),
                    size=size,
                    gradient=gradient,
                    fresh=fresh,
                    accumulated=any(counts[name] for counts in self.counts),
                    required=parameter.requires_grad,
                    decay=number(group, "weight_decay"),
                    rate=number(group, "lr"),
                    inside=self._depth > 0,
                )
            )
            self._fresh[name] = False
            if self._autocast and self._ran.get(name) == self._region:
                self._changed[name] = self._region

    def _held_parameters(
        self, optimizer: torch.optim.Optimizer
    ) -> Iterator[tuple[str, nn.Parameter, dict[str, Any]]]:
        """Yield name, parameter and group of what an optimizer holds of the case."""
        for group in groups_of(optimizer):
            for parameter in group["params"]:
                if id(parameter) in self.names:
                    yield self.names[id(parameter)], parameter, group

    # forward passes

    def before_forward(self, names: list[str]) -> None:
        """Note that the module with these parameters runs."""
        self.called.update(names)
        if torch.is_grad_enabled():
            self.tracked.update(names)
        if self._autocast and casts() and torch.is_grad_enabled():
            for name in names:
                if self._changed.get(name) == self._region and self.case.parameters[name].ndim > 1:
                    self.stale.add(name)
                self._ran[name] = self._region

    def before_buffers(self, name: str) -> None:
        """Keep a buffer as it is before its module runs."""
        self._buffers_before[name] = self.case.buffer(name).detach().clone()

    def after_buffers(self, name: str) -> None:
        """Note whether a pass of its module has changed a buffer."""
        size = change(self._buffers_before[name], self.case.buffer(name))
        if size:
            self.forwards[name] = max(size, self.forwards.get(name, 0.0))

    # mixed precision

    def enter_autocast(self, *_: Any) -> None:
        """Note that an autocast region begins, or one inside another."""
        self._autocast += 1

    def leave_autocast(self, *_: Any) -> None:
        """Note that an autocast region ends: the weights that it has cast are forgotten."""
        self._autocast -= 1
        self._region += not self._autocast

    def before_unscale(self, scaler: Any, optimizer: torch.optim.Optimizer) -> None:
        """Note whether gradients were changed between the backward pass and `unscale_`."""
        last = next((p for p in reversed(self.passes[-1]) if p.adds and p.gradients_after), None)
        scale = float(scaler.get_scale())
        if last is None or scale == 1.0:
            return
        pairs = [(last.gradients_after[n], p.grad) for n, p, _ in self._held_parameters(optimizer)]
        both = [(a, b) for a, b in pairs if a is not None and b is not None]
        if any(change(a, b) for a, b in both):
            self.clipped.append(
                {
                    "step": len(self.totals),
                    "before": norm([a for a, _ in both]),
                    "after": norm([b for _, b in both]),
                    "largest": max(float(dense(b).abs().max()) for _, b in both if b.numel()),
                    "scale": scale,
                }
            )


@contextmanager
def recording(recorder: Recorder) -> Iterator[None]:
    """Have torch tell a recorder what happens while the context lasts."""
    with ExitStack() as undo:
        _hook_gradients(recorder, undo)
        _hook_modules(recorder, undo)
        for register, call in (
            (register_optimizer_step_pre_hook, recorder.before_step),
            (register_optimizer_step_post_hook, recorder.after_step),
        ):
            undo.callback(register(call).remove)
        for name, is_backward in (("backward", True), ("grad", False)):
            replace(undo, torch.autograd, name, _pass_wrapper(recorder, is_backward))
        autocast, scaler = torch.amp.autocast_mode.autocast, torch.amp.grad_scaler.GradScaler
        replace(undo, autocast, "__enter__", notifying(recorder.enter_autocast))
        replace(undo, autocast, "__exit__", notifying(recorder.leave_autocast))
        replace(undo, scaler, "unscale_", notifying(recorder.before_unscale))
        yield


def _hook_gradients(recorder: Recorder, undo: ExitStack) -> None:
    """Have every parameter tell when a gradient has been added, also those frozen for now."""
    for name, parameter in recorder.case.parameters.items():
        required = parameter.requires_grad
        parameter.requires_grad_(True)  # torch refuses the hook of one that requires none
        handle = parameter.register_post_accumulate_grad_hook(
            lambda _, name=name: recorder.note_gradient(name)
        )
        parameter.requires_grad_(required)
        undo.callback(handle.remove)


def _hook_modules(recorder: Recorder, undo: ExitStack) -> None:
    """Have the modules of parameters, and of buffers that are frozen, tell when they run."""
    for module, names in recorder.case.owners():
        handle = module.register_forward_pre_hook(
            lambda *_, names=names: recorder.before_forward(names)
        )
        undo.callback(handle.remove)
    for name in recorder.case.frozen_buffers():
        module, _ = recorder.case.buffers[name]
        before = module.register_forward_pre_hook(
            lambda *_, name=name: recorder.before_buffers(name), prepend=True
        )
        after = module.register_forward_hook(lambda *_, name=name: recorder.after_buffers(name))
        undo.callback(before.remove)
        undo.callback(after.remove)


def _pass_wrapper(recorder: Recorder, is_backward: bool) -> Callable[[Any], Any]:
    """Return what makes a function that starts a backward pass tell of it."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            roots, adds = roots_of_call(original, args, kwargs)
            recorder.begin_pass(roots, is_backward, adds and is_backward)
            try:
                return original(*args, **kwargs)
            finally:
                recorder.end_pass()

        return run

    return wrap
