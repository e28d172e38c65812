"""Run a strategy in several processes at once, each with its share of the batch, over gloo.

Each process, a rank, builds the networks anew with the same weights. A wrapper reduces gradients:
after a backward pass ``.grad`` holds the mean over all ranks, which is the gradient of the whole
batch, as every loss is a mean over its share. Wrappers are DDP, which leaves every rank the whole
of it, and FSDP2, which leaves each a part of it and of the parameters.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.nn.parallel import DistributedDataParallel

from impl_torch import compiling, optimizers, recipes
from impl_torch import program as programs
from impl_torch.problem import Losses, Problem, Stage
from impl_torch.rank_programs import (
    Count,
    RankProgram,
    ShardedGradient,
    ShardedStep,
    exchanged,
    reduced,
)
from impl_torch.runtime import Unavailable
from impl_torch.session import OpenProblem
from impl_torch.strategies import STRATEGIES, Strategy


def processes(ranks: int) -> int:
    """Return how many processes make up so many ranks: one each."""
    return ranks


def environment(ranks: int) -> dict[str, str]:
    """Return the variables that each process is started with.

    All ranks are on one machine: they meet over its loopback interface, whatever its name resolves
    to.
    """
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    return {"GLOO_SOCKET_IFNAME": os.environ.get("GLOO_SOCKET_IFNAME", loopback)}


def join(rank: int, ranks: int, meeting: str) -> None:
    """Join the other ranks, and wait until all are there.

    Args:
        rank: the number of this process, from 0.
        ranks: how many there are.
        meeting: path of a file, the same for all, over which they find each other.
    """
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=ranks)


def barrier() -> None:
    """Wait until every rank is here."""
    dist.barrier()


def leave() -> None:
    """Leave the other ranks; they must leave too."""
    dist.destroy_process_group()


def program(
    opened: OpenProblem, name: str, phase: str, wrapper: str, count: Count | None = None
) -> RankProgram:
    """Return the program of this rank; every rank must build and run the same ones in one order.

    Args:
        opened: the whole problem, with its weights.
        name: of the strategy, a key of `WAYS` of its wrapper.
        phase: ``gradient`` or ``step``.
        wrapper: a key of `WAYS`.
        count: what counts reductions; None: nothing does.

    Raises:
        Unavailable: the batch cannot be shared out equally.
        KeyError: the wrapper has no such strategy.
    """
    make, sharded = WAYS[wrapper][name], wrapper == FULLY_SHARDED
    problem = _shard(_share(opened)) if sharded else _share(opened)
    recipe = recipes.from_strategy(problem, make(problem, count))
    own = _in_phase(phase, problem, recipe, opened.problem_spec, sharded)
    if sharded:
        return RankProgram(own, lambda: exchanged(own))
    return RankProgram(own, lambda: reduced(lambda n: program(opened, name, phase, wrapper, n)))


def _in_phase(
    phase: str, problem: Problem, recipe: recipes.Recipe, spec: Mapping[str, Any], sharded: bool
) -> programs.Program:
    """Return the program of a recipe in a phase, and where networks are sharded of the kind for it.

    Args:
        phase: ``gradient`` or ``step``.
        problem: with this rank's share of the batch.
        recipe: what is computed of it.
        spec: of the problem; its optimizer is that of a step.
        sharded: whether its networks are.
    """
    compiler = compiling.MODES["eager"]("")
    if phase == "gradient":
        return (ShardedGradient if sharded else programs.Gradient)(problem, recipe, compiler)
    steppers = optimizers.build(dict(spec["optimizer"]), spec["networks"], recipe.optimized)
    return (ShardedStep if sharded else programs.Step)(problem, recipe, compiler, steppers)


def _share(opened: OpenProblem) -> Problem:
    """Return the problem over this rank's share of the batch, with networks of its own."""
    spec, whole = opened.problem_spec, opened.problem
    stages = opened.session.build_stages(opened.build, spec["arguments"])
    data = {name: share(tensor, dist.get_rank(), dist.get_world_size())
            for name, tensor in whole.data.items()}  # fmt: skip
    problem = Problem(stages, data, spec["reach"], spec["frozen"])
    problem.load(whole.parameters | whole.buffers)
    return problem


def _shard(problem: Problem) -> Problem:
    """Return a problem with its networks sharded, those included in which all is frozen.

    The parameters of its networks are replaced by those of which each rank has a part.
    """
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for stage in problem.stages:
        fully_shard(stage.network, mesh=mesh)
    frozen = [name for name in problem.parameters if name not in problem.trainable]
    return Problem(problem.stages, problem.data, problem.reach, frozen)


def share(tensor: Tensor, rank: int, ranks: int) -> Tensor:
    """Return a rank's share of a batch, the first dimension of the tensor.

    Raises:
        Unavailable: the batch cannot be shared out equally.
    """
    if tensor.shape[0] % ranks:
        raise Unavailable(f"a batch of {tensor.shape[0]} cannot be shared equally by {ranks} ranks")
    return tensor.chunk(ranks)[rank].contiguous()


