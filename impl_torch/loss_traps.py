"""Demonstrate the traps of several losses in PyTorch: scaling, hooks, weights of 0.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_loss_traps.py`` judges them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from impl_torch.backward_traps import _raised

LR, SCALE, WIDTH = 0.1, 1024.0, 32
Change = Callable[[Tensor], Tensor]
CHANGES: dict[str, Change] = {
    "clip_norm": lambda g: g * (1e-3 / g.norm()).clamp(max=1.0),
    "clamp": lambda g: g.clamp(-1e-5, 1e-5),
    "sign": torch.sign,
    "drop_small": lambda g: torch.where(g.abs() > 3e-3, g, 0.0),
    "halve": lambda g: 0.5 * g,
}


def one_scaler_and_several_losses() -> dict[str, Any]:
    """Let one GradScaler scale two losses, and update, clip or step at the wrong place.

    An `update()` between the losses changes the scale, so net1 adds up gradients of two scales.
    Clipped before `unscale_`, a gradient is clipped to a norm of 1 and then divided by the scale.
    The table shows net1's step, relative to the right one, and what an optimizer raises whose
    network is frozen.
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


def hooks_that_change_gradients() -> dict[str, Any]:
    """Change gradients in a hook, in one backward pass of the sum and in a pass for each loss.

    A hook sees what one pass brings. Only where it is linear is the sum of what it makes of two
    gradients what it makes of their sum; a hook after accumulation sees the running total, so there
    not even halving is safe. The table shows how far net1's gradient of two passes is from that of
    one, relative to it; clipped once, after the last pass, they agree.
    """
    errors: dict[str, dict[str, float]] = {}
    for place, name in product(HOOKS, CHANGES):
        summed, separate = (_hooked(place, CHANGES[name], one_pass) for one_pass in (True, False))
        errors.setdefault(place, {})[name] = _off(separate, summed)
    errors["after_the_last_pass"] = {}
    for name, change in CHANGES.items():
        summed, separate = (
            change(_hooked("parameter", lambda g: g, one_pass)) for one_pass in (True, False)
        )
        errors["after_the_last_pass"][name] = _off(separate, summed)
    return errors


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


def _hook_parameters(net1: nn.Sequential, net2: nn.Sequential, change: Change) -> None:
    """Put a hook on each of net1's parameters."""
    for parameter in net1.parameters():
        parameter.register_hook(change)


def _hook_accumulated(net1: nn.Sequential, net2: nn.Sequential, change: Change) -> None:
    """Put a hook on net1's gradients after they were added up."""

    def replace(parameter: Tensor) -> None:
        assert parameter.grad is not None
        parameter.grad = change(parameter.grad)

    for parameter in net1.parameters():
        parameter.register_post_accumulate_grad_hook(replace)


def _hook_boundary(net1: nn.Sequential, net2: nn.Sequential, change: Change) -> None:
    """Put a hook on net1's output."""

    def on_output(module: nn.Module, inputs: Any, output: Tensor) -> None:
        output.register_hook(change)

    net1.register_forward_hook(on_output)


def _hook_module(net1: nn.Sequential, net2: nn.Sequential, change: Change) -> None:
    """Put a hook on net1's last layer, as a hook of the module."""

    def before(module: nn.Module, gradients: Any) -> tuple[Tensor]:
        return (change(gradients[0]),)

    net1[2].register_full_backward_pre_hook(before)


HOOKS = {
    "parameter": _hook_parameters,
    "after_accumulation": _hook_accumulated,
    "boundary": _hook_boundary,
    "module": _hook_module,
}


def _hooked(place: str, change: Change, one_pass: bool) -> Tensor:
    """Return all of net1's gradient, as one vector, with a hook at one of `HOOKS`."""
    net1, net2, x = _networks()
    HOOKS[place](net1, net2, change)
    first, second = _two_losses(net1, net2, x)
    if one_pass:
        (first + second).backward()
    else:
        first.backward(retain_graph=True)
        second.backward()
    return torch.cat([p.grad.flatten() for p in net1.parameters() if p.grad is not None])


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
