"""Make programs that show what a call of several ranks computes, or exchanges, alone.

`computing` is the summed loss over each rank's share of the batch, of which nothing is reduced.
`Exchange` is one all-reduce of an array of so many bytes, over all devices of this process.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import Array
from jax.sharding import NamedSharding

from impl_jax import compiling, recipes, runtime
from impl_jax import program as programs
from impl_jax.distributed import AXIS, SHARED_OUT, all_devices, on_each_share, own_problem
from impl_jax.problem import Constants, Parameters, Problem
from impl_jax.rank_programs import EVERYWHERE, RankProgram
from impl_jax.session import OpenProblem
from impl_jax.strategies import Jit, Strategy, _inputs, summed


def computing(opened: OpenProblem) -> RankProgram:
    """Return forward and backward pass of the summed loss over each device's share of the batch.

    The gradients of all devices stand behind each other in its results.

    Args:
        opened: the whole problem, with its weights.

    Raises:
        Unavailable: the batch cannot be shared out equally.
    """
    mesh = all_devices()

    def make(problem: Problem, jit: Jit) -> recipes.Recipe:
        own = summed(problem, jit)

        def local(parameters: Parameters, constants: Constants) -> Parameters:
            return own.backward(own.forward(parameters, constants))

        call = on_each_share(local, mesh, SHARED_OUT)
        way = Strategy(_inputs, lambda inputs: call(*inputs), own_forward=True)
        return recipes.from_strategy(problem, way, jit)

    start = own_problem(opened, mesh), opened.session.device, compiling.MODES["jit"]()
    return RankProgram(programs.Gradient(*start, make))


class Exchange:
    """Reduce an array of zeros over all devices.

    Args:
        wrapper: a key of `distributed.WAYS`, which all reduce alike.
        operation: ``reduce``; no wrapper of JAX here gathers parameters.
        size: bytes that each device reduces, as `rank_programs` counts them.
        dtype: of what is reduced, ``float32`` or ``float64``.

    Raises:
        KeyError: there is no such operation.
    """

    def __init__(self, wrapper: str, operation: str, size: int, dtype: str) -> None:
        kind, mesh = jnp.dtype(runtime.DTYPES[dtype]), all_devices()
        reduce_ = {"reduce": _all_reduce}[operation]
        call = jax.shard_map(reduce_, mesh=mesh, in_specs=SHARED_OUT, out_specs=EVERYWHERE)
        zeros = jnp.zeros(size // kind.itemsize * mesh.size, kind)
        self.whole = jax.device_put(zeros, NamedSharding(mesh, SHARED_OUT))
        self._exchange = jax.jit(call).lower(self.whole).compile()

    def prepare(self) -> None:
        """Do nothing: the array is there."""

    def run(self, carry: None) -> Array:
        """Begin to reduce the array once."""
        reduced: Array = self._exchange(self.whole)
        return reduced

    def wait(self, result: Array) -> None:
        """Wait until every device holds the sum."""
        runtime.synchronize(result)

    def reset(self) -> None:
        """Do nothing: a call leaves nothing behind."""


def _all_reduce(array: Array) -> Array:
    """Return the sum of an array over all devices."""
    return jax.lax.psum(array, AXIS)
