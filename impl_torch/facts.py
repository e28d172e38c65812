"""What PyTorch does at the traps of several backward passes: shown, not asserted.

Each function runs one trap and the right way beside it and returns what it saw as plain data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def second_backward_without_retain_graph() -> dict[str, Any]:
    """Two losses share net1; the first backward frees what the second needs."""
    net1, net2, x = _networks()
    first, second = _two_losses(net1, net2, x)
    first.backward()
    raised = _raised(second.backward)

    first, second = _two_losses(net1, net2, x)
    first.backward(retain_graph=True)
    return {"without": raised, "with": _raised(second.backward)}


def second_backward_through_additions_only() -> dict[str, Any]:
    """Additions save nothing, so there is nothing freed to miss: the gradient adds up silently."""
    leaf = torch.zeros(3, requires_grad=True)
    total = (leaf + 1.0).sum()
    total.backward()
    once = _grad(leaf).tolist()
    raised = _raised(total.backward)
    return {"raised": raised, "once": once, "twice": _grad(leaf).tolist()}


def sum_multi_root_and_separate() -> dict[str, Any]:
    """The sum and several roots walk the graph once; separate passes add in another order."""
    ways: dict[str, Callable[[Tensor, Tensor], None]] = {
        "summed": lambda a, b: (a + b).backward(),
        "multi_root": lambda a, b: torch.autograd.backward([a, b]),
        "separate": lambda a, b: (a.backward(retain_graph=True), b.backward())[0],
    }
    grads = {}
    for name, way in ways.items():
        net1, net2, x = _networks()
        way(*_two_losses(net1, net2, x))
        grads[name] = [_grad(p) for p in (*net1.parameters(), *net2.parameters())]
    pairs = list(zip(grads["summed"], grads["separate"], strict=True))
    return {
        "multi_root_equal": all(map(torch.equal, grads["summed"], grads["multi_root"])),
        "separate_difference": max((a - b).abs().max().item() for a, b in pairs),
        "largest_gradient": max(a.abs().max().item() for a in grads["summed"]),
    }


def _networks() -> tuple[nn.Module, nn.Module, Tensor]:
    torch.manual_seed(0)
    net1 = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU())
    net2 = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8))
    return net1, net2, torch.randn(4, 8)


def _two_losses(net1: nn.Module, net2: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    between = net1(x)
    ones = torch.ones_like(between)
    return F.mse_loss(between, ones), F.mse_loss(net2(between), ones)


def _grad(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad.clone()


def _raised(call: Callable[[], Any]) -> dict[str, str] | None:
    """Type and message of what the call raises; None if nothing."""
    try:
        call()
    except Exception as error:
        return {"type": type(error).__name__, "message": str(error)}
    return None
