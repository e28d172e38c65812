"""Demonstrate the traps of several backward passes in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_backward_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

KINDS = (torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW)


def second_backward_through_freed_residuals() -> dict[str, Any]:
    """Run a second backward pass through tensors that the first one freed or retained."""
    net1, net2, x = _networks()
    first, second = _two_losses(net1, net2, x)
    first.backward()
    raised = _raised(second.backward)

    first, second = _two_losses(net1, net2, x)
    first.backward(retain_graph=True)
    return {"without": raised, "with": _raised(second.backward)}


def second_backward_through_additions_only() -> dict[str, Any]:
    """Run two backward passes through a graph of additions, which save no tensors.

    Nothing is freed, so the second pass raises no error, and the gradient adds up.
    """
    leaf = torch.zeros(3, requires_grad=True)
    total = (leaf + 1.0).sum()
    total.backward()
    once = _grad(leaf).tolist()
    raised = _raised(total.backward)
    return {"raised": raised, "once": once, "twice": _grad(leaf).tolist()}


def sum_multi_root_and_separate() -> dict[str, Any]:
    """Compare the gradients of the summed loss, of several roots and of separate backward passes.

    The first two walk the graph once; separate passes add up the gradients in another order.
    """
    ways: dict[str, Callable[[Tensor, Tensor], None]] = {
        "summed": lambda a, b: (a + b).backward(),
        "multi_root": lambda a, b: torch.autograd.backward([a, b]),
        "separate": lambda a, b: (a.backward(retain_graph=True), b.backward())[0],
    }
    grads = {}
    for name, way in ways.items():
        net1, net2, x = _networks()
        way(*_two_losses(net1, net2, x))
        grads[name] = _grads(net1) + _grads(net2)
    pairs = list(zip(grads["summed"], grads["separate"], strict=True))
    return {
        "multi_root_equal": all(map(torch.equal, grads["summed"], grads["multi_root"])),
        "separate_difference": max((a - b).abs().max().item() for a, b in pairs),
        "largest_gradient": max(a.abs().max().item() for a in grads["summed"]),
    }


def step_between_backward_passes() -> dict[str, Any]:
    """Step net1's optimizer between two backward passes.

    The second pass needs the weights of the forward pass, and the step has overwritten them.
    """
    results: dict[str, Any] = {"step_between": {}, "no_step_between": {}}
    for when, kind, foreach in product(results, KINDS, (None, True)):
        net1, net2, x = _networks()
        first, second = _two_losses(net1, net2, x)
        optimizer = kind(net1.parameters(), lr=0.1, foreach=foreach)
        first.backward(retain_graph=True)
        if when == "step_between":
            optimizer.step()
        name = f"{kind.__name__} {'foreach' if foreach else 'default'}"
        results[when][name] = _raised(second.backward)
    return results


def fused_step_between_backward_passes() -> dict[str, Any]:
    """A fused step changes the weights but not their version counter, which autograd checks.

    So the second backward pass mixes new weights with old activations: it returns the gradient at
    neither. The relative error is that of loss2's gradient in net1.
    """
    results: dict[str, Any] = {"step_between": {}, "no_step_between": {}}
    for when, kind in product(results, KINDS):
        net1, net2, x = _networks()
        first, second = _two_losses(net1, net2, x)
        true = _true_grads(second, net1)
        optimizer = kind(net1.parameters(), lr=0.1, fused=True)
        first.backward(retain_graph=True)
        versions = [parameter._version for parameter in net1.parameters()]
        if when == "step_between":
            optimizer.step()
        same = versions == [parameter._version for parameter in net1.parameters()]
        results[when][kind.__name__] = {"same_version": same, **_outcome(second, net1, true)}
    return results


def update_through_data_between_backward_passes() -> dict[str, Any]:
    """``.data`` has a version counter of its own: autograd does not notice an update through it.

    ``.detach()`` shares the parameter's counter, so the same update raises. The relative error is
    that of loss2's gradient in net1.
    """
    results = {}
    for way in ("data", "detach", "no_update"):
        net1, net2, x = _networks()
        first, second = _two_losses(net1, net2, x)
        true = _true_grads(second, net1)
        first.backward(retain_graph=True)
        for parameter in net1.parameters():
            if way == "data":
                parameter.data.sub_(_grad(parameter))
            elif way == "detach":
                parameter.detach().sub_(_grad(parameter))
        results[way] = _outcome(second, net1, true)
    return results


def step_of_one_linear_between_backward_passes() -> dict[str, Any]:
    """Step a net1 of one Linear layer between two backward passes.

    A Linear whose input needs no gradient saves that input and not its weight, so the weight may
    change.
    """
    _, net2, x = _networks()
    net1 = nn.Linear(8, 8)
    first, second = _two_losses(net1, net2, x)
    true = _true_grads(second, net1)
    first.backward(retain_graph=True)
    torch.optim.SGD(net1.parameters(), lr=0.1).step()
    return _outcome(second, net1, true)


def last_network_steps_between_backward_passes() -> dict[str, Any]:
    """Run loss2's backward pass first, then step net2 or net1, then run loss1's.

    The last pass needs net1 alone, so net2 may step before it.
    """
    results = {}
    for stepped in ("net2", "net1"):
        net1, net2, x = _networks()
        first, second = _two_losses(net1, net2, x)
        true = _true_grads(first, net1)
        second.backward(retain_graph=True)
        network = net2 if stepped == "net2" else net1
        torch.optim.SGD(network.parameters(), lr=0.1).step()
        results[stepped] = _outcome(first, net1, true)
    return results


def in_place_relu_opening_net2() -> dict[str, Any]:
    """An in-place ReLU overwrites net1's output, from which loss1 is computed.

    The order of two lines decides. Computed before net2 runs, loss1 raises in its backward pass;
    computed after, it has another value and raises nothing.
    """
    results = {}
    for inplace in (True, False):
        torch.manual_seed(0)
        net1, net2 = nn.Linear(8, 8), nn.Sequential(nn.ReLU(inplace), nn.Linear(8, 8))
        between, target = net1(torch.randn(4, 8)), torch.ones(4, 8)
        before = F.mse_loss(between, target)
        net2(between)
        after = F.mse_loss(between, target)
        raised = _raised(partial(before.backward, retain_graph=True))
        results["in_place" if inplace else "out_of_place"] = {
            "loss1_before_net2": before.item(),
            "backward_before_raised": raised,
            "loss1_after_net2": after.item(),
            "backward_after_raised": _raised(after.backward),
        }
    return results


def checkpointed_network_in_two_backward_passes() -> dict[str, Any]:
    """Count how often a checkpointed net1 runs forward in one and in two backward passes.

    It saves no activations, so each backward pass runs it forward again.
    """
    results: dict[str, Any] = {"checkpointed": {}, "kept": {}}
    for memory, way in product(results, ("separate", "summed")):
        net1, net2, x = _networks()
        runs: list[None] = []
        net1.register_forward_pre_hook(partial(_note, runs))
        run = partial(checkpoint, net1, use_reentrant=False) if memory == "checkpointed" else net1
        first, second = _two_losses(run, net2, x)
        if way == "separate":
            first.backward(retain_graph=True)
            second.backward()
        else:
            (first + second).backward()
        results[memory][way] = len(runs)
    return results


def _note(runs: list[None], *_: Any) -> None:
    """Add an element to ``runs``; as a forward hook, once for each run of a module."""
    runs.append(None)


def _networks() -> tuple[nn.Module, nn.Module, Tensor]:
    """Return net1, net2 and a batch of inputs, the same ones at every call."""
    torch.manual_seed(0)
    net1 = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    net2 = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    return net1, net2, torch.randn(4, 8)


def _two_losses(
    net1: Callable[[Tensor], Tensor], net2: Callable[[Tensor], Tensor], x: Tensor
) -> tuple[Tensor, Tensor]:
    """Run net1 and net2 in series; return the mean squared error of each output against ones."""
    between = net1(x)
    ones = torch.ones_like(between)
    return F.mse_loss(between, ones), F.mse_loss(net2(between), ones)


def _grad(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor's ``.grad``, which must not be None."""
    assert tensor.grad is not None
    return tensor.grad.clone()


