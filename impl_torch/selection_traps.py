"""Demonstrate the traps of selecting parameters by place or by module in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_selection_traps.py`` judges them.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from impl_torch.backward_traps import _raised

LR = 0.1


def layers_picked_by_place() -> dict[str, Any]:
    """Give the first and the last Linear of a Sequential a rate of their own, by their places.

    The layer at place 3 is a ReLU, without parameters, so the group holds the first Linear alone.
    torch accepts it, and the last Linear keeps the common rate of 0.001. The table shows how far
    each Linear moves in a step, over its gradient; then what asking for the parameters of place 3
    raises where an empty selection is refused.
    """
    rates: dict[str, Any] = {}
    for places in ((0, 3), (0, 4)):
        torch.manual_seed(0)
        first, middle, last = nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        net = nn.Sequential(first, nn.ReLU(), middle, nn.ReLU(), last)
        picked = [p for place in places for p in net[place].parameters()]
        rest = [p for p in net.parameters() if all(p is not other for other in picked)]
        groups: list[dict[str, Any]] = [{"params": picked, "lr": 0.01}, {"params": rest}]
        optimizer = torch.optim.SGD(groups, lr=0.001)
        net(torch.ones(2, 3)).square().sum().backward()
        before = first.bias.detach().clone(), last.bias.detach().clone()
        optimizer.step()
        rates[f"places {places[0]} and {places[1]}"] = {
            "first": ((first.bias - before[0]).norm() / _grad(first.bias).norm()).item(),
            "last": ((last.bias - before[1]).norm() / _grad(last.bias).norm()).item(),
        }
    return {**rates, "refused": {"raised": _raised(partial(_parameters_at, net, 3))}}


def weights_set_by_apply() -> dict[str, Any]:
    """``apply`` calls its function on every module below, also on those that are frozen.

    ``requires_grad_(False)`` keeps optimizers away, not an initialization: net1's weights, which
    stand for pretrained ones, are drawn anew. The table shows how far weights move.
    """
    moved = {}
    for way in ("on_both", "on_net2"):
        torch.manual_seed(0)
        net1, net2 = nn.Linear(3, 3).requires_grad_(False), nn.Linear(3, 3)
        start = net1.weight.clone(), net2.weight.detach().clone()
        target = nn.Sequential(net1, net2) if way == "on_both" else net2
        target.apply(_draw)
        moved[way] = {
            "net1_moved": (net1.weight - start[0]).abs().max().item(),
            "net2_moved": (net2.weight - start[1]).abs().max().item(),
        }
    return moved


def optimizer_state_of_another_phase() -> dict[str, Any]:
    """Load the optimizer state of a phase that trained net2 into an optimizer over net1.

    A saved state holds moments by place, not by name: net1 goes on with those of net2. Naming the
    parameters changes nothing. The table shows how far the first step is from the right one, that
    of an Adam which has not stepped net1 yet, relative to it.
    """
    steps, raised = {}, {}
    for way in ("right", "by_place", "by_place_with_names", "by_name"):
        net1, net2 = (nn.Parameter(torch.tensor(v)) for v in ([0.5, -1.0, 2.0], [1.0, 0.5, -0.5]))
        named = way == "by_place_with_names"
        before = torch.optim.Adam([("net2", net2)] if named else [net2], lr=LR)
        for _ in range(5):
            net2.grad = torch.tensor([1.0, -2.0, 3.0])
            before.step()
        after = torch.optim.Adam([("net1", net1)] if named else [net1], lr=LR)
        saved = before.state_dict()
        if way == "by_name":  # what was not trained before has no state
            names = {"net2": saved["state"][0]}
            state = {i: names[n] for i, n in enumerate(["net1"]) if n in names}
            saved = {"state": state, "param_groups": after.state_dict()["param_groups"]}
        raised[way] = None if way == "right" else _raised(partial(after.load_state_dict, saved))
        start, net1.grad = net1.detach().clone(), torch.tensor([-1.0, 1.0, 1.0])
        after.step()
        steps[way] = (net1 - start).detach()
    right = steps.pop("right")
    return {
        way: {"raised": raised[way], "step_off": ((s - right).norm() / right.norm()).item()}
        for way, s in steps.items()
    }


def _parameters_at(net: nn.Sequential, place: int) -> list[nn.Parameter]:
    """Return the parameters of one layer; raise ValueError for a layer without any."""
    parameters = list(net[place].parameters())
    if not parameters:
        raise ValueError(f"place {place} of the Sequential, {net[place]}, holds no parameter")
    return parameters


def _draw(module: nn.Module) -> None:
    """Draw the weights of a Linear anew; leave every other module alone."""
    if isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, 0.0, 0.02)


def _grad(tensor: Tensor) -> Tensor:
    """Return a copy of a tensor's ``.grad``, which must not be None."""
    assert tensor.grad is not None
    return tensor.grad.clone()
