"""Demonstrate the traps of optimizers that step inside the backward pass, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_stepping_traps.py`` judges them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from impl_torch.backward_traps import _raised
from impl_torch.loss_traps import WIDTH, _networks, _off, _two_losses

LR = 0.01
Kind = Callable[..., torch.optim.Optimizer]
OPTIMIZERS: dict[str, Kind] = {
    "SGD": torch.optim.SGD,
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "Adamax": torch.optim.Adamax,
    "NAdam": torch.optim.NAdam,
    "RAdam": torch.optim.RAdam,
    "Adagrad": torch.optim.Adagrad,
    "Adadelta": torch.optim.Adadelta,
    "RMSprop": torch.optim.RMSprop,
    "Rprop": torch.optim.Rprop,
    "ASGD": torch.optim.ASGD,
    "Adafactor": torch.optim.Adafactor,
    "LBFGS": partial(torch.optim.LBFGS, max_iter=1),
    "Muon": torch.optim.Muon,
    "SparseAdam": torch.optim.SparseAdam,
    "fused SGD": partial(torch.optim.SGD, fused=True),
    "fused Adam": partial(torch.optim.Adam, fused=True),
    "fused AdamW": partial(torch.optim.AdamW, fused=True),
    "fused Adagrad": partial(torch.optim.Adagrad, fused=True),
}
FURTHER: dict[str, Kind] = {"SGD, momentum": partial(torch.optim.SGD, momentum=0.9)}
DECLARED = {"Optimizer": "the base class"}  # name → why nothing is shown for it


def steps_inside_the_backward_pass() -> dict[str, Any]:
    """Step each parameter in a hook, as soon as its gradient is there, to save memory.

    With a pass for each loss, net1's parameters step once for each loss that reaches them. The
    table shows the steps of 8 parameters (of the 4 matrices with Muon; of an embedding alone with
    SparseAdam), how far net1's move is from that of one backward pass of the sum; and with a
    retained graph, whether an error says so and how far net1 is off if not.
    """
    results: dict[str, Any] = {}
    for name in (*OPTIMIZERS, *FURTHER):
        right, steps = _stepped_inside(name, "summed")
        moved, twice = _stepped_inside(name, "two_forward_passes")
        raised = _raised(partial(_stepped_inside, name, "retained"))
        results[name] = {
            "steps_summed": steps,
            "steps_separate": twice,
            "move_off": _off(moved, right),
            "retained_raised": raised,
            "retained_off": None if raised else _off(_stepped_inside(name, "retained")[0], right),
        }
    return results


def optimizers_of_this_release() -> dict[str, Any]:
    """Return the names of all optimizers of this release of torch, of those shown, and declared.

    What can be ``fused`` is another optimizer here: autograd does not notice its steps.
    """
    members = {
        name: value
        for name, value in vars(torch.optim).items()
        if inspect.isclass(value) and issubclass(value, torch.optim.Optimizer)
    }
    fused = [f"fused {n}" for n, v in members.items() if "fused" in inspect.signature(v).parameters]
    return {"found": sorted([*members, *fused]), "shown": sorted(OPTIMIZERS), "declared": DECLARED}


def _stepped_inside(name: str, way: str) -> tuple[Tensor, int]:
    """Return how net1 moved with a step in a hook of each parameter, and how many steps."""
    net1, net2, x, stepped = _problem(name)
    steps: list[None] = []

    def step(optimizer: torch.optim.Optimizer, parameter: Tensor) -> None:
        # LBFGS asks for the loss; in a hook there is no forward pass to compute it anew
        optimizer.step(lambda: 0.0) if name == "LBFGS" else optimizer.step()
        optimizer.zero_grad()
        steps.append(None)

    build = {**OPTIMIZERS, **FURTHER}[name]
    for parameter in stepped:
        parameter.register_post_accumulate_grad_hook(partial(step, build([parameter], lr=LR)))
    start = nn.utils.parameters_to_vector(net1.parameters()).detach().clone()
    first, second = _two_losses(net1, net2, x)
    if way == "summed":
        (first + second).backward()
    else:
        first.backward(retain_graph=way == "retained")
        (second if way == "retained" else _two_losses(net1, net2, x)[1]).backward()
    end = nn.utils.parameters_to_vector(net1.parameters()).detach()
    return end - start, len(steps)


def _problem(name: str) -> tuple[nn.Module, nn.Module, Tensor, list[nn.Parameter]]:
    """Return net1, net2, a batch, and the parameters that an optimizer of this name can step."""
    net1, net2, x = _networks()
    if name == "SparseAdam":
        embedding = nn.Embedding(WIDTH, WIDTH, sparse=True)
        return embedding, net2, torch.arange(WIDTH), list(embedding.parameters())
    parameters = [*net1.parameters(), *net2.parameters()]
    return net1, net2, x, [p for p in parameters if name != "Muon" or p.ndim == 2]
