"""Demonstrate the traps of several processes in PyTorch: DDP and FSDP2 over gloo, on two ranks.

Each function runs in two processes at once, the wrong way and the right way side by side, and
returns the results as plain data, which docs/traps.md shows as a table. The test of the same
subject in ``benchmarks/test_rank_traps.py`` judges them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, wraps
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.debug import CommDebugMode
from torch.nn.parallel import DistributedDataParallel

from impl_torch import distributed
from impl_torch.backward_traps import _raised

RANKS, SECONDS = 2, 120.0
LR, STEPS, WIDTH = 0.1, 20, 8
Demonstration = Callable[[], dict[str, Any]]
DEMONSTRATIONS: dict[str, Demonstration] = {}


def on_two_ranks(demonstration: Demonstration) -> Demonstration:
    """Return the function that has two processes run a demonstration, and returns its result."""

    @wraps(demonstration)
    def run() -> dict[str, Any]:
        return _results()[demonstration.__name__]

    DEMONSTRATIONS[demonstration.__name__] = demonstration
    return run


@cache
def _results() -> dict[str, dict[str, Any]]:
    """Return the result of every demonstration: two processes run all of them, once."""
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            subprocess.Popen(
                [sys.executable, "-m", __name__, str(rank), f"{folder}/meeting"],
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                cwd=Path(__file__).parents[1],
                env=os.environ | distributed.environment(RANKS),
            )
            for rank in range(RANKS)
        ]
        try:
            answers = [process.communicate(timeout=SECONDS)[0] for process in processes]
        finally:
            for process in processes:
                process.kill()
    results: dict[str, dict[str, Any]] = json.loads(answers[0])
    return results


@on_two_ranks
def separate_passes_behind_two_wrappers() -> dict[str, Any]:
    """Train net1 and net2 by two losses, each network behind a DDP wrapper of its own.

    DDP reduces net1's gradients in the first backward pass. What the second pass adds to them is
    not reduced any more. The table shows how far the weights of the two ranks are apart after 20
    steps, relative to how far they have moved.
    """
    apart = {}
    for passes in ("summed", "separate"):
        net1, net2, x = _networks()
        start = _weight(net1)
        ddp1, ddp2 = DistributedDataParallel(net1), DistributedDataParallel(net2)
        optimizer = torch.optim.SGD([*net1.parameters(), *net2.parameters()], lr=LR)
        for _ in range(STEPS):
            optimizer.zero_grad()
            first, second = _losses(ddp1, ddp2, x)
            if passes == "summed":
                (first + second).backward()
            else:
                first.backward(retain_graph=True)
                second.backward()
            optimizer.step()
        apart[passes] = {"net1_apart": _apart(net1, start)}
    return apart


@on_two_ranks
def separate_passes_behind_one_wrapper() -> dict[str, Any]:
    """Run a backward pass for each loss behind one DDP wrapper around both networks."""
    raised: dict[str, Any] = {}
    for passes in ("summed", "separate"):
        net1, net2, x = _networks()
        ddp = DistributedDataParallel(_Both(net1, net2))
        first, second = ddp(x)
        if passes == "summed":
            raised[passes] = _raised((first + second).backward)
        else:
            first.backward(retain_graph=True)
            raised[passes] = _raised(second.backward)
    return raised


@on_two_ranks
def separate_passes_when_fully_sharded() -> dict[str, Any]:
    """Run a backward pass for each loss, in either order, behind FSDP2 around each network.

    The table shows by how much net1's gradient differs from that of the whole batch, relative to
    it, and how often a gradient was reduced.
    """
    results = {}
    for passes in ("summed", "first_then_second", "second_then_first"):
        net1, net2, x = _networks()
        true = _gradient_of_the_whole_batch(net1, net2, x)
        mesh = init_device_mesh("cpu", (RANKS,))
        for network in (net1, net2):
            fully_shard(network, mesh=mesh)
        with CommDebugMode() as counter:
            losses = _losses(net1, net2, x)
            if passes == "summed":
                (losses[0] + losses[1]).backward()
            else:
                earlier, later = losses if passes == "first_then_second" else reversed(losses)
                earlier.backward(retain_graph=True)
                later.backward()
        counts = counter.get_comm_counts().items()
        reduced = sum(n for name, n in counts if "reduce_scatter" in str(name))
        results[passes] = {"error": _off(net1, true), "reduced": reduced}
    return results


@on_two_ranks
def changed_behind_a_forward_pass_when_sharded() -> dict[str, Any]:
    """Double the weights of a network that only runs forward passes behind FSDP2, as a teacher.

    FSDP2 gathers the weights for the first forward pass, and lets go of them after a backward pass,
    which never comes: later passes go on with the weights of the first. The table shows by how much
    the output moves, relative to what it was.
    """
    moved = {}
    for way in ("changed", "changed_and_resharded", "resharded_after_each_forward_pass"):
        network, _, x = _networks()
        sharded = fully_shard(
            network.requires_grad_(False),
            mesh=init_device_mesh("cpu", (RANKS,)),
            reshard_after_forward=True if way == "resharded_after_each_forward_pass" else None,
        )
        weights = list(network.parameters())
        before = network(x)
        for weight in weights:
            weight.mul_(2.0)
        if way == "changed_and_resharded":
            sharded.reshard()
        moved[way] = {"output_moved": float((network(x) - before).norm() / before.norm())}
    return moved


@on_two_ranks
def frozen_after_wrapping() -> dict[str, Any]:
    """Freeze net1 before it is wrapped in DDP together with net2, and after that."""
    raised: dict[str, Any] = {}
    for frozen in ("before", "after"):
        net1, net2, x = _networks()
        if frozen == "before":
            net1.requires_grad_(False)
        ddp = DistributedDataParallel(_Both(net1, net2))
        net1.requires_grad_(False)

        def train(ddp: nn.Module = ddp, x: Tensor = x) -> None:
            for _ in range(2):
                ddp(x)[1].backward()

        raised[frozen] = _raised(train)
    return raised


@on_two_ranks
def unfrozen_after_wrapping() -> dict[str, Any]:
    """Wrap a network whose front part is frozen, train it, unfreeze the front, and train on.

    DDP reduces what required a gradient when it was wrapped. The table shows how far the weights
    of the front part in the two ranks are apart after 20 more steps, relative to how far they have
    moved.
    """
    apart = {}
    for way in ("wrapped_anew", "not_wrapped_anew"):
        net1, net2, x = _networks()
        start = _weight(net1)
        both = _Both(net1.requires_grad_(False), net2)
        ddp = DistributedDataParallel(both)
        ddp(x)[1].backward()
        net1.requires_grad_(True)
        if way == "wrapped_anew":
            ddp = DistributedDataParallel(both)
        optimizer = torch.optim.SGD(both.parameters(), lr=LR)
        for _ in range(STEPS):
            optimizer.zero_grad()
            ddp(x)[1].backward()
            optimizer.step()
        apart[way] = {"front_apart": _apart(net1, start)}
    return apart


class _Both(nn.Module):
    """Run net1 and net2 in series, and return a loss at the output of each."""

    def __init__(self, net1: nn.Module, net2: nn.Module) -> None:
        super().__init__()
        self.net1, self.net2 = net1, net2

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _losses(self.net1, self.net2, x)


def _networks() -> tuple[nn.Sequential, nn.Sequential, Tensor]:
    """Return net1 and net2, alike in every rank, and this rank's batch."""
    torch.manual_seed(0)
    net1, net2 = (nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()) for _ in range(2))
    batch = torch.randn(RANKS * 4, WIDTH)
    return net1, net2, distributed.share(batch, dist.get_rank(), RANKS)