class Together(nn.Module):
    """Hold all networks of a problem, so that one wrapper reduces all of their gradients.

    Args:
        problem: whose networks.
        run: what a call of this module does.
    """

    def __init__(self, problem: Problem, run: Callable[..., Any]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(stage.network for stage in problem.stages)
        self._run = run

    def forward(self, *arguments: Any) -> Any:
        return self._run(*arguments)


def _wrap(module: nn.Module, count: Count | None) -> DistributedDataParallel:
    """Return the module in a wrapper, which reduces the gradients of what is trained by now."""
    wrapped = DistributedDataParallel(module)
    if count:
        # a lambda: DDP refuses annotations that are texts, as they are in this module
        wrapped.register_comm_hook(count, lambda own, bucket: own.reduce(bucket))
    return wrapped


def _behind_one_wrapper(strategy: str) -> Callable[[Problem, Count | None], Strategy]:
    """Return the function that puts a strategy's whole forward pass behind one wrapper."""

    def make(problem: Problem, count: Count | None) -> Strategy:
        own = STRATEGIES[strategy](problem, lambda function: function)
        return replace(own, forward=_wrap(Together(problem, own.forward), count))

    return make


def _behind_wrapper_each(strategy: str) -> Callable[[Problem, Count | None], Strategy]:
    """Return the function that puts each network of a strategy behind a wrapper of its own."""

    def make(problem: Problem, count: Count | None) -> Strategy:
        _wrap_each(problem, count)
        return STRATEGIES[strategy](problem, lambda function: function)

    return make


def _sharded(strategy: str) -> Callable[[Problem, Count | None], Strategy]:
    """Return the function that leaves a strategy as it is: its networks are sharded by now."""

    def make(problem: Problem, count: Count | None) -> Strategy:
        return STRATEGIES[strategy](problem, lambda function: function)

    return make


def _wrap_each(problem: Problem, count: Count | None) -> None:
    """Put each network that has something to train behind a wrapper of its own."""
    problem.stages = [_wrapped(stage, count) for stage in problem.stages]


def _wrapped(stage: Stage, count: Count | None) -> Stage:
    """Return a stage whose network is wrapped; DDP refuses one in which all is frozen."""
    if any(parameter.requires_grad for parameter in stage.network.parameters()):
        return replace(stage, network=_wrap(stage.network, count))
    return stage


def reforward_one(problem: Problem, count: Count | None) -> Strategy:
    """Run a forward and a backward pass for each loss through one wrapper, which reduces each."""
    call = _wrap(Together(problem, lambda name: problem.losses(until=name)), count)
    return _passes(problem, lambda name: call(name)[name].backward())


def reforward_no_sync_one(problem: Problem, count: Count | None) -> Strategy:
    """Run a pass for each loss through one wrapper, and reduce in the last one alone."""
    call = _wrap(Together(problem, lambda name: problem.losses(until=name)), count)
    last = list(problem.flow)[-1]

    def run(name: str) -> None:
        with ExitStack() as local:
            if name != last:
                local.enter_context(call.no_sync())
            call(name)[name].backward()

    return _passes(problem, run)


def reforward_no_sync_each(problem: Problem, count: Count | None) -> Strategy:
    """Run a pass for each loss, and reduce each network's gradients in its last pass alone."""
    _wrap_each(problem, count)
    last = _last_pass(problem)

    def run(name: str) -> None:
        with ExitStack() as local:
            for stage in problem.stages:
                if last.get(stage.name, name) != name:
                    local.enter_context(stage.network.no_sync())  # type: ignore[operator]
            problem.losses(until=name)[name].backward()

    return _passes(problem, run)


def reforward_no_sync_sharded(problem: Problem, count: Count | None) -> Strategy:
    """Run a pass for each loss over sharded networks, and reduce each network's gradients once."""
    last = _last_pass(problem)

    def run(name: str) -> None:
        for stage in problem.stages:
            assert isinstance(stage.network, FSDPModule)
            stage.network.set_requires_gradient_sync(last.get(stage.name, name) == name)
        problem.losses(until=name)[name].backward()

    return _passes(problem, run)


def _last_pass(problem: Problem) -> Mapping[str, str]:
    """Return the name of each trained stage → the last loss that reaches it."""
    return {
        stage.name: loss
        for loss, names in problem.flow.items()
        for stage in problem.stages
        if any(name.startswith(f"{stage.name}.") for name in names)
    }


def _passes(problem: Problem, run: Callable[[str], None]) -> Strategy:
    """Return the strategy that runs a function for each loss, by its name."""

    def backward(_: Losses | None) -> None:
        for name in problem.flow:
            run(name)

    return Strategy(lambda: None, backward, own_forward=True, one_jit=False)


Ways = dict[str, Callable[[Problem, Count | None], Strategy]]
FULLY_SHARDED = "fsdp_each"  # the wrapper that is no DDP
SHARED = ("summed", "multi_root", "separate_retained", "boundary_split")
# wrapper → strategy → the function (problem, what counts) → strategy
WAYS: dict[str, Ways] = {
    "ddp_one": {name: _behind_one_wrapper(name) for name in SHARED}
    | {"reforward": reforward_one, "reforward_no_sync": reforward_no_sync_one},
    "ddp_each": {name: _behind_wrapper_each(name) for name in (*SHARED, "reforward")}
    | {"reforward_no_sync": reforward_no_sync_each},
    FULLY_SHARDED: {name: _sharded(name) for name in (*SHARED, "reforward")}
    | {"reforward_no_sync": reforward_no_sync_sharded},
}
