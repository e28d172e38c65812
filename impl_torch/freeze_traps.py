"""Demonstrate the traps of freezing a part of the networks in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_freeze_traps.py`` judges them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn

from impl_torch.backward_traps import _raised

LR, DECAY, STEPS = 0.1, 0.1, 5
Build = Callable[[list[nn.Parameter]], torch.optim.Optimizer]
OPTIMIZERS: dict[str, Build] = {
    "sgd": partial(torch.optim.SGD, lr=LR),
    "momentum": partial(torch.optim.SGD, lr=LR, momentum=0.9),
    "sgd_l2": partial(torch.optim.SGD, lr=LR, weight_decay=DECAY),
    "adam": partial(torch.optim.Adam, lr=LR),
    "adam_l2": partial(torch.optim.Adam, lr=LR, weight_decay=DECAY),
    "adamw": partial(torch.optim.AdamW, lr=LR, weight_decay=DECAY),
}


def zero_gradients_of_frozen_parameters() -> dict[str, dict[str, float]]:
    """An optimizer steps every parameter that has a gradient, even of 0, and skips only None.

    With a gradient of 0, momentum and Adam's moments still move a parameter, and so does weight
    decay. net1 is frozen after one step of training; the table shows how far its weights move in
    the next five.
    """
    moved: dict[str, dict[str, float]] = {"zero": {}, "none": {}}
    for gradient, name in product(moved, OPTIMIZERS):
        net1, net2 = _networks()
        optimizer = OPTIMIZERS[name]([net1, net2])
        _loss(net1, net2).backward()
        optimizer.step()
        net1.requires_grad_(False)
        start = net1.clone()
        for _ in range(STEPS):
            optimizer.zero_grad(set_to_none=gradient == "none")
            _loss(net1, net2).backward()
            optimizer.step()
        moved[gradient][name] = _distance(net1, start)
    return moved


def stale_gradient_after_freezing() -> dict[str, Any]:
    """``requires_grad_(False)`` leaves ``.grad`` in place, and the optimizer goes on applying it.

    Here the loop clears the gradients of net2, which is trained, and never those of net1. The table
    shows five steps.
    """
    moved = {}
    for way in ("left", "cleared"):
        net1, net2 = _networks()
        optimizer = torch.optim.SGD([net1, net2], lr=LR)
        _loss(net1, net2).backward()
        net1.requires_grad_(False)
        if way == "cleared":
            net1.grad = None
        start = net1.clone()
        for _ in range(STEPS):
            net2.grad = None
            _loss(net1, net2).backward()
            optimizer.step()
        moved[way] = {"net1_moved": _distance(net1, start)}
    return moved


def frozen_batch_norm_moves_its_statistics() -> dict[str, Any]:
    """Run a frozen BatchNorm forward and see whether its running statistics change.

    They are buffers: neither ``requires_grad`` nor ``no_grad`` freezes them. ``.eval()`` does,
    until ``.train()`` is called on the whole model again.
    """
    moved = {}
    for way in ("frozen", "no_grad", "eval", "eval_then_train"):
        torch.manual_seed(0)
        net1, net2 = nn.BatchNorm1d(3), nn.BatchNorm1d(3)
        both = nn.Sequential(net1, nn.Linear(3, 3), net2)
        net1.requires_grad_(False)
        if way.startswith("eval"):
            net1.eval()
        if way == "eval_then_train":
            both.train()
        with torch.set_grad_enabled(way != "no_grad"):
            both(torch.randn(4, 3) + 1.0)
        moved[way] = {"net1": _statistics_moved(net1), "net2": _statistics_moved(net2)}
    return moved


def generator_step_fills_discriminator_gradients() -> dict[str, Any]:
    """Compare D's gradient in its turn with the gradient of its own loss alone.

    G's loss passes through D and leaves gradients in it, to which D's next turn adds, unless they
    are cleared or D is frozen in G's turn.
    """
    results = {}
    for way in ("nothing", "zero_grad_before_turn", "freeze_in_turn_of_g"):
        g, d, noise, real = _players()
        true = torch.autograd.grad(_loss_d(g, d, noise, real), d.weight)[0]
        d.requires_grad_(way != "freeze_in_turn_of_g")
        (-d(g(noise))).mean().backward()
        d.requires_grad_(True)
        left = None if d.weight.grad is None else d.weight.grad.norm().item()
        if way == "zero_grad_before_turn":
            d.zero_grad()
        _loss_d(g, d, noise, real).backward()
        error = (_grad(d.weight) - true).norm() / true.norm()
        results[way] = {"left_by_g": left, "relative_error": error.item()}
    return results


def discriminator_graph_after_its_step() -> dict[str, Any]:
    """Run G's backward pass through D's scores of before D's step, and through new ones.

    The old scores need D's old weights, which the step has overwritten.
    """
    raised = {}
    for scores in ("reused", "new"):
        g, d, noise, real = _players()
        optimizer = torch.optim.SGD(d.parameters(), lr=LR)
        fake = d(g(noise))
        loss = fake.mean() - d(real).mean()
        loss.backward(retain_graph=True)
        optimizer.step()
        if scores == "new":
            fake = d(g(noise))
        raised[scores] = _raised((-fake).mean().backward)
    return raised


def gradients_of_two_players_add_up() -> dict[str, list[float]]:
    """Add up B's gradients of A's turn and of its own turn, and clear them in between.

    A's loss passes through B, so B's gradient after both turns is the sum of two losses'.
    """
    net1, net2 = _networks()

    def turn_of_a() -> Tensor:
        return (net1 * net2).sum()

    def turn_of_b() -> Tensor:
        return (net1.detach() * net2**2).sum()

    alone = [torch.autograd.grad(turn(), net2)[0] for turn in (turn_of_a, turn_of_b)]
    turn_of_a().backward()
    turn_of_b().backward()
    both = _grad(net2).tolist()
    net2.grad = None
    turn_of_b().backward()
    return {
        "a_alone": alone[0].tolist(),
        "b_alone": alone[1].tolist(),
        "after_both_turns": both,
        "cleared_before_b": _grad(net2).tolist(),
    }


def clipping_counts_frozen_gradients() -> dict[str, float]:
    """Clip gradients to a global norm of 1 over both networks, and over the trained one alone.

    The norm is over every gradient passed in, so a large one of a frozen network shrinks the rest.
    Here the optimizer leaves out net1, but net1 still has gradients. Returned is the norm of net2's
    gradient after clipping; before, it is 3.
    """
    results = {}
    for way in ("both", "trained_only"):
        net1, net2 = (nn.Parameter(torch.zeros(1)) for _ in range(2))
        (40.0 * net1 + 3.0 * net2).backward()
        nn.utils.clip_grad_norm_([net1, net2] if way == "both" else [net2], 1.0)
        results[way] = _grad(net2).norm().item()
    return results


def adam_over_what_requires_gradients() -> dict[str, Any]:
    """Train net1 by optimizers over net1, over all that requires gradients, and over everything.

    Adam skips a parameter without a gradient, so the three are the same.
    """
    ends = {}
    for way in ("net1", "requires_grad", "everything"):
        torch.manual_seed(0)
        net1, net2 = nn.Linear(4, 4), nn.Linear(4, 4).requires_grad_(False)
        start = [parameter.clone() for parameter in net2.parameters()]
        both = [*net1.parameters(), *net2.parameters()]
        over = {
            "net1": [*net1.parameters()],
            "requires_grad": [p for p in both if p.requires_grad],
            "everything": both,
        }
        optimizer = OPTIMIZERS["adam_l2"](over[way])
        for _ in range(STEPS):
            optimizer.zero_grad()
            net2(net1(torch.ones(2, 4))).square().mean().backward()
            optimizer.step()
        still = all(map(torch.equal, start, net2.parameters()))
        ends[way] = {"net1": net1.weight.tolist(), "net2_still": still}
    return ends


def optimizer_trajectories() -> dict[str, list[list[float]]]:
    """Return the three weights after each of 20 steps in float64, for each optimizer by name.

    All start alike and are given the same gradients, which are returned as ``gradients``. A test
    compares the frameworks' optimizers by them.
    """
    optim = torch.optim
    optimizers: dict[str, Build] = {
        "sgd_nesterov": partial(optim.SGD, lr=LR, momentum=0.9, nesterov=True),
        "adam": partial(optim.Adam, lr=LR),
        "adam_weight_decay": partial(optim.Adam, lr=LR, weight_decay=DECAY),
        "adamw": partial(optim.AdamW, lr=LR, weight_decay=DECAY),
        "adamw_default": partial(optim.AdamW, lr=LR),
        "adamw_1e-4": partial(optim.AdamW, lr=LR, weight_decay=1e-4),
        "rmsprop": partial(optim.RMSprop, lr=LR),
    }
    return {"gradients": _gradients(), **{n: _trajectory(b) for n, b in optimizers.items()}}


def _trajectory(build: Build) -> list[list[float]]:
    """Return three weights after each step of an optimizer along the 20 gradients."""
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64))
    optimizer = build([weight])
    path = []
    for gradient in _gradients():
        weight.grad = torch.tensor(gradient, dtype=weight.dtype)
        optimizer.step()
        path.append(weight.tolist())
    return path


def _gradients() -> list[list[float]]:
    """Return three gradients for each of 20 steps.

    The last is so small that it matters whether RMSprop's epsilon is inside the square root.
    """
    return [[math.sin(step), 0.1 * math.cos(3 * step), 1e-4 * (1 + step % 3)] for step in range(20)]


def _networks() -> tuple[nn.Parameter, nn.Parameter]:
    """Return two networks of one layer each: three weights that multiply its input elementwise."""
    starts = ([0.5, -1.0, 2.0], [1.0, 0.5, -0.5])
    net1, net2 = (nn.Parameter(torch.tensor(start)) for start in starts)
    return net1, net2


def _loss(net1: Tensor, net2: Tensor) -> Tensor:
    """Return the sum of (net1 · net2 − 1)², elementwise over three weights of each network."""
    return ((net1 * net2 - 1.0) ** 2).sum()


def _players() -> tuple[nn.Linear, nn.Linear, Tensor, Tensor]:
    """Return G and D of a GAN, noise and real examples."""
    torch.manual_seed(0)
    return nn.Linear(2, 3), nn.Linear(3, 1), torch.randn(4, 2), torch.randn(4, 3)


def _loss_d(g: nn.Linear, d: nn.Linear, noise: Tensor, real: Tensor) -> Tensor:
    """Return D's loss on generated examples (target 0) and real ones (target 1)."""
    return (d(g(noise).detach()) ** 2).mean() + ((d(real) - 1.0) ** 2).mean()


def _grad(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor's ``.grad``, which must not be None."""
    assert tensor.grad is not None
    return tensor.grad.clone()


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference of any element."""
    return (one - other).abs().max().item()


def _statistics_moved(norm: nn.BatchNorm1d) -> float:
    """Return the largest absolute running mean, which is 0 before any batch."""
    assert norm.running_mean is not None
    return norm.running_mean.abs().max().item()
