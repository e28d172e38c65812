"""Run a strategy on several devices at once, each with its share of the batch.

The devices, the ranks, belong to this one process. ``sharded_jit`` says by the shardings of its
arguments that the batch is shared out and the parameters are everywhere, and leaves the reductions
to XLA. ``shard_map`` runs the strategy on each share, and takes the mean of its gradients.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import jax
from jax import Array
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from impl_jax import compiling, optimizers, recipes
from impl_jax import program as programs
from impl_jax.problem import Constants, Parameters, Problem
from impl_jax.rank_programs import EVERYWHERE, RankProgram, Step
from impl_jax.runtime import Unavailable
from impl_jax.session import OpenProblem
from impl_jax.strategies import STRATEGIES, Jit, Strategy, _add, _inputs, _loss, call_each

AXIS = "ranks"
SHARED_OUT = PartitionSpec(AXIS)


def processes(ranks: int) -> int:
    """Return how many processes make up so many ranks: one, with a device for each."""
    return 1


def environment(ranks: int) -> dict[str, str]:
    """Return the variables that the process is started with: the CPU is so many devices to XLA."""
    devices = f"--xla_force_host_platform_device_count={ranks}"
    return {"XLA_FLAGS": " ".join(filter(None, (os.environ.get("XLA_FLAGS"), devices)))}


def join(rank: int, ranks: int, meeting: str) -> None:
    """Check that all ranks are here, as devices of this process.

    Args:
        rank: the number of this process, 0.
        ranks: how many devices there must be.
        meeting: not used: a process meets no other.

    Raises:
        Unavailable: there are fewer devices.
    """
    if jax.device_count() != ranks:
        raise Unavailable(f"{ranks} ranks need as many devices, and JAX has {jax.device_count()}")


def barrier() -> None:
    """Do nothing: the ranks are devices of this process, and begin a call together."""


def leave() -> None:
    """Do nothing: the ranks end with this process."""


def program(opened: OpenProblem, name: str, phase: str, wrapper: str) -> RankProgram:
    """Return the program of a strategy on all devices.

    Args:
        opened: the whole problem, with its weights.
        name: of the strategy, a key of `WAYS` of its wrapper.
        phase: ``gradient`` or ``step``.
        wrapper: a key of `WAYS`.

    Raises:
        Unavailable: the batch cannot be shared out equally.
        KeyError: the wrapper has no such strategy.
    """
    way = WAYS[wrapper][name]
    # of type Auto: XLA finds out how what a program computes is shared out
    mesh = jax.make_mesh((jax.device_count(),), (AXIS,), axis_types=(AxisType.Auto,))
    problem = _share(opened, mesh)
    start = problem, opened.session.device, compiling.MODES["jit"]()

    def make(problem: Problem, jit: Jit) -> recipes.Recipe:
        return recipes.from_strategy(problem, way(problem, jit, mesh), jit)

    if phase == "gradient":
        return RankProgram(programs.Gradient(*start, make))
    settings, networks = opened.problem_spec["optimizer"], opened.problem_spec["networks"]
    transformation = lambda names: optimizers.build(dict(settings), networks, names)  # noqa: E731
    return RankProgram(Step(*start, make, settings, transformation))


def _share(opened: OpenProblem, mesh: Mesh) -> Problem:
    """Return the problem with its batch shared out, and its parameters on every device."""
    spec, whole = opened.problem_spec, opened.problem
    stages = opened.session.build_stages(opened.build, spec["arguments"])
    data = {name: share(array, mesh) for name, array in whole.constants["data"].items()}
    problem = Problem(stages, data, spec["reach"], spec["frozen"])
    everywhere = NamedSharding(mesh, EVERYWHERE)
    problem.load(*jax.device_put((whole.parameters, whole.constants["buffers"]), everywhere))
    return problem


def share(array: Array, mesh: Mesh) -> Array:
    """Return an array whose first dimension, the batch, is shared out to the devices.

    Raises:
        Unavailable: the batch cannot be shared out equally.
    """
    if array.shape[0] % mesh.size:
        raise Unavailable(
            f"a batch of {array.shape[0]} cannot be shared equally by {mesh.size} ranks"
        )
    return jax.device_put(array, NamedSharding(mesh, SHARED_OUT))


def _sharded(strategy: str) -> Callable[[Problem, Jit, Mesh], Strategy]:
    """Return the function that leaves a strategy as it is: the shardings say the rest."""

    def make(problem: Problem, jit: Jit, mesh: Mesh) -> Strategy:
        return STRATEGIES[strategy](problem, jit)

    return make


def _mapped(strategy: str) -> Callable[[Problem, Jit, Mesh], Strategy]:
    """Return the function that runs a strategy on each share, and reduces at its end."""

    def make(problem: Problem, jit: Jit, mesh: Mesh) -> Strategy:
        own = STRATEGIES[strategy](problem, jit)

        def local(parameters: Parameters, constants: Constants) -> Parameters:
            return jax.lax.pmean(own.backward(own.forward(parameters, constants)), AXIS)

        mapped = _map(local, mesh)
        return Strategy(_inputs, lambda inputs: mapped(*inputs), own_forward=True)

    return make


def reforward_mapped(problem: Problem, jit: Jit, mesh: Mesh) -> Strategy:
    """Run a mapped forward and backward pass for each loss, of which each reduces."""

    def call(name: str) -> Callable[..., Parameters]:
        def local(parameters: Parameters, constants: Constants) -> Parameters:
            loss = _loss(problem, parameters, constants, name)
            return jax.lax.pmean(jax.grad(loss)(problem.reached(parameters, name)), AXIS)

        mapped = _map(local, mesh)
        return jit(lambda parameters, constants, grads: _add(grads, mapped(parameters, constants)))

    calls = [call(name) for name in problem.flow]

    return Strategy(_inputs, call_each(calls), own_forward=True, one_jit=False)


def _map(function: Callable[..., Parameters], mesh: Mesh) -> Callable[..., Parameters]:
    """Return a function of parameters and constants that runs on each share of the data.

    Unchecked, as the gradients are reduced in plain sight: with the check of `shard_map` those of
    parameters that are everywhere would be summed already.
    """
    constants = {"data": SHARED_OUT, **dict.fromkeys(("frozen", "buffers", "stopped"), EVERYWHERE)}
    specs = (EVERYWHERE, constants)
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=EVERYWHERE, check_vma=False)


Ways = dict[str, Callable[[Problem, Jit, Mesh], Strategy]]
SHARED = ("summed", "separate_grad", "boundary_split")
# wrapper → strategy → the function (problem, jit, devices) → strategy
WAYS: dict[str, Ways] = {
    "sharded_jit": {name: _sharded(name) for name in (*SHARED, "separate_retained", "reforward")},
    "shard_map": {name: _mapped(name) for name in SHARED} | {"reforward": reforward_mapped},
}