def _grads(network: nn.Module) -> list[Tensor]:
    """Return copies of the ``.grad`` of all parameters of a network."""
    return [_grad(parameter) for parameter in network.parameters()]


def _true_grads(loss: Tensor, network: nn.Module) -> tuple[Tensor, ...]:
    """Return the gradients of a loss by the network's parameters, computed undisturbed.

    The graph is retained, and no ``.grad`` is changed.
    """
    return torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)


def _outcome(loss: Tensor, network: nn.Module, true: Sequence[Tensor]) -> dict[str, Any]:
    """Run a loss's backward pass; return its error, or the relative error of the gradients.

    Args:
        loss: the loss whose backward pass is run.
        network: the network whose gradients are looked at.
        true: the right gradients of its parameters.

    Returned are ``raised``, as of `_raised`, and ``relative_error``, None if an error was raised.
    """
    network.zero_grad()
    raised = _raised(loss.backward)
    error = None if raised else _relative_error(_grads(network), true)
    return {"raised": raised, "relative_error": error}


def _relative_error(gradients: Sequence[Tensor], true: Sequence[Tensor]) -> float:
    """Return the norm of the difference over the norm of the true gradients, all taken together."""
    one, other = (torch.cat([t.flatten() for t in tensors]) for tensors in (gradients, true))
    return ((one - other).norm() / other.norm()).item()


def _raised(call: Callable[[], Any]) -> dict[str, str] | None:
    """Call a function; return type and message of the error that it raises, or None."""
    try:
        call()
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error)}
    return None
