"""Demonstrate in PyTorch what costs its full price although nothing comes of it.

Each function runs ways side by side and returns the results as plain data, which docs/costs.md
shows as a table. The test of the same subject in ``benchmarks/test_cost_traps.py`` judges them.
Products are those of a Linear layer's forward pass, of 32 examples and 32 values.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint, checkpoint_sequential
from torch.utils.flop_counter import FlopCounterMode

from impl_torch.backward_traps import _raised
from impl_torch.loss_traps import LR, WIDTH, _mean_square, _networks, _weight

DEPTH = 12  # layers that are frozen one after another
CHECKPOINTS: dict[str, Callable[[nn.Sequential, Tensor], Any]] = {
    "checkpoint": partial(checkpoint, use_reentrant=False),
    "checkpoint_sequential, 2 segments": lambda net, x: checkpoint_sequential(
        net, 2, x, use_reentrant=False
    ),
}


def frozen_front_that_saves_nothing() -> dict[str, Any]:
    """Freeze the front one of two networks of three layers each, and count a step's products.

    A rate of 0, a gradient that is set to 0, one that is multiplied by a mask and one for which a
    hook returns zeros are all computed first. Where AdamW is given a gradient of 0, its decay moves
    the network as well.
    """
    results = {}
    zeros = ("gradient_set_to_0", "gradient_times_0", "hook_returns_0")
    others = ("left_out_of_the_optimizer", "requires_grad_false")
    for way in ("nothing_frozen", "rate_0", *zeros, *others):
        net1, net2, x = _networks(3, 3)
        net1.requires_grad_(way != "requires_grad_false")
        for parameter in net1.parameters() if way == "hook_returns_0" else ():
            parameter.register_hook(torch.zeros_like)
        rate = 0.0 if way == "rate_0" else LR
        front: dict[str, Any] = {"params": [*net1.parameters()], "lr": rate}
        groups = [front, {"params": [*net2.parameters()]}]
        stepped = groups[1:] if way == "left_out_of_the_optimizer" else groups
        optimizer = torch.optim.AdamW(stepped, LR, weight_decay=LR)
        start = _weight(net1, 0).detach().clone()
        products = _counted(lambda: _mean_square(net2, net1(x)).backward())  # noqa: B023
        for parameter in net1.parameters():
            if way == "gradient_set_to_0":
                parameter.grad = torch.zeros_like(parameter)
            elif way == "gradient_times_0" and parameter.grad is not None:
                parameter.grad.mul_(0.0)
        optimizer.step()
        moved = (_weight(net1, 0) - start).abs().max().item()
        results[way] = {"products": products, "net1_moved": moved}
    return results


def gradual_freezing_when_compiled() -> dict[str, Any]:
    """Freeze a compiled network layer by layer, and count the graphs that are compiled.

    Each frozen set is a graph of its own. At a limit, 8 by default, `torch.compile` gives up and
    runs the network operation by operation from then on, with one line in the log; with
    ``fullgraph=True`` it raises.
    """
    results = {}
    for way in ("default", "fullgraph", "limit_raised"):
        limit: dict[str, Any] = {"recompile_limit": 2 * DEPTH} if way == "limit_raised" else {}
        with torch._dynamo.config.patch(limit):
            results[way] = _frozen_layer_by_layer(fullgraph=way == "fullgraph")
    return results


def checkpoint_around_a_frozen_front() -> dict[str, Any]:
    """Checkpoint parts of two networks of three layers each, the front one frozen.

    What is checkpointed is computed once more in the backward pass, if it holds anything that is
    differentiated. Around the frozen front alone it costs nothing, as nothing of it was kept. Of
    two segments of a `checkpoint_sequential` the second is not checkpointed. The table shows the
    products of forward and backward pass.
    """
    results: dict[str, Any] = {}
    for form, call_checkpointed in CHECKPOINTS.items():
        for around in ("nothing", "net2", "both", "front"):
            net1, net2, x = _networks(3, 3)
            net1.requires_grad_(False)
            ways: dict[str, Callable[[], Tensor]] = {
                "nothing": lambda: net2(net1(x)),  # noqa: B023
                "net2": lambda: call_checkpointed(net2, net1(x)),  # noqa: B023
                "both": lambda: call_checkpointed(nn.Sequential(*net1, *net2), x),  # noqa: B023
                "front": lambda: net2(call_checkpointed(net1, x)),  # noqa: B023
            }
            results.setdefault(form, {})[f"around_{around}"] = {
                "products": _counted(lambda: ways[around]().square().mean().backward())  # noqa: B023
            }
    return results


def gradient_of_each_loss_alone() -> dict[str, Any]:
    """Count the matrix products of gradients of each loss alone, as PCGrad or GradNorm need them.

    With respect to all parameters they cost a pass for each loss. With respect to the weight of
    net1's last layer a pass ends there. With respect to net1's output they cost nothing: a backward
    pass that is cut there computes each loss's gradient anyway, before it goes on with their sum.
    Their norms are not those of the gradients with respect to the parameters.
    """
    results = {}
    for way in ("summed", "by_parameter", "by_last_layer", "by_boundary"):
        net1, net2, x = _networks(6)
        everything = [*net1.parameters(), *net2.parameters()]
        with FlopCounterMode(display=False) as counter:
            between = net1(x)
            cut = between.detach().requires_grad_() if way == "by_boundary" else between
            losses = cut.square().mean(), net2(cut).square().mean()
            if way == "by_parameter":
                for loss in losses:
                    torch.autograd.grad(loss, everything, retain_graph=True, allow_unused=True)
            elif way == "by_last_layer":
                for loss in losses:
                    torch.autograd.grad(loss, _weight(net1, -2), retain_graph=True)
            if way == "by_boundary":
                for loss in losses:  # cut.grad after each: the gradients by the value
                    loss.backward()
                between.backward(cut.grad)
            elif way != "by_parameter":
                sum(losses, torch.zeros(())).backward()
        results[way] = {"products": counter.get_total_flops() / (2.0 * WIDTH**3)}
    return results


def _frozen_layer_by_layer(*, fullgraph: bool) -> dict[str, Any]:
    """Return how many graphs are compiled while layer after layer is frozen, and what is not run.

    The graphs are run as they are: no code is generated.
    """
    torch.compiler.reset()
    net = nn.Sequential(*(nn.Linear(2, 2) for _ in range(DEPTH)))
    graphs: list[Any] = []
    runs: list[None] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        def run(*args: Tensor) -> Any:
            runs.append(None)
            return graph(*args)

        graphs.append(graph)
        return run

    compiled = torch.compile(lambda x: net(x), backend=backend, fullgraph=fullgraph)
    raised = None
    for layer in net:
        raised = raised or _raised(partial(compiled, torch.ones(1, 2)))
        layer.requires_grad_(False)
    torch.compiler.reset()
    eager = 0 if raised else DEPTH - len(runs)
    return {"frozen_sets": DEPTH, "graphs": len(graphs), "ran_eagerly": eager, "raised": raised}


def _counted(call: Callable[[], Any]) -> float:
    """Return how many products a call computes."""
    with FlopCounterMode(display=False) as counter:
        call()
    return counter.get_total_flops() / (2.0 * WIDTH**3)
