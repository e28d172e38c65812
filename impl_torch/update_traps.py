"""Demonstrate the traps of what looks like freezing, or like one update, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_update_traps.py`` judges them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LR, DECAY = 0.1, 0.1


def decay_that_looks_like_freezing() -> dict[str, Any]:
    """Give net1 a group without decay, and decay all weights by hand after the step.

    A group with ``weight_decay=0`` is decayed no more, and moves by the whole rate. Decay by hand
    knows nothing of what is frozen. The table shows one step.
    """
    moved = {}
    for way in ("group_without_decay", "decay_by_hand", "decay_of_the_trained"):
        net1, net2 = _networks()
        starts = net1.detach().clone(), net2.detach().clone()
        if way == "group_without_decay":
            apart: dict[str, Any] = {"params": [net1], "weight_decay": 0.0}
            groups = [apart, {"params": [net2]}]
            optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, LR, weight_decay=DECAY)
        else:
            net1.requires_grad_(False)
            optimizer = torch.optim.Adam([net2], LR)
        _loss(net1, net2).backward()
        optimizer.step()
        decayed = {"decay_by_hand": [net1, net2], "decay_of_the_trained": [net2]}
        with torch.no_grad():
            for parameter in decayed.get(way, ()):
                parameter.mul_(1.0 - LR * DECAY)
        moved[way] = {
            "net1_moved": _distance(net1, starts[0]),
            "net2_moved": _distance(net2, starts[1]),
        }
    return moved


def gradient_stopped_in_a_constructor() -> dict[str, Any]:
    """Detach a weight where the module is built, and where it is used.

    `nn.Parameter` makes a leaf that requires a gradient of whatever it is given, also of what was
    detached. The table shows the weight's gradient.
    """
    gradients = {}
    for way in ("in_the_constructor", "where_it_is_used", "as_a_buffer"):
        model = _Stopped(way)
        model(torch.ones(3)).square().sum().backward()
        gradient = model.frozen.grad
        gradients[way] = {"gradient": None if gradient is None else gradient.abs().max().item()}
    return gradients


def clipping_inside_a_partition() -> dict[str, Any]:
    """Clip by a norm of 1 network by network, and over both.

    Network by network, two of them together have a norm of up to √2, and another direction. The
    table shows the norm of what is clipped, and its cosine with the gradient.
    """
    results = {}
    for way in ("inside", "in_front"):
        nets = [nn.Parameter(torch.zeros(2)) for _ in range(2)]
        for net, gradient in zip(nets, ([6.0, 0.0], [0.0, 1.2]), strict=True):
            net.grad = torch.tensor(gradient)
        flat = torch.cat([_grad(net) for net in nets])
        for part in ([net] for net in nets) if way == "inside" else (nets,):
            nn.utils.clip_grad_norm_(part, 1.0)
        update = torch.cat([_grad(net) for net in nets])
        cosine = nn.functional.cosine_similarity(update, flat, dim=0)
        results[way] = {"norm": update.norm().item(), "cosine": cosine.item()}
    return results


def losses_accumulated_over_calls() -> dict[str, Any]:
    """Add up the gradients of two losses in `.grad`, and divide each by their number.

    `.grad` adds up. The division belongs to parts of one batch, and halves the sum of two losses.
    The table shows the update, relative to that of the summed loss.
    """
    moved = {}
    for way in ("summed", "added_up_in_grad", "each_divided_by_two"):
        net1, net2 = _networks()
        start = net1.detach().clone()
        optimizer = torch.optim.SGD([net1, net2], LR)
        losses = _loss(net1, net2), net1.square().sum()
        if way == "summed":
            sum(losses, torch.zeros(())).backward()
        else:
            for loss in losses:
                (loss / 2.0 if way == "each_divided_by_two" else loss).backward()
        optimizer.step()
        moved[way] = (net1 - start).detach()
    right = moved["summed"].norm()
    return {way: {"update_over_summed": (m.norm() / right).item()} for way, m in moved.items()}


def head_replaced_under_an_optimizer() -> dict[str, Any]:
    """Put a new head into a model whose optimizer has stepped the old one.

    torch's optimizer holds the old tensor: a new parameter is never stepped, and one whose values
    are replaced in place goes on with the old moments. The table shows how far the first step is
    from that of a fresh optimizer, relative to it.
    """
    gradient = torch.tensor([-1.0, 1.0, 1.0])

    def first_step(way: str) -> Tensor:
        head = nn.Parameter(torch.ones(3))
        optimizer = torch.optim.Adam([head], LR)
        for _ in range(5):
            head.grad = torch.tensor([1.0, -2.0, 3.0])
            optimizer.step()
        if way == "old_optimizer_new_values":
            with torch.no_grad():
                head.copy_(torch.ones(3))
        else:
            head = nn.Parameter(torch.ones(3))
        if way == "new_optimizer":
            optimizer = torch.optim.Adam([head], LR)
        if way == "group_added":
            optimizer.add_param_group({"params": [head]})
        head.grad = gradient.clone()
        optimizer.step()
        return head.detach() - torch.ones(3)

    right = first_step("new_optimizer")
    ways = ("old_optimizer", "old_optimizer_new_values", "group_added", "new_optimizer")
    return {
        way: {"step_off": ((first_step(way) - right).norm() / right.norm()).item()} for way in ways
    }


class _Stopped(nn.Module):
    """Two weights that are multiplied; the first is meant to be frozen."""

    frozen: Tensor

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way, weight = way, nn.Parameter(torch.tensor([0.5, -1.0, 2.0]))
        if way == "as_a_buffer":
            self.register_buffer("frozen", weight.detach())
        else:
            stopped = weight.detach() if way == "in_the_constructor" else weight
            self.frozen = nn.Parameter(stopped)
        self.trained = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        weight = self.frozen.detach() if self.way == "where_it_is_used" else self.frozen
        return x * weight * self.trained


def _networks() -> tuple[nn.Parameter, nn.Parameter]:
    """Return two networks of one layer each: three weights that multiply its input elementwise."""
    starts = ([0.5, -1.0, 2.0], [1.0, 0.5, -0.5])
    net1, net2 = (nn.Parameter(torch.tensor(start)) for start in starts)
    return net1, net2


def _loss(net1: Tensor, net2: Tensor) -> Tensor:
    """Return the sum of (net1 · net2 − 1)², elementwise over three weights of each network."""
    return ((net1 * net2 - 1.0) ** 2).sum()


def _grad(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor's ``.grad``, which must not be None."""
    assert tensor.grad is not None
    return tensor.grad.clone()


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference of any element."""
    return (one - other).abs().max().item()
