"""Demonstrate the traps of weights cached over steps, and of checkpoints, in PyTorch.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_module_traps.py`` judges them.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

WIDTH = 4


def weights_cached_over_steps() -> dict[str, Any]:
    """Take four steps inside one autocast region, and in a region for each forward pass.

    The region casts each weight once and keeps the copy, so all four losses are those of the
    weights it began with.
    """
    losses = {}
    for way in ("one_region", "one_region_without_cache", "a_region_each"):
        torch.manual_seed(0)
        net, x = nn.Linear(WIDTH, WIDTH), torch.ones(8, WIDTH)
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        region = torch.autocast(
            "cpu", torch.bfloat16, way != "a_region_each", way != "one_region_without_cache"
        )
        values = []
        with region:
            for _ in range(4):
                with torch.autocast("cpu", torch.bfloat16, cache_enabled=way == "one_region"):
                    loss = (net(x).float() - 1.0).square().mean()
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                values.append(loss.item())
        losses[way] = {"first_loss": values[0], "fourth_loss": values[-1]}
    return losses


def checkpoint_behind_a_frozen_front() -> dict[str, Any]:
    """Checkpoint net1 behind a frozen front, and a BatchNorm with one and two backward passes.

    A reentrant checkpoint asks its inputs whether they need gradients, not its weights: net1 gets
    none, with a warning, and net2 trains. What is recomputed updates running statistics again, once
    for each backward pass. The table shows net1's gradient, and how often a BatchNorm counted one
    batch.
    """
    results: dict[str, Any] = {}
    for way in ("reentrant", "not_reentrant"):
        torch.manual_seed(0)
        front, net1 = nn.Linear(WIDTH, WIDTH).requires_grad_(False), nn.Linear(WIDTH, WIDTH)
        net2 = nn.Linear(WIDTH, 1)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            between = checkpoint(
                net1, front(torch.ones(2, WIDTH)), use_reentrant=way == "reentrant"
            )
            net2(between).sum().backward()
        results[way] = {
            "net1_has_gradient": net1.weight.grad is not None,
            "net2_has_gradient": net2.weight.grad is not None,
            "warned": any("None of the inputs" in str(one.message) for one in warned),
        }
    for passes in (1, 2):
        for way in ("kept", "checkpointed"):
            results[f"batch_norm_{way}_{passes}_passes"] = {"counted": _counted(way, passes)}
    return results


def _counted(way: str, passes: int) -> int:
    """Return how many batches a BatchNorm counted in one forward and several backward passes."""
    torch.manual_seed(0)
    net1 = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.BatchNorm1d(WIDTH))
    x = torch.randn(8, WIDTH)
    between = net1(x) if way == "kept" else checkpoint(net1, x, use_reentrant=False)
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
