"""Demonstrate the traps of weights cached over steps, and of checkpoints, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_module_traps.py`` judges them.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.utils import checkpoint as checkpoints

from impl_torch.backward_traps import _raised

WIDTH = 4
Region = Callable[[], AbstractContextManager[Any]]
Run = Callable[[nn.Sequential, Tensor], Any]
HALF = ("cpu", torch.bfloat16)
# What keeps, inside a region, what was computed of a weight.
CACHES: dict[str, Region] = {
    "torch.amp.autocast": partial(torch.amp.autocast, *HALF),
    "torch.cpu.amp.autocast": torch.cpu.amp.autocast,  # type: ignore[attr-defined]
    "parametrize.cached": parametrize.cached,
}
FURTHER_CACHES: dict[str, Region] = {
    "torch.amp.autocast, cache_enabled=False": partial(
        torch.amp.autocast, *HALF, cache_enabled=False
    ),
}
DECLARED_CACHES = {  # name → why nothing is shown for it
    "torch.cuda.amp.autocast": "casts nothing where there is no GPU",
}
CHECKPOINTS: dict[str, Run] = {
    "checkpoint": lambda net, x: checkpoints.checkpoint(net, x, use_reentrant=False),
    "checkpoint_sequential": lambda net, x: checkpoints.checkpoint_sequential(
        net, 2, x, use_reentrant=False
    ),
}
FURTHER_CHECKPOINTS: dict[str, Run] = {
    "no checkpoint": lambda net, x: net(x),
    "checkpoint, use_reentrant=True": lambda net, x: checkpoints.checkpoint(
        net, x, use_reentrant=True
    ),
    "checkpoint_sequential, use_reentrant=True": lambda net, x: checkpoints.checkpoint_sequential(
        net, 2, x, use_reentrant=True
    ),
}
DECLARED_CHECKPOINTS = {  # name → why nothing is shown for it
    "set_checkpoint_early_stop": "says where the recomputation ends",
    "set_checkpoint_debug_enabled": "says what is told of an error",
    "create_selective_checkpoint_contexts": "says what a checkpoint keeps",
}


def weights_cached_over_steps() -> dict[str, Any]:
    """Take four steps inside one region that caches weights, and in a region for each forward pass.

    An autocast region casts each weight once and keeps the copy, so all four losses are those of
    the weights it began with. What `parametrize.cached` keeps is a part of the graph that the first
    backward pass has freed, so the second one raises.
    """
    return {
        name: {
            way: _four_steps(name, region, way)
            for way in ("one_region", "a_region_for_each_forward_pass")
        }
        for name, region in {**CACHES, **FURTHER_CACHES}.items()
    }  # fmt: skip


def caches_of_this_release() -> dict[str, Any]:
    """Return the names of all regions of this release of torch that cache weights, and those shown.

    They are the classes named ``autocast``, and ``torch.nn.utils.parametrize.cached``.
    """
    owners = {
        "torch.amp": torch.amp,
        "torch.cpu.amp": torch.cpu.amp,
        "torch.cuda.amp": torch.cuda.amp,
    }
    names = [
        f"{owner}.{name}"
        for owner, module in owners.items()
        for name, value in vars(module).items()
        if "autocast" in name and inspect.isclass(value)
    ]
    names += [f"parametrize.{name}" for name in vars(parametrize) if name == "cached"]
    return {"found": sorted(names), "shown": sorted(CACHES), "declared": DECLARED_CACHES}


def checkpoint_behind_a_frozen_front() -> dict[str, Any]:
    """Checkpoint net1 behind a frozen front, and a BatchNorm with one and two backward passes.

    A reentrant checkpoint asks its inputs whether they need gradients, not its weights: net1 gets
    none, with a warning, and net2 trains. What is recomputed updates running statistics again, once
    for each backward pass. The table shows net1's gradient, and how often a BatchNorm counted one
    batch.
    """
    results: dict[str, Any] = {}
    for way, run in {**FURTHER_CHECKPOINTS, **CHECKPOINTS}.items():
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            gradients = _gradients_there(run)
            counted = {f"counted_in_{n}_passes": _counted(run, n) for n in (1, 2)}
        has_warning = any("None of the inputs" in str(one.message) for one in warned)
        results[way] = {**gradients, "warned": has_warning, **counted}
    return results


def checkpoints_of_this_release() -> dict[str, Any]:
    """Return the names of all functions of this release of torch that checkpoint, and those shown.

    They are what ``torch.utils.checkpoint`` has in small letters with this word in its name.
    """
    names = [name for name in checkpoints.__all__ if "checkpoint" in name and name.islower()]
    return {"found": sorted(names), "shown": sorted(CHECKPOINTS), "declared": DECLARED_CHECKPOINTS}


def _four_steps(name: str, region: Region, way: str) -> dict[str, Any]:
    """Return the first and the fourth loss of four steps, or what the steps raise."""
    torch.manual_seed(0)
    net, x = nn.Linear(WIDTH, WIDTH), torch.ones(8, WIDTH)
    if name == "parametrize.cached":
        parametrizations.weight_norm(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    whole, each = (region, nullcontext) if way == "one_region" else (nullcontext, region)
    losses: list[float] = []

    def take() -> None:
        with whole():
            for _ in range(4):
                with each():
                    output = net(x)
                loss = (output.float() - 1.0).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of torch.cpu.amp, which is deprecated
        raised = _raised(take)
    fourth = None if raised else losses[3]
    return {"first_loss": losses[0], "fourth_loss": fourth, "raised": raised}


def _net1() -> nn.Sequential:
    """Return a Linear, a BatchNorm behind it, and two modules that do nothing.

    A checkpoint of the segments of a Sequential leaves out the last one.
    """
    return nn.Sequential(
        nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH), nn.Identity(), nn.Identity()
    )


def _gradients_there(run: Run) -> dict[str, bool]:
    """Return whether net1 and net2 have gradients, where net1 is run so behind a frozen front."""
    torch.manual_seed(0)
    front = nn.Linear(WIDTH, WIDTH).requires_grad_(False)
    net1, net2 = _net1(), nn.Linear(WIDTH, 1)
    net2(run(net1, front(torch.randn(8, WIDTH)))).square().sum().backward()
    nets = {"net1": net1, "net2": net2}
    return {
        f"{name}_has_gradient": all(p.grad is not None for p in net.parameters())
        for name, net in nets.items()
    }


def _counted(run: Run, passes: int) -> int:
    """Return how many batches a BatchNorm counted in one forward and several backward passes."""
    torch.manual_seed(0)
    net1 = _net1()
    # a reentrant checkpoint pulls back only where its input requires a gradient
    between = run(net1, torch.randn(8, WIDTH).requires_grad_())
    losses = between.square().mean(), (between - 1.0).square().mean()
    if passes == 1:
        (losses[0] + losses[1]).backward()
    else:
        losses[0].backward(retain_graph=True)
        losses[1].backward()
    norm = net1[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked is not None
    return int(norm.num_batches_tracked)