def _losses(net1: nn.Module, net2: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return a loss of net1's output and one of net2's; they pull to opposite sides."""
    first = net1(x)
    return (first - 1.0).square().mean(), (net2(first) + 1.0).square().mean()


def _gradient_of_the_whole_batch(net1: nn.Sequential, net2: nn.Sequential, x: Tensor) -> Tensor:
    """Return the gradient of net1's weight by both losses over the batches of all ranks."""
    batches = [torch.empty_like(x) for _ in range(RANKS)]
    dist.all_gather(batches, x)
    weight = net1[0].weight
    (gradient,) = torch.autograd.grad(sum(_losses(net1, net2, torch.cat(batches))), [weight])  # type: ignore[arg-type]
    return gradient


def _weight(network: nn.Sequential) -> Tensor:
    """Return a copy of the weight of a network's first layer."""
    return network[0].weight.detach().clone()  # type: ignore[operator]


def _apart(network: nn.Sequential, start: Tensor) -> float:
    """Return how far a network's weights of two ranks are apart, relative to their way so far."""
    weights = [torch.empty_like(start) for _ in range(RANKS)]
    dist.all_gather(weights, _weight(network))
    return float((weights[0] - weights[1]).norm() / (weights[0] - start).norm())


def _off(network: nn.Sequential, true: Tensor) -> float:
    """Return how far the gradient of a sharded network's first weight is off, relative to it."""
    gradient: Any = network[0].weight.grad
    return float((gradient.full_tensor() - true).norm() / true.norm())


def _run_rank(rank: int, meeting: str) -> None:
    """Run every demonstration as one of the ranks, and print what they return."""
    torch.set_num_threads(1)
    distributed.join(rank, RANKS, meeting)
    results = {name: run() for name, run in DEMONSTRATIONS.items()}
    distributed.barrier()
    print(json.dumps(results), flush=True)
    os._exit(0)  # a group whose reduction was broken off cannot be left in order


if __name__ == "__main__":
    _run_rank(int(sys.argv[1]), sys.argv[2])
