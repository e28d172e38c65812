"""Demonstrate the traps of what a frozen network still does in PyTorch: state, draws, caches.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_module_traps.py`` judges them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm
from torch.utils.checkpoint import checkpoint

WIDTH = 4
# every module of torch.nn that behaves otherwise in train() than in eval(); → shape of its input
MODULES: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(WIDTH), (8, WIDTH)),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(WIDTH), (8, WIDTH, 2, 2)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(WIDTH), (8, WIDTH, 2, 2, 2)),
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(WIDTH, track_running_stats=True), (8, WIDTH, 3)),
    "InstanceNorm2d": (
        lambda: nn.InstanceNorm2d(WIDTH, track_running_stats=True),
        (8, WIDTH, 2, 2),
    ),
    "Dropout": (nn.Dropout, (8, WIDTH)),
    "Dropout1d": (nn.Dropout1d, (8, WIDTH, 3)),
    "Dropout2d": (nn.Dropout2d, (8, WIDTH, 2, 2)),
    "Dropout3d": (nn.Dropout3d, (8, WIDTH, 2, 2, 2)),
    "AlphaDropout": (nn.AlphaDropout, (8, WIDTH)),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout, (8, WIDTH, 3)),
    "RReLU": (nn.RReLU, (8, WIDTH)),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(WIDTH, 2, 8, batch_first=True),
        (8, 3, WIDTH),
    ),
    "LSTM": (lambda: nn.LSTM(WIDTH, WIDTH, 2, dropout=0.5), (3, 8, WIDTH)),
    "GRU": (lambda: nn.GRU(WIDTH, WIDTH, 2, dropout=0.5), (3, 8, WIDTH)),
    "spectral_norm": (lambda: spectral_norm(nn.Linear(WIDTH, WIDTH)), (8, WIDTH)),
}


def train_undoes_eval() -> dict[str, Any]:
    """Set a frozen module to `eval()`, and call `train()` on the model around it.

    `train()` reaches every module below. The table shows how far the frozen module's buffers move
    in a forward pass, and how far two forward passes of one batch are apart.
    """
    results: dict[str, Any] = {}
    for name, (build, shape) in MODULES.items():
        for way in ("eval", "eval_then_train", "eval_again_after_train"):
            torch.manual_seed(0)
            frozen = build().requires_grad_(False)
            model = nn.Sequential(frozen)
            frozen.eval()
            if way != "eval":
                model.train()
            if way == "eval_again_after_train":
                frozen.eval()
            results.setdefault(name, {})[way] = _behaviour(frozen, torch.randn(shape) + 1.0)
    return results


def spectral_norm_of_a_frozen_network() -> dict[str, Any]:
    """Run a frozen network with spectral normalization forward 20 times.

    Its power iteration keeps a vector in a buffer, and each pass in training mode moves it, and so
    the weight that the network computes with. The table shows how far that weight moves, relative
    to its norm.
    """
    moved = {}
    kinds: dict[str, Callable[..., Any]]
    kinds = {"spectral_norm": spectral_norm, "parametrization": parametrizations.spectral_norm}
    for name, wrap in kinds.items():
        for way in ("train", "eval"):
            torch.manual_seed(1)
            net = wrap(nn.Linear(32, 32)).requires_grad_(False)
            net.train(way == "train")
            x = torch.randn(8, 32)
            net(x)
            start = net.weight.detach().clone()
            for _ in range(20):
                net(x)
            change = (net.weight.detach() - start).norm() / start.norm()
            moved[f"{name}_{way}"] = {"weight_moved": change.item()}
    return moved


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


def _behaviour(module: nn.Module, x: Tensor) -> dict[str, float]:
    """Return how far a forward pass moves a module's buffers, and two passes are apart."""
    before = [buffer.detach().clone().float() for buffer in module.buffers()]
    first, second = (_first(module(x)) for _ in range(2))
    after = [buffer.detach().float() for buffer in module.buffers()]
    moved = [(a - b).abs().max().item() for a, b in zip(after, before, strict=True)]
    return {
        "buffers_moved": max(moved, default=0.0),
        "passes_apart": (first - second).abs().max().item(),
    }


def _first(output: Any) -> Tensor:
    """Return a module's output, the first where there are several."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor.detach()
