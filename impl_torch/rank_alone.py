"""Make programs that show what a call of several ranks computes, or exchanges, alone.

`computing` is the summed loss over each rank's share of the batch, of which nothing is reduced.
`Exchange` is one collective operation on a buffer of so many bytes, as a wrapper issues it.
"""

from __future__ import annotations

import torch
import torch.distributed as dist

from impl_torch import compiling, recipes, runtime
from impl_torch import program as programs
from impl_torch.distributed import FULLY_SHARDED, own_problem
from impl_torch.session import OpenProblem
from impl_torch.strategies import summed


def computing(opened: OpenProblem) -> programs.Program:
    """Return forward and backward pass of the summed loss over this rank's share of the batch.

    Args:
        opened: the whole problem, with its weights.

    Raises:
        Unavailable: the batch cannot be shared out equally.
    """
    problem = own_problem(opened)
    recipe = recipes.from_strategy(problem, summed(problem, lambda function: function))
    return programs.Gradient(problem, recipe, compiling.MODES["eager"](""))


class Exchange:
    """Exchange a buffer of zeros with all other ranks, which must do so at the same time.

    Args:
        wrapper: a key of `distributed.WAYS`. FSDP2 leaves each rank its part of a reduced gradient;
            DDP leaves it the whole.
        operation: ``reduce`` (gradients) or ``gather`` (parameters).
        size: bytes of the whole, as `rank_programs` counts them.
        dtype: of what is exchanged, ``float32`` or ``float64``.

    Raises:
        KeyError: the wrapper has no such operation.
    """

    def __init__(self, wrapper: str, operation: str, size: int, dtype: str) -> None:
        kind = runtime.DTYPES[dtype]
        elements, ranks = size // kind.itemsize, dist.get_world_size()
        self.whole = torch.zeros(elements, dtype=kind)
        self.part = torch.zeros(elements // ranks, dtype=kind)
        sharding = {"reduce": self._reduce_scatter, "gather": self._all_gather}
        own = sharding if wrapper == FULLY_SHARDED else {"reduce": self._all_reduce}
        self._exchange = own[operation]

    def _all_reduce(self) -> None:
        """Leave every rank the whole sum."""
        dist.all_reduce(self.whole)

    def _reduce_scatter(self) -> None:
        """Leave every rank its part of the sum."""
        dist.reduce_scatter_tensor(self.part, self.whole)

    def _all_gather(self) -> None:
        """Leave every rank all parts."""
        dist.all_gather_into_tensor(self.whole, self.part)

    def prepare(self) -> None:
        """Do nothing: the buffers are there."""

    def run(self, carry: None) -> None:
        """Exchange the buffer once, and wait for it."""
        self._exchange()

    def wait(self, result: None) -> None:
        """Do nothing: `run` has waited."""

    def reset(self) -> None:
        """Do nothing: the buffer holds zeros, whose sum is 0."""
