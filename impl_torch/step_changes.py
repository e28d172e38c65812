"""Say what a training step has done: a backward pass, a change by an optimizer, what is reduced."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

Graph = set[Any]


@dataclass
class Pass:
    """Hold one backward pass of a step that was not started inside another.

    Attributes:
        is_backward: whether it was started by ``.backward()``, and not by ``autograd.grad``.
        adds: whether it adds into ``.grad`` of whatever it reaches, and leaves no graph of itself.
        nodes: the graph that it walked, without its leaves.
        mergeable: whether it walked again what an earlier pass of this step had walked, nothing
            having been stepped, cleared or changed in between: one pass from both would do.
        gradients_after: ``.grad`` of each parameter as it left it.
    """

    is_backward: bool
    adds: bool
    nodes: Graph
    mergeable: bool = False
    gradients_after: dict[str, Tensor | None] = field(default_factory=dict)


@dataclass
class Move:
    """Hold one change of one parameter by one step of an optimizer.

    Attributes:
        step: number of the training step, from 0.
        name: of the parameter.
        by: class of the optimizer.
        optimizer: its identity.
        size: largest change of an element.
        gradient: ``.grad`` as the optimizer found it: ``none``, ``zero`` or ``value``.
        fresh: whether that gradient had grown since the last change.
        accumulated: whether any backward pass of the recorded steps had reached the parameter.
        required: whether the parameter required a gradient.
        decay, rate: weight decay and learning rate of its group.
        inside: whether the optimizer stepped inside a backward pass.
    """

    step: int
    name: str
    by: str
    optimizer: int
    size: float
    gradient: str
    fresh: bool
    accumulated: bool
    required: bool
    decay: float
    rate: float
    inside: bool


def change(before: Tensor, after: Tensor) -> float:
    """Return the largest absolute difference of an element; 0 where every bit is the same.

    NaN in both is no change; NaN in one of them, or another shape, is infinite.
    """
    if before.shape != after.shape or before.dtype != after.dtype:
        return float("inf")
    one, two = dense(before.detach()), dense(after.detach())
    differs = (one != two) & ~(one.isnan() & two.isnan())
    if not bool(differs.any()):
        return 0.0
    largest = float((one - two).abs()[differs].double().max())
    return largest if largest == largest else float("inf")


def dense(tensor: Tensor) -> Tensor:
    """Return a tensor with every element in its place, also one of a sparse layout."""
    return tensor if tensor.layout == torch.strided else tensor.to_dense()


def graph(roots: list[Tensor]) -> Graph:
    """Return the operations that a backward pass from these tensors walks, without its leaves."""
    waiting = [root.grad_fn for root in roots if isinstance(root, Tensor) and root.grad_fn]
    nodes: Graph = set()
    while waiting:
        node = waiting.pop()
        if node in nodes or not node.next_functions:  # a leaf is followed by nothing
            continue
        nodes.add(node)
        waiting += [following for following, _ in node.next_functions if following is not None]
    return nodes


def roots_of_call(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> tuple[list[Tensor], bool]:
    """Return what a call starts a backward pass from, and whether ``backward`` adds into ``.grad``.

    It does so of whatever it reaches, unless it is given ``inputs`` or leaves a graph of itself.

    Args:
        function: `torch.autograd.backward` or `torch.autograd.grad`.
        args, kwargs: of the call, by position or by name.
    """
    given = inspect.signature(function).bind(*args, **kwargs).arguments
    adds = not given.get("create_graph") and given.get("inputs") is None
    return as_roots(next(iter(given.values()))), adds


def as_roots(tensors: Any) -> list[Tensor]:
    """Return what a backward pass was started from as a list."""
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def state(gradient: Tensor | None) -> str:
    """Return ``none``, ``zero`` (every element exactly) or ``value``."""
    if gradient is None:
        return "none"
    return "value" if bool(dense(gradient).any()) else "zero"


def casts() -> bool:
    """Return whether autocast is on here, and keeps the weights that it has cast."""
    on = any(torch.is_autocast_enabled(device) for device in ("cpu", "cuda"))
    return on and torch.is_autocast_cache_enabled()


def groups_of(optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """Return an optimizer's groups; none of one whose constructor has failed, or has not ended."""
    try:
        return list(optimizer.param_groups)
    except AttributeError:
        return []


def number(group: Mapping[str, Any], key: str) -> float:
    """Return a setting of an optimizer's group; 0 where it has none, or sets it by itself.

    The learning rate of an optimizer that finds its own, such as Adafactor, is None.
    """
    try:
        return float(group.get(key) or 0.0)
    except (TypeError, ValueError, RuntimeError):  # such as a function
        return 0.0


def norm(tensors: list[Tensor]) -> float:
    """Return the norm of these tensors taken together."""
    return float(torch.stack([dense(t).double().norm() for t in tensors]).norm())


def replace(undo: ExitStack, holder: Any, name: str, wrap: Callable[[Any], Any]) -> None:
    """Replace a function by what is made of it, until the stack is unwound."""
    original = getattr(holder, name)
    setattr(holder, name, wrap(original))
    undo.callback(setattr, holder, name, original)


