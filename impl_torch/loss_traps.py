"""Demonstrate the traps of several losses in PyTorch: scaling, and weights of 0.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_loss_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from impl_torch.backward_traps import _raised

LR, SCALE, WIDTH = 0.1, 1024.0, 32


def one_scaler_and_several_losses() -> dict[str, Any]:
    """Let one GradScaler scale two losses, and update, clip or step at the wrong place.

    An `update()` between the losses changes the scale, so net1 adds up gradients of two scales.
    Clipped before `unscale_`, a gradient is clipped to a norm of 0.01 and then divided by the
    scale. The table shows how far net1's step is from the right one, relative to it, and what an
    optimizer raises whose network is frozen.
    """
    steps = {}
    for way in ("right", "update_between", "clip_right", "clip_before_unscale"):
        net1, net2, x = _networks()
        start = _weight(net1, 0).detach().clone()
        scaler = torch.amp.GradScaler("cpu", init_scale=SCALE, growth_interval=1)
        one, two = (torch.optim.SGD(net.parameters(), lr=LR) for net in (net1, net2))
        first, second = _two_losses(net1, net2, x)
        scaler.scale(second).backward(retain_graph=True)
        if way == "update_between":
            scaler.step(two)
            scaler.update()
        scaler.scale(first).backward()
        if way == "clip_right":
            scaler.unscale_(one)
        if way.startswith("clip"):
            nn.utils.clip_grad_norm_(net1.parameters(), 1e-2)
        for optimizer in (one,) if way == "update_between" else (one, two):
            scaler.step(optimizer)
        scaler.update()
        steps[way] = _weight(net1, 0).detach() - start
    frozen = nn.Linear(1, 1).requires_grad_(False)
    scaler = torch.amp.GradScaler("cpu", init_scale=SCALE)
    scaler.scale(torch.ones(()))
    idle = torch.optim.SGD(frozen.parameters(), lr=LR)
    return {
        "update_between": {"step_off": _off(steps["update_between"], steps["right"])},
        "clip_before_unscale": {
            "step_off": _off(steps["clip_before_unscale"], steps["clip_right"])
        },
        "optimizer_of_a_frozen_network": {"raised": _raised(lambda: scaler.step(idle))},
    }


def loss_weighted_zero() -> dict[str, Any]:
    """Weigh loss2, which alone reaches net2, with 0, and take a step.

    Its forward and backward passes are computed all the same, and its gradients are 0, not absent,
    so AdamW goes on moving net2. The table shows matrix products of forward and backward pass.
    """
    ways: dict[str, Callable[[Tensor, Callable[[], Tensor]], Tensor]] = {
        "weight_0": lambda first, second: first + 0.0 * second(),
        "tensor_0": lambda first, second: first + torch.zeros(()) * second(),
        "left_out": lambda first, second: first,
    }
    results = {}
    for way, total in ways.items():
        net1, net2, x = _networks()
        optimizer = torch.optim.AdamW([*net1.parameters(), *net2.parameters()], weight_decay=LR)
        _two_losses(net1, net2, x)[1].backward()  # an earlier step, of both losses
        optimizer.step()
        optimizer.zero_grad()
        start = _weight(net2, 0).detach().clone()
        with FlopCounterMode(display=False) as counter:
            between = net1(x)
            second = partial(_mean_square, net2, between)
            total(between.square().mean(), second).backward()
        optimizer.step()
        results[way] = {
            "products": counter.get_total_flops() / (2.0 * WIDTH**3),
            "net2_moved": (_weight(net2, 0) - start).abs().max().item(),
        }
    return results


def _networks(front: int = 2, back: int = 2) -> tuple[nn.Sequential, nn.Sequential, Tensor]:
    """Return net1 and net2, of so many layers each, and a batch."""
    torch.manual_seed(0)
    net1, net2 = (
        nn.Sequential(*[m for _ in range(n) for m in (nn.Linear(WIDTH, WIDTH), nn.ReLU())])
        for n in (front, back)
    )
    return net1, net2, torch.randn(WIDTH, WIDTH)


def _two_losses(net1: nn.Module, net2: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean square of net1's output, and ten times that of (net2's output − 1)."""
    between = net1(x)
    return between.square().mean(), 10.0 * (net2(between) - 1.0).square().mean()


def _weight(net: nn.Sequential, place: int) -> Tensor:
    """Return the weight of the Linear at a place in a network."""
    layer = net[place]
    assert isinstance(layer, nn.Linear)
    return layer.weight


def _mean_square(net: nn.Module, x: Tensor) -> Tensor:
    """Return the mean square of a network's output."""
    output: Tensor = net(x)
    return output.square().mean()


def _off(value: Tensor, right: Tensor) -> float:
    """Return how far a tensor is from the right one, relative to that one's norm."""
    return ((value - right).norm() / right.norm()).item()
