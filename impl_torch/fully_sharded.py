"""Run a strategy in several ranks that share out every parameter: FSDP2 around each network.

Between calls a rank holds its part of each parameter, rows of its first dimension, and of each
gradient. A network's parameters are gathered for its forward pass, and again for a backward pass
that comes after they were let go of. Each backward pass shares out what it adds to their gradients:
summed over all ranks, each part to the rank that holds it (a reduce-scatter).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from impl_torch import layout
from impl_torch import program as programs
from impl_torch.problem import Problem


def shard(problem: Problem) -> Problem:
    """Return the problem with its networks sharded, those included in which all is frozen.

    Args:
        problem: its networks are changed: parameters are replaced by those that are shared out.
    """
    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for stage in problem.stages:
        fully_shard(stage.network, mesh=mesh)
    frozen = [name for name in problem.parameters if name not in problem.trainable]
    return Problem(problem.stages, problem.data, problem.reach, frozen)


def reduce_where(problem: Problem, reduces: Callable[[str], bool]) -> None:
    """Let backward passes reduce the gradients of some networks, and add up those of the others.

    Args:
        problem: whose networks are sharded.
        reduces: the function (name of a stage) → whether its gradients are reduced from here on.
    """
    for stage in problem.stages:
        stage.network.set_requires_gradient_sync(reduces(stage.name))  # type: ignore[operator]


class _Sharded(programs.Program):
    """Read what a program over sharded networks leaves; every rank must read at the same time."""

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """Return the gradients that the last `run` left, each gathered from all ranks."""
        parameters = self.problem.parameters.items()
        return _gathered({n: p.grad for n, p in parameters if p.grad is not None})

    def operations(self) -> list[Any]:
        """Return none: those of several ranks are not told."""
        return []

    def _own_storages(self) -> set[int]:
        """Return the addresses of the parameters that are gathered at the moment."""
        return {
            parameter.untyped_storage().data_ptr()
            for stage in self.problem.stages
            for parameter in stage.network.parameters()
            if not isinstance(parameter, DTensor)
        }


class Gradient(_Sharded, programs.Gradient):
    """Time forward and backward pass of sharded networks."""


class Step(_Sharded, programs.Step):
    """Time forward pass, backward pass and update, each rank's of its part of the parameters."""

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Return all parameters and buffers after the last step, gathered from all ranks."""
        return _gathered(self.problem.parameters | self.problem.buffers)

    def count(self) -> dict[str, Any]:
        """Return the counts of `Program.count`; ``optimizer_state_bytes`` are those of this rank."""
        states = [state.values() for one in self.steppers for state in one.state.values()]
        parts = [v.to_local() if isinstance(v, DTensor) else v for state in states for v in state]
        held = sum(part.nbytes for part in parts if isinstance(part, Tensor))
        return super().count() | {"optimizer_state_bytes": held}


def _gathered(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.floating]]:
    """Return tensors as NumPy arrays, of those that are shared out the whole."""
    whole = {n: t.full_tensor() if isinstance(t, DTensor) else t for n, t in tensors.items()}
    return {name: layout.parameter_out(tensor) for name, tensor in whole.items()}


class Traffic(TorchDispatchMode):
    """Count what a rank reduces and gathers while the mode is on: how often, and how many bytes.

    Bytes are those of the whole gradients and parameters, filled up to equal parts, as they enter
    a reduce-scatter and leave a gathering.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reduced: list[int] = []
        self.gathered: list[int] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and count it where it is one of the two."""
        if operation is torch.ops.c10d._reduce_scatter_base_.default:
            self.reduced.append(args[1].nbytes)  # (output, input, …)
        elif operation is torch.ops.c10d._allgather_base_.default:
            self.gathered.append(args[0].nbytes)
        return operation(*args, **(kwargs or {}))


def communication(program: programs.Program) -> dict[str, int]:
    """Return what a rank reduces and gathers in one call of a program.

    The first call is left out: it gathers a frozen network in front of all that is trained, which
    nothing lets go of afterwards.

    Returns:
        ``reductions`` and ``reduced_bytes``, ``gatherings`` and ``gathered_bytes``.
    """
    program.reset()
    program.run(program.prepare())
    program.reset()
    with Traffic() as traffic:
        program.run(program.prepare())
    return {
        "reductions": len(traffic.reduced),
        "reduced_bytes": sum(traffic.reduced),
        "gatherings": len(traffic.gathered),
        "gathered_bytes": sum(traffic.gathered),
    }