def notifying(notify: Callable[..., None]) -> Callable[[Any], Any]:
    """Return what makes a method tell its arguments before it runs."""

    def wrap(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            notify(*args, **kwargs)
            return original(*args, **kwargs)

        return run

    return wrap


class Piling:
    """Note which gradients pile up, as nothing clears them between a step and the next pass.

    A gradient counts as cleared where it is None or 0, or where it is not what the optimizer's
    step has left, when the next pass begins; and where it is None, 0 or another tensor when that
    pass has ended and an optimizer steps.

    Args:
        parameters: by name.

    Attributes:
        steps: parameter → steps along a gradient that was added to one of an earlier step.
        cleared: parameters whose gradient was cleared between a step and the next, once at least.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.parameters = parameters
        self.steps: dict[str, int] = {}
        self.cleared: set[str] = set()
        self._left: dict[str, Tensor | None] = {}  # gradients as a step has left them, copied
        self._untouched: set[str] = set()  # those of them that a pass finds so
        self._piled: dict[str, Tensor | None] = {}  # gradients that were added to, themselves

    def begin_pass(self) -> None:
        """Look at the gradients before a backward pass adds to them."""
        self._forget_cleared(list(self._piled))
        gradients = {n: self.parameters[n].grad for n in self._left}
        self._untouched = {
            n
            for n, left in self._left.items()
            if (now := gradients[n]) is not None and left is not None and not change(left, now)
        }

    def note_gradient(self, name: str) -> None:
        """Note that a pass has added to a gradient."""
        if name not in self._left:
            return
        del self._left[name]
        if name in self._untouched:
            self._piled[name] = None
        else:
            self.cleared.add(name)

    def end_pass(self) -> None:
        """Keep the tensors that the gradients are in after a pass."""
        self._piled = {n: self.parameters[n].grad for n in self._piled}

    def before_step(self, names: Iterable[str]) -> None:
        """Count the gradients of earlier steps that an optimizer is about to step along."""
        held = [n for n in names if n in self._piled]
        self._forget_cleared(held)
        for name in held:
            if name in self._piled:
                self.steps[name] = self.steps.get(name, 0) + 1

    def after_step(self, names: Iterable[str]) -> None:
        """Keep the gradients that an optimizer's step has left."""
        for name in names:
            gradient = self.parameters[name].grad
            self._piled.pop(name, None)
            is_left = gradient is not None and state(gradient) == "value"
            self._left[name] = (
                gradient.detach().clone() if gradient is not None and is_left else None
            )

    def _forget_cleared(self, names: Iterable[str]) -> None:
        """Note which of these gradients have been cleared since a pass added to them."""
        for name in names:
            gradient = self.parameters[name].grad
            if gradient is not self._piled[name] or state(gradient) != "value":
                del self._piled[name]
                self.cleared.add(name)


class Reducing:
    """Note what is reduced while the context lasts.

    A module's communication hook tells which parameters are in each bucket. Where the user has
    registered one, or reduces by hand, nothing is known.

    Args:
        networks: those whose steps run in the context.
        parameters: theirs, by name.
    """

    def __init__(
        self, networks: Iterable[nn.Module], parameters: Mapping[str, nn.Parameter]
    ) -> None:
        self.names = {id(p): n for n, p in parameters.items()}
        self.reduced_names: set[str] = set()
        self.is_hooked = False
        self._by_hand, self._in_hook = False, False
        self._original: Any = None
        self._wrapped = _wrapped(networks)

    def __enter__(self) -> Reducing:
        if not self._wrapped:
            return self
        try:
            for module in self._wrapped:
                module.register_comm_hook(None, self._hook())
            self.is_hooked = True
        except RuntimeError:  # the user has registered one
            self.is_hooked = False
        self._original = torch.distributed.all_reduce
        torch.distributed.all_reduce = self._all_reduce
        return self

    def __exit__(self, *error: object) -> None:
        if self._original is not None:
            torch.distributed.all_reduce = self._original

    def reduced(self) -> list[str] | None:
        """Return the parameters that were reduced; None where that is not known."""
        return sorted(self.reduced_names) if self.is_hooked and not self._by_hand else None

    def _all_reduce(self, *args: Any, **kwargs: Any) -> Any:
        """Note that the user reduces by hand."""
        self._by_hand |= not self._in_hook
        return self._original(*args, **kwargs)

    def _hook(self) -> Callable[[Any, Any], Any]:
        """Return a communication hook that averages as DDP does, and notes the parameters."""
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

        def hook(state: Any, bucket: Any) -> Any:
            self.reduced_names.update(
                self.names[id(p)] for p in bucket.parameters() if id(p) in self.names
            )
            self._in_hook = True
            try:
                return allreduce_hook(state, bucket)
            finally:
                self._in_hook = False

        hook.__annotations__ = {  # DDP asks for the classes themselves
            "bucket": torch.distributed.GradBucket,  # type: ignore[attr-defined]
            "return": torch.futures.Future[torch.Tensor],
        }
        return hook


def _wrapped(networks: Iterable[nn.Module]) -> list[Any]:
    """Return the modules that are wrapped in DDP."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return []
    kind = nn.parallel.DistributedDataParallel
    modules = [m for network in networks for m in network.modules()]
    return [m for m in modules if isinstance(m, kind)]
