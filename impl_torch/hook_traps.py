"""Demonstrate what hooks on gradients do to a backward pass for each loss, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_hook_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import graph
from torch.nn.modules import module as modules

from impl_torch.loss_traps import _networks, _off, _two_losses

Change = Callable[[Tensor], Tensor]
Hook = Callable[[nn.Sequential, Change], Any]  # put on net1; returns a handle, or nothing
CHANGES: dict[str, Change] = {
    "clip_norm": lambda g: g * (1e-3 / g.norm()).clamp(max=1.0),
    "clamp": lambda g: g.clamp(-1e-5, 1e-5),
    "sign": torch.sign,
    "drop_small": lambda g: torch.where(g.abs() > 3e-3, g, 0.0),
    "halve": lambda g: 0.5 * g,
}


def hooks_that_change_gradients() -> dict[str, Any]:
    """Change gradients in a hook, in one backward pass of the sum and in a pass for each loss.

    A hook sees what one pass brings. Only where it is linear is the sum of what it makes of two
    gradients what it makes of their sum; a hook after accumulation sees the running total, so there
    not even halving is safe. The table shows how far net1's gradient of two passes is from that of
    one, relative to it; changed once, after the last pass, they agree.
    """
    errors: dict[str, dict[str, float]] = {}
    for place, hook in {**HOOKS, **FURTHER}.items():
        errors[place] = {}
        for name, change in CHANGES.items():
            summed, separate = (_hooked(hook, change, one_pass) for one_pass in (True, False))
            errors[place][name] = _off(separate, summed)
    errors["after_the_last_pass"] = {}
    for name, change in CHANGES.items():
        summed, separate = (
            change(_hooked(lambda net1, change: None, change, one_pass))
            for one_pass in (True, False)
        )
        errors["after_the_last_pass"][name] = _off(separate, summed)
    return errors


def hooks_of_this_release() -> dict[str, Any]:
    """Return the names of all hooks on gradients of this release of torch, shown, and declared.

    They are the methods of tensors, of nodes of the graph and of modules, and the functions for all
    modules, that register a hook on a backward pass; and what ``torch.autograd.graph`` calls a
    hook on gradients or nodes.
    """
    owners = {"Tensor": Tensor, "Node": graph.Node, "Module": nn.Module}
    methods = [
        f"{owner}.{name}"
        for owner, kind in owners.items()
        for name in vars(kind)
        if name.startswith("register_") and name.endswith("hook")
        if owner != "Module" or "backward" in name
    ]
    functions = [
        name
        for names in (vars(modules), vars(graph))
        for name in names
        if name.endswith("_hook")
        if (name.startswith("register_module_") and "backward" in name) or "grad" in name
        or name.startswith("node_")
    ]  # fmt: skip
    return {
        "found": sorted([*methods, *functions]),
        "shown": sorted(HOOKS),
        "declared": DECLARED,
        "only_in": ONLY_IN,
    }


def _on_parameters(net1: nn.Sequential, change: Change) -> None:
    """Put a hook on each of net1's parameters."""
    for parameter in net1.parameters():
        parameter.register_hook(change)


def _on_accumulated(net1: nn.Sequential, change: Change) -> None:
    """Put a hook on net1's gradients after they were added up."""

    def replace(parameter: Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad = change(parameter.grad)

    for parameter in net1.parameters():
        parameter.register_post_accumulate_grad_hook(replace)


def _on_output(put: Callable[[Tensor, Change], Any]) -> Hook:
    """Return a hook that is put on net1's output as soon as there is one."""

    def hook(net1: nn.Sequential, change: Change) -> Any:
        return net1.register_forward_hook(lambda module, inputs, output: put(output, change))

    return hook


def _on_tensor(output: Tensor, change: Change) -> None:
    """Put a hook on a tensor."""
    output.register_hook(change)


def _on_node(output: Tensor, change: Change) -> None:
    """Put a hook behind the node that computed a tensor."""
    assert output.grad_fn is not None
    output.grad_fn.register_hook(lambda inputs, outputs: tuple(map(change, inputs)))


def _before_node(output: Tensor, change: Change) -> None:
    """Put a hook in front of the node that computed a tensor, as a backward pass comes to it."""
    assert output.grad_fn is not None
    output.grad_fn.register_prehook(lambda outputs: tuple(map(change, outputs)))


class _Changed(torch.autograd.Function):
    """Return the input, and change its gradient."""

    @staticmethod
    def forward(ctx: Any, value: Tensor, change: Change) -> Tensor:
        ctx.change = change
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return ctx.change(gradient), None


def _by_function(output: Tensor, change: Change) -> Tensor:
    """Return a tensor whose gradient is changed by an ``autograd.Function``."""
    changed: Tensor = _Changed.apply(output, change)
    return changed


def _of_last(change: Change, net1: nn.Sequential) -> Callable[..., Any]:
    """Return a hook that changes the first gradient that it gets where it is net1's last module."""

    def changed(module: nn.Module, gradients: Any, *others: Any) -> Any:
        return (change(gradients[0]),) if module is net1[-1] else None

    return changed


HOOKS: dict[str, Hook] = {
    "Tensor.register_hook": _on_parameters,
    "Tensor.register_post_accumulate_grad_hook": _on_accumulated,
    "Node.register_hook": _on_output(_on_node),
    "Node.register_prehook": _on_output(_before_node),
    "Module.register_full_backward_hook": lambda net1, change: net1[-1].register_full_backward_hook(
        _of_last(change, net1)
    ),
    "Module.register_full_backward_pre_hook": lambda net1, change: net1[
        -1
    ].register_full_backward_pre_hook(_of_last(change, net1)),
    "Module.register_backward_hook": lambda net1, change: net1[-1].register_backward_hook(
        _of_last(change, net1)
    ),
    "register_module_full_backward_hook": lambda net1, change: (
        modules.register_module_full_backward_hook(_of_last(change, net1))
    ),
    "register_module_full_backward_pre_hook": lambda net1, change: (
        modules.register_module_full_backward_pre_hook(_of_last(change, net1))
    ),
}
FURTHER: dict[str, Hook] = {
    "Tensor.register_hook, net1's output": _on_output(_on_tensor),
    "autograd.Function, net1's output": _on_output(_by_function),
}
DECLARED = {  # name → why nothing is shown for it
    "register_module_backward_hook": "a process has this one or register_module_full_backward_hook",
    "register_multi_grad_hook": "sees gradients, and cannot change them",
    "node_creation_hook": "hands over each new node, on which Node.register_hook is called",
}
ONLY_IN = {"node_creation_hook": "torch>=2.14"}  # name → the releases that have it


@contextmanager
def _removed(handle: Any) -> Iterator[None]:
    """Remove a hook at the end: one for all modules would stay for the rest of the process."""
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()


def _hooked(hook: Hook, change: Change, one_pass: bool) -> Tensor:
    """Return all of net1's gradient, as one vector, with a hook that changes gradients."""
    net1, net2, x = _networks()
    x.requires_grad_()  # where no input does, a hook for all modules warns
    with _removed(hook(net1, change)):
        first, second = _two_losses(net1, net2, x)
        if one_pass:
            (first + second).backward()
        else:
            first.backward(retain_graph=True)
            second.backward()
    return torch.cat([p.grad.flatten() for p in net1.parameters() if p.grad is not None])
