"""Hold the program of one rank, read what it leaves, and count what one of its calls reduces.

Behind DDP each rank has all parameters and gradients. Behind FSDP2 it has a part of each, rows of
its first dimension: the programs `ShardedGradient` and `ShardedStep` gather them to be read.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from torch import Tensor
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from impl_torch import layout
from impl_torch import program as programs

# what is counted → how much; and `sizes`, "reduce" or "gather" → the bytes of each of a call's
Counted = dict[str, Any]


class RankProgram:
    """Hold the program of a rank, and count what it reduces.

    Args:
        own: the program, which runs in this process.
        communication: counts what a call of it reduces, see `reduced` and `exchanged`.
    """

    def __init__(self, own: programs.Program, communication: Callable[[], Counted]) -> None:
        self.own = own
        self.communication = communication

    def __getattr__(self, name: str) -> Any:
        """Return what the program of this rank has under this name."""
        return getattr(self.own, name)

    @property
    def replicas(self) -> list[programs.Program]:
        """Return the programs whose gradients must all be those of the whole batch: this rank's."""
        return [self.own]


class Count:
    """Count what a DDP wrapper reduces in a call: how often, and how many bytes."""

    def __init__(self) -> None:
        self.sizes: list[int] = []  # bytes of each bucket

    def reduce(self, bucket: Any) -> torch.futures.Future[Tensor]:
        """Count a bucket of gradients, and reduce it as DDP does by itself."""
        self.sizes.append(bucket.buffer().nbytes)
        return allreduce_hook(dist.distributed_c10d._get_default_group(), bucket)


def reduced(again: Callable[[Count], RankProgram]) -> Counted:
    """Return the ``reductions`` of one call behind DDP, and its ``reduced_bytes``, of gradients.

    Counted is a second copy, as a hook that counts in Python cannot be taken off again. The first
    call is left out: behind it DDP puts the gradients into other buckets.

    Args:
        again: builds the same program once more, for a `Count`.
    """
    count = Count()
    twin = again(count)
    for _ in range(2):
        count.sizes.clear()
        twin.reset()
        twin.run(twin.prepare())
    del twin
    gc.collect()
    return reduction_counts(count.sizes)


def reduction_counts(sizes: list[int]) -> Counted:
    """Return ``reductions``, ``reduced_bytes`` and ``sizes`` of a call that reduces these bytes."""
    total = {"reductions": len(sizes), "reduced_bytes": sum(sizes)}
    return {**total, "sizes": {"reduce": sizes}}


class Traffic(TorchDispatchMode):
    """List what FSDP2 reduces and gathers while the mode is on, in bytes.

    They are the bytes of whole gradients as they enter a reduce-scatter, and of whole parameters as
    they leave an all-gather, filled up so that every rank has as many rows.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reduced: list[int] = []
        self.gathered: list[int] = []

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run an operation, and note it where it is one of the two."""
        if operation is torch.ops.c10d._reduce_scatter_base_.default:
            self.reduced.append(args[1].nbytes)  # (output, input, …)
        elif operation is torch.ops.c10d._allgather_base_.default:
            self.gathered.append(args[0].nbytes)
        return operation(*args, **(kwargs or {}))


def exchanged(program: programs.Program) -> Counted:
    """Return what one call of a program over sharded networks reduces and gathers.

    The first call is left out: it gathers the parameters of a frozen network in front of all that
    is trained, which nothing lets go of afterwards.

    Returns:
        ``reductions`` and ``reduced_bytes``, of gradients; ``gatherings`` and ``gathered_bytes``,
        of parameters; and ``sizes``.
    """
    program.reset()
    program.run(program.prepare())
    program.reset()
    with Traffic() as traffic:
        program.run(program.prepare())
    gathered = {"gatherings": len(traffic.gathered), "gathered_bytes": sum(traffic.gathered)}
    counted = reduction_counts(traffic.reduced)
    return {**counted, **gathered, "sizes": {**counted["sizes"], "gather": traffic.gathered}}


class _Sharded(programs.Program):
    """Read what a program over sharded networks leaves; all ranks must read at the same time."""

    def gradients(self) -> dict[str, NDArray[np.floating]]:
        """Return the gradients that the last `run` left, each gathered from all ranks."""
        parameters = self.problem.parameters.items()
        return _whole({n: p.grad for n, p in parameters if p.grad is not None})

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


class ShardedGradient(_Sharded, programs.Gradient):
    """Time forward and backward pass of sharded networks."""


class ShardedStep(_Sharded, programs.Step):
    """Time forward pass, backward pass and update; a rank updates its part of the parameters."""

    def updates(self) -> dict[str, NDArray[np.floating]]:
        """Return all parameters and buffers after the last step, gathered from all ranks."""
        return _whole(self.problem.parameters | self.problem.buffers)

    def count(self) -> dict[str, Any]:
        """Return the counts of `Program.count`, and ``optimizer_state_bytes`` of this rank."""
        states = [state.values() for one in self.steppers for state in one.state.values()]
        parts = [v.to_local() if isinstance(v, DTensor) else v for state in states for v in state]
        state_bytes = sum(part.nbytes for part in parts if isinstance(part, Tensor))
        return super().count() | {"optimizer_state_bytes": state_bytes}


def _whole(tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.floating]]:
    """Return tensors as NumPy arrays, those that are sharded gathered from all ranks."""
    gathered = {n: t.full_tensor() if isinstance(t, DTensor) else t for n, t in tensors.items()}
    return {name: layout.parameter_out(tensor) for name, tensor in gathered.items()}
